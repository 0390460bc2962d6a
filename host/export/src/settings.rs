//! The settings of the export: endpoints, queue, requests, and the sensitive fields that may be exported.

mod environment;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use environment::{Explicit, SettingsError};

/// Default maximum bytes that wait for a collector. At 250 bytes a row they hold a quarter of a million rows, and the host grows by them
/// while a collector is away.
pub const QUEUE_BYTES: u64 = 64 << 20;
/// Default maximum time that rows wait for others before a request is sent.
pub const LINGER: Duration = Duration::from_millis(100);

/// The settings of an [`Exporter`](crate::Exporter).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSettings {
    /// The collector; None: rows go to the [`Output`](crate::Output) only.
    pub otlp: Option<OtlpSettings>,
    /// Names of payload and identity fields that may be exported; `*` for all. All others are withheld and counted.
    pub sensitive: Vec<String>,
    /// Maximum encoded bytes that wait; further rows are dropped and counted.
    pub queue_bytes: u64,
    /// Maximum time that rows wait for others before a request is sent, unless their path goes idle.
    pub linger: Duration,
    /// Maximum size of a request.
    pub request: RequestLimits,
    /// Attributes of the resource, `service.name` among them.
    pub resource: Vec<(String, String)>,
    /// The version in the instrumentation scope of every path.
    pub version: String,
}

/// Maximum size of a request; it always holds one encoded batch of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Maximum number of rows.
    pub rows: u64,
    /// Maximum encoded bytes, before compression.
    pub bytes: usize,
}

/// The endpoint of each signal; None if its rows count as exported at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OtlpSettings {
    /// Endpoint of spans.
    pub traces: Option<Endpoint>,
    /// Endpoint of metrics.
    pub metrics: Option<Endpoint>,
    /// Endpoint of log records.
    pub logs: Option<Endpoint>,
}

/// The endpoint of one signal.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Over HTTP the whole URL, path included; over gRPC the origin.
    pub url: String,
    /// The transport.
    pub protocol: Protocol,
    /// Headers sent with every request. Not shown by `Debug`: they hold keys.
    pub headers: Vec<(String, String)>,
    /// The compression of bodies.
    pub compression: Compression,
    /// Maximum time of one attempt.
    pub timeout: Duration,
    /// PEM file of the authority that the collector's certificate is checked against; None: the system's authorities.
    pub certificate: Option<PathBuf>,
    /// PEM files of the host's own certificate and key, for mutual TLS.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// The transport of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`
    Grpc,
    /// `http/protobuf`
    Http,
}

/// The compression of request bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip at its fastest level.
    Gzip,
}

// === impl ExportSettings ===

impl Default for ExportSettings {
    fn default() -> Self {
        Self {
            otlp: None,
            sensitive: Vec::new(),
            queue_bytes: QUEUE_BYTES,
            linger: LINGER,
            request: RequestLimits::default(),
            resource: environment::resource(&|_| None),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl ExportSettings {
    /// Merges the environment and the operator's settings. The standard `OTEL_*` variables are read through `variable`; `explicit` ones
    /// (flags, configuration) win over them.
    ///
    /// OTLP is on when an endpoint is named anywhere, or a signal's exporter is set to `otlp`.
    ///
    /// # Errors
    /// A variable or setting cannot be read; the error says what it may be.
    pub fn merge(variable: &dyn Fn(&str) -> Option<String>, explicit: &Explicit) -> Result<Self, SettingsError> {
        environment::merge(variable, explicit)
    }
}

// === impl RequestLimits ===

impl Default for RequestLimits {
    /// Returns 4096 rows, 512 KiB: an eighth of the default maximum of gRPC servers, so that one more large batch does no harm.
    fn default() -> Self {
        Self { rows: 4096, bytes: 512 << 10 }
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Creates an endpoint with the defaults of the specification: no headers, no compression, ten seconds.
    #[must_use]
    pub fn new(url: impl Into<String>, protocol: Protocol) -> Self {
        Self {
            url: url.into(),
            protocol,
            headers: Vec::new(),
            compression: Compression::None,
            timeout: Duration::from_secs(10),
            certificate: None,
            client: None,
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Endpoint")
            .field("url", &self.url)
            .field("protocol", &self.protocol)
            .field("headers", &names)
            .field("compression", &self.compression)
            .field("timeout", &self.timeout)
            .field("certificate", &self.certificate)
            .field("client", &self.client)
            .finish()
    }
}
