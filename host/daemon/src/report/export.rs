//! The exporter of rows and metrics, set up by flags, configuration and environment.

use std::io::IsTerminal;

use host_api::Step;
use host_export::{ConsoleStyle, Explicit, ExportSettings, Exporter, Output};
use tokio::runtime::Handle;

use crate::config::{CompressionName, OutputName, ProtocolName};
use crate::error::DaemonError;
use crate::settings::{Settings, View};

/// Returns the exporter, set up by flags, configuration and environment.
pub(crate) fn exporter(settings: &Settings, runtime: &Handle) -> Result<Exporter, DaemonError> {
    let config = &settings.config.export;
    let explicit = Explicit {
        endpoint: settings.otlp_endpoint.clone().or_else(|| config.endpoint.clone()),
        protocol: config.protocol.map(|protocol| match protocol {
            ProtocolName::Grpc => "grpc".into(),
            ProtocolName::HttpProtobuf => "http/protobuf".into(),
        }),
        headers: config.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        compression: config.compression.map(|compression| match compression {
            CompressionName::None => "none".into(),
            CompressionName::Gzip => "gzip".into(),
        }),
        timeout_ms: config.timeout.map(|timeout| u64::try_from(timeout.0.as_millis()).unwrap_or(u64::MAX)),
        queue_bytes: config.queue_bytes.map(|size| size.0),
        sensitive: config.sensitive.clone().unwrap_or_default(),
    };
    explicit.endpoint.iter().try_for_each(|endpoint| with_scheme(endpoint))?;
    let variable = |name: &str| std::env::var(name).ok();
    let export = ExportSettings::merge(&variable, &explicit)?;
    let lines = || settings.view.as_ref().map_or_else(|| Box::new(std::io::stdout()) as _, View::open);
    let output = match settings.output.or(config.output).unwrap_or(OutputName::None) {
        OutputName::None => Output::None,
        OutputName::Jsonl => Output::Jsonl(lines()),
        OutputName::Console => Output::Console(lines(), style(settings.view.is_none())),
    };
    Ok(Exporter::start(export, output, runtime)?)
}

/// Refuses an endpoint without a scheme. OpenTelemetry would take it as https; but `localhost:4317` usually means a collector without TLS,
/// and all data would be lost silently.
fn with_scheme(endpoint: &str) -> Result<(), DaemonError> {
    if endpoint.contains("://") {
        return Ok(());
    }
    let shown = host_model::printable(endpoint, 200);
    // A password must not be logged.
    let shown = shown.rsplit_once('@').map_or(shown.as_str(), |(_, rest)| rest);
    let message = format!("the collector's endpoint `{shown}` has no scheme");
    Err(DaemonError::new(Step::Export, message, format!("write http://{shown}, or https://{shown} if it speaks TLS")))
}

/// Returns the style of lines: coloured and cut only on a terminal.
fn style(on_stdout: bool) -> ConsoleStyle {
    let terminal = on_stdout && std::io::stdout().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_col);
    ConsoleStyle { colour: terminal && !plain, width: if terminal && width > 0 { width } else { u16::MAX } }
}
