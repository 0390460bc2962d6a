//! One signal's way to its collector, by either protocol.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::deliver::body;
use crate::deliver::grpc::Grpc;
use crate::deliver::http::Http;
use crate::deliver::outcome::{Outcome, causes};
use crate::settings::{Compression, Endpoint, Protocol};

/// How we name ourselves.
pub(crate) const USER_AGENT: &str = concat!("host-otlp/", env!("CARGO_PKG_VERSION"));

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Spans.
    Traces,
    /// Metric points.
    Metrics,
    /// Log records.
    Logs,
}

/// One signal's way to its collector.
#[derive(Debug)]
pub(crate) struct Transport {
    pub signal: Signal,
    compression: Compression,
    carrier: Carrier,
}

#[derive(Debug)]
enum Carrier {
    Http(Http),
    Grpc(Box<Grpc>),
}

/// Why there is no way to a collector. Found at start, never later.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A certificate or key cannot be read.
    #[error("cannot read {path}: {reason}; name a PEM file that this user may read")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A file holds no usable certificate or key.
    #[error("{path} is no use for TLS: {reason}; it must hold PEM")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A header that HTTP does not allow.
    #[error("header {0:?} cannot be sent; a name is letters, digits and dashes, a value printable ASCII")]
    Header(String),
    /// The client could not be built.
    #[error("the OTLP client cannot be built: {0}; check endpoint and certificates")]
    Client(String),
}

// === impl Signal ===

impl Signal {
    /// As logs and status name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    pub(crate) const fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

// === impl Transport ===

impl Transport {
    pub(crate) fn new(endpoint: &Endpoint, signal: Signal) -> Result<Self, TransportError> {
        let carrier = match endpoint.protocol {
            Protocol::Http => Carrier::Http(Http::new(endpoint)?),
            Protocol::Grpc => Carrier::Grpc(Box::new(Grpc::new(endpoint, signal)?)),
        };
        Ok(Self { signal, compression: endpoint.compression, carrier })
    }

    /// The frames as they travel; compressed on a thread that may block.
    pub(crate) async fn prepare(&self, frames: Vec<Bytes>) -> Vec<Bytes> {
        match self.compression {
            Compression::None => frames,
            Compression::Gzip => {
                let gzip = move || body::gzip(&frames);
                tokio::task::spawn_blocking(gzip).await.into_iter().collect()
            }
        }
    }

    /// Sends a request once.
    pub(crate) async fn attempt(&self, frames: &[Bytes]) -> Outcome {
        match &self.carrier {
            Carrier::Http(http) => http.attempt(frames).await,
            Carrier::Grpc(grpc) => grpc.attempt(frames).await,
        }
    }
}

// === impl TransportError ===

impl TransportError {
    pub(crate) fn tls(path: &Path, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Tls { path: path.to_owned(), reason: causes(error) }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TransportError> {
    std::fs::read(path).map_err(|reason| TransportError::File { path: path.to_owned(), reason })
}
