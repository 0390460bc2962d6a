//! The standard variables: `OTEL_EXPORTER_OTLP_*`, `OTEL_*_EXPORTER`, `OTEL_SDK_DISABLED`, `OTEL_SERVICE_NAME` and
//! `OTEL_RESOURCE_ATTRIBUTES`, with the precedence of the specification: a signal's own before the general one.

use std::path::PathBuf;
use std::time::Duration;

use super::{Compression, Endpoint, ExportSettings, LINGER, OtlpSettings, Protocol, QUEUE_BYTES, RequestLimits};

/// Settings from flags or configuration; they win over the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explicit {
    /// Base URL for all signals; over HTTP the signal's path is added.
    pub endpoint: Option<String>,
    /// The protocol: `grpc` or `http/protobuf`.
    pub protocol: Option<String>,
    /// Headers sent with every request.
    pub headers: Vec<(String, String)>,
    /// The compression: `gzip` or `none`.
    pub compression: Option<String>,
    /// Maximum time of one attempt, milliseconds.
    pub timeout_ms: Option<u64>,
    /// See [`ExportSettings::queue_bytes`].
    pub queue_bytes: Option<u64>,
    /// See [`ExportSettings::sensitive`].
    pub sensitive: Vec<String>,
}

/// A setting that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}={value:?}: {wrong}; {cure}")]
pub struct SettingsError {
    /// The variable, or the setting's name.
    pub name: String,
    /// Its value; empty if it may be a secret.
    pub value: String,
    /// The error.
    pub wrong: String,
    /// The text to write instead.
    pub cure: &'static str,
}

type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The name of a signal in variables and paths.
struct SignalNames {
    /// The name in variables: `TRACES`.
    upper: &'static str,
    /// The path: `v1/traces`.
    path: &'static str,
}

const TRACES: SignalNames = SignalNames { upper: "TRACES", path: "v1/traces" };
const METRICS: SignalNames = SignalNames { upper: "METRICS", path: "v1/metrics" };
const LOGS: SignalNames = SignalNames { upper: "LOGS", path: "v1/logs" };

pub(super) fn merge(variable: Variables<'_>, explicit: &Explicit) -> Result<ExportSettings, SettingsError> {
    // An empty variable counts as unset.
    let variable: Variables<'_> =
        &|name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let disabled = explicit.endpoint.is_none() && variable("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let signals = [TRACES, METRICS, LOGS];
    let wanted = explicit.endpoint.is_some()
        || variable("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()
        || signals.iter().any(|signal| {
            variable(&signal.own("ENDPOINT")).is_some() || variable(&signal.exporter()).is_some_and(|value| value == "otlp")
        });
    let otlp = match wanted && !disabled {
        true => {
            let [traces, metrics, logs] = signals.map(|signal| endpoint(&signal, variable, explicit));
            Some(OtlpSettings { traces: traces?, metrics: metrics?, logs: logs? })
        }
        false => None,
    };
    Ok(ExportSettings {
        otlp,
        sensitive: explicit.sensitive.clone(),
        queue_bytes: explicit.queue_bytes.unwrap_or(QUEUE_BYTES),
        linger: LINGER,
        request: RequestLimits::default(),
        resource: resource(variable),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

fn endpoint(signal: &SignalNames, variable: Variables<'_>, explicit: &Explicit) -> Result<Option<Endpoint>, SettingsError> {
    match variable(&signal.exporter()).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => {
            return Err(SettingsError {
                name: signal.exporter(),
                value: other.to_owned(),
                wrong: "there is no such exporter".to_owned(),
                cure: "set it to `otlp` or `none`",
            });
        }
    }
    let (name, base) = match (&explicit.endpoint, variable("OTEL_EXPORTER_OTLP_ENDPOINT")) {
        (Some(endpoint), _) => ("endpoint", Some(endpoint.clone())),
        (None, base) => ("OTEL_EXPORTER_OTLP_ENDPOINT", base),
    };
    let own = variable(&signal.own("ENDPOINT")).filter(|_| explicit.endpoint.is_none());
    let said = |what: &str, explicit: Option<String>| match explicit {
        Some(value) => Some((what.to_lowercase(), value)),
        None => signal.setting(what, variable),
    };
    let protocol = match said("PROTOCOL", explicit.protocol.clone()) {
        Some((name, value)) => Some(protocol(name, value)?),
        None => None,
    };
    let given = own.as_ref().or(base.as_ref());
    let protocol = protocol.unwrap_or(match given {
        // The collectors' usual port for gRPC; a POST there would only fail.
        Some(url) if url.trim_end_matches('/').ends_with(":4317") => Protocol::Grpc,
        _ => Protocol::Http,
    });
    let insecure = signal.setting("INSECURE", variable).is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
    let url = match (own, base, protocol) {
        (Some(url), _, Protocol::Http) => check(signal.own("ENDPOINT"), &url, insecure)?,
        (None, Some(url), Protocol::Http) => {
            format!("{}/{}", check(name.to_owned(), &url, insecure)?.trim_end_matches('/'), signal.path)
        }
        (None, None, Protocol::Http) => format!("http://localhost:4318/{}", signal.path),
        (Some(url), _, Protocol::Grpc) => check(signal.own("ENDPOINT"), &url, insecure)?,
        (None, Some(url), Protocol::Grpc) => check(name.to_owned(), &url, insecure)?,
        (None, None, Protocol::Grpc) => "http://localhost:4317".to_owned(),
    };
    let headers = match signal.setting("HEADERS", variable) {
        _ if !explicit.headers.is_empty() => explicit.headers.clone(),
        Some((name, value)) => headers(&name, &value)?,
        None => Vec::new(),
    };
    let compression = match said("COMPRESSION", explicit.compression.clone()) {
        None => Compression::None,
        Some((name, value)) => compression(name, value)?,
    };
    let timeout = match said("TIMEOUT", explicit.timeout_ms.map(|ms| ms.to_string())) {
        None => Duration::from_secs(10),
        Some((name, value)) => timeout(name, value)?,
    };
    let file = |what: &str| signal.setting(what, variable).map(|(_, value)| PathBuf::from(value));
    let client = match (file("CLIENT_CERTIFICATE"), file("CLIENT_KEY")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (certificate, _) => {
            let is = if certificate.is_some() { "CLIENT_CERTIFICATE" } else { "CLIENT_KEY" };
            return Err(SettingsError {
                name: signal.setting(is, variable).map_or_else(String::new, |(name, _)| name),
                value: file(is).unwrap_or_default().display().to_string(),
                wrong: "a client certificate and its key go together".to_owned(),
                cure: "set both OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY",
            });
        }
    };
    Ok(Some(Endpoint { url, protocol, headers, compression, timeout, certificate: file("CERTIFICATE"), client }))
}

/// Returns a URL with a scheme: without one it is https, unless the operator set insecure.
fn check(name: String, url: &str, insecure: bool) -> Result<String, SettingsError> {
    let full = match (url.contains("://"), insecure) {
        (true, _) => url.to_owned(),
        (false, true) => format!("http://{url}"),
        (false, false) => format!("https://{url}"),
    };
    let wrong = |wrong: String| SettingsError {
        name: name.clone(),
        value: url.to_owned(),
        wrong,
        cure: "write it as http://host:port or https://host:port",
    };
    let uri: http::Uri = full.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(full),
        (Some("http" | "https"), _) => Err(wrong("it names no host".to_owned())),
        (scheme, _) => Err(wrong(format!("{:?} is not a scheme of OTLP", scheme.unwrap_or_default()))),
    }
}

fn protocol(name: String, value: String) -> Result<Protocol, SettingsError> {
    match value.as_str() {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::Http),
        _ => Err(SettingsError {
            name,
            value,
            wrong: "there is no such protocol".to_owned(),
            cure: "set it to `grpc` or `http/protobuf`",
        }),
    }
}

fn compression(name: String, value: String) -> Result<Compression, SettingsError> {
    match value.as_str() {
        "gzip" => Ok(Compression::Gzip),
        "none" => Ok(Compression::None),
        _ => Err(SettingsError {
            name,
            value,
            wrong: "there is no such compression".to_owned(),
            cure: "set it to `gzip` or `none`",
        }),
    }
}

fn timeout(name: String, value: String) -> Result<Duration, SettingsError> {
    match value.parse() {
        Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err(SettingsError { name, value, wrong: "it is not a time".to_owned(), cure: "give milliseconds, more than 0" }),
    }
}

/// Parses `key=value,key=value`, the values percent-encoded.
fn headers(name: &str, text: &str) -> Result<Vec<(String, String)>, SettingsError> {
    let wrong = |wrong: String| SettingsError {
        name: name.to_owned(),
        value: String::new(),
        wrong,
        cure: "write it as key=value,key=value with percent-encoded values",
    };
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').ok_or_else(|| wrong("a part has no `=`".to_owned()))?;
        let key =
            http::HeaderName::try_from(key.trim()).map_err(|_| wrong(format!("{:?} is not a header name", key.trim())))?;
        let value = percent_decoded(value.trim());
        match http::HeaderValue::try_from(&value) {
            Ok(_) => Ok((key.as_str().to_owned(), value)),
            Err(_) => Err(wrong(format!("the value of {key} cannot be sent in a header"))),
        }
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect()
}

/// Returns `service.name` and the other attributes: from the variables, and from the host itself.
pub(super) fn resource(variable: Variables<'_>) -> Vec<(String, String)> {
    let mut attributes: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: String| {
        let known = attributes.iter().any(|(existing, _)| existing == name);
        if !known && !value.is_empty() {
            attributes.push((name.to_owned(), value));
        }
    };
    if let Some(name) = variable("OTEL_SERVICE_NAME") {
        set("service.name", name);
    }
    for pair in variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default().split(',') {
        if let Some((name, value)) = pair.split_once('=') {
            set(&percent_decoded(name.trim()), percent_decoded(value.trim()));
        }
    }
    set("service.name", "host".to_owned());
    set("service.version", env!("CARGO_PKG_VERSION").to_owned());
    set("host.name", std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned());
    set("host.arch", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }.to_owned());
    set("os.type", std::env::consts::OS.to_owned());
    set("telemetry.sdk.name", "host".to_owned());
    set("telemetry.sdk.language", "rust".to_owned());
    set("telemetry.sdk.version", env!("CARGO_PKG_VERSION").to_owned());
    attributes
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

// === impl SignalNames ===

impl SignalNames {
    fn own(&self, what: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{what}", self.upper)
    }

    fn exporter(&self) -> String {
        format!("OTEL_{}_EXPORTER", self.upper)
    }

    /// Returns the value and the name of the signal's own variable, or else of the general one.
    fn setting(&self, what: &str, variable: Variables<'_>) -> Option<(String, String)> {
        [self.own(what), format!("OTEL_EXPORTER_OTLP_{what}")]
            .into_iter()
            .find_map(|name| variable(&name).map(|value| (name, value)))
    }
}
