//! From flags to the settings of the daemon.

use std::io::{self, IsTerminal};

use host_daemon::config::{Config, FilterConfig, OutputName, Profile, ProtocolName};
use host_daemon::settings::{Input, Settings};
use host_kernel::capabilities;

use crate::args::{OtlpProtocol, Output, RunArgs};
use crate::exit::Failure;
use crate::style;

/// Environment variables that name a collector.
const COLLECTORS: [&str; 4] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
];

/// Returns the settings of a run: the flags override the configuration.
pub(super) fn settings(args: &RunArgs) -> Result<Settings, Failure> {
    let mut config = args.config.as_deref().map(Config::load).transpose()?.unwrap_or_default();
    if let Some(protocol) = args.otlp_protocol {
        config.export.protocol = Some(self::protocol(protocol));
    }
    if args.btf.is_some() {
        config.kernel.btf.clone_from(&args.btf);
    }
    config.profile = args.profile.map(Profile::from).or(config.profile);
    let config = config.sized();
    let collector = has_collector(args.otlp_endpoint.as_ref(), &config);
    Ok(Settings {
        output: Some(output(args.output, config.export.output, collector)),
        probes: args.probes.clone(),
        filter: FilterConfig { pid: args.pid, comm: args.comm.clone(), cgroup: args.cgroup.clone() },
        input: input(args),
        duration: args.duration,
        otlp_endpoint: args.otlp_endpoint.clone(),
        socket: args.socket.socket.clone(),
        ready_file: args.ready_file.clone(),
        record: args.record.clone(),
        state_dir: args.state_dir.clone(),
        config,
        compiles_apart: true,
        ..Settings::default()
    })
}

/// Whether events go to a collector.
pub(super) fn has_collector(flag: Option<&String>, config: &Config) -> bool {
    let named = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    flag.is_some() || config.export.endpoint.is_some() || COLLECTORS.iter().any(named)
}

/// Converts the flag to the value of the configuration.
pub(super) const fn protocol(protocol: OtlpProtocol) -> ProtocolName {
    match protocol {
        OtlpProtocol::Grpc => ProtocolName::Grpc,
        OtlpProtocol::HttpProtobuf => ProtocolName::HttpProtobuf,
    }
}

/// Whether the live table is drawn: both streams are terminals, and neither events nor log lines were requested there.
pub(super) fn live(args: &RunArgs, settings: &Settings) -> bool {
    let events_asked_for =
        matches!(args.output, Some(Output::Jsonl | Output::Console)) || settings.config.export.output.is_some();
    !args.plain && !events_asked_for && io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Shows events below the live table even if there is a collector, unless the operator wants none.
pub(super) fn show(args: &RunArgs, settings: &mut Settings) {
    if args.output.is_none() {
        settings.output = Some(OutputName::Console);
    }
}

/// Returns where events are shown: on standard output, unless they go to a collector.
fn output(flag: Option<Output>, config: Option<OutputName>, collector: bool) -> OutputName {
    let flag = flag.map(|output| match output {
        Output::Jsonl => OutputName::Jsonl,
        Output::Console => OutputName::Console,
        Output::None => OutputName::None,
    });
    flag.or(config).unwrap_or(if collector { OutputName::None } else { OutputName::Console })
}

/// Returns the source of records: the kernel; or a capture, if one is named, or if the privilege is missing and a replay is allowed.
fn input(args: &RunArgs) -> Input {
    if let Some(file) = &args.replay {
        return Input::Capture { file: file.clone(), looping: false };
    }
    let missing = capabilities::missing();
    if missing.is_empty() || args.no_replay {
        // The start reports each missing capability with its purpose.
        return Input::Kernel;
    }
    let missing = missing.join(" and ");
    style::note(&format!(
        "{missing} missing: replaying the capture in this binary, over and over, through the same path\n\
         run as root to see this machine; --no-replay makes this an error"
    ));
    Input::Embedded { looping: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_shown_unless_they_go_to_a_collector_or_the_operator_says_otherwise() {
        assert_eq!(output(None, None, false), OutputName::Console);
        assert_eq!(output(None, None, true), OutputName::None);
        assert_eq!(output(None, Some(OutputName::Jsonl), true), OutputName::Jsonl);
        assert_eq!(output(Some(Output::None), Some(OutputName::Jsonl), false), OutputName::None);
    }
}
