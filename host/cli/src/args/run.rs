//! `host run`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::{FormatArgs, SocketArgs, value};

/// `host run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Read this configuration (TOML); flags win over it
    #[arg(long, value_name = "FILE", env = "HOST_CONFIG", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,

    /// Size everything for this kind of machine; keys of the configuration go before it [default: the configuration's]
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<ProfileArg>,

    /// Run this probe, which must attach; may be given more than once [default: exec, file, l7 and tcp, as
    /// far as they attach]
    #[arg(long = "probe", value_name = "NAME", help_heading = "What to see")]
    pub(crate) probes: Vec<String>,
    /// Only events of commands with this name, at most 15 bytes
    #[arg(long, value_name = "NAME", value_parser = value::comm, help_heading = "What to see")]
    pub(crate) comm: Option<String>,
    /// Only events of this process
    #[arg(long, value_name = "PID", value_parser = value::pid, help_heading = "What to see")]
    pub(crate) pid: Option<u32>,
    /// Only events of this cgroup v2 and those beneath it, such as /sys/fs/cgroup/system.slice
    #[arg(long, value_name = "PATH", value_hint = ValueHint::DirPath, help_heading = "What to see")]
    pub(crate) cgroup: Option<PathBuf>,
    /// The running kernel's BTF, where it has none of its own in /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "What to see")]
    pub(crate) btf: Option<PathBuf>,
    /// Drain and end after this time, such as 500ms, 10s or 2m
    #[arg(long, value_name = "TIME", value_parser = value::duration, help_heading = "What to see")]
    pub(crate) duration: Option<Duration>,

    /// What is written to standard output [default: console, or none if there is a collector]
    #[arg(long, value_name = "OUTPUT", help_heading = "Where it goes")]
    pub(crate) output: Option<Output>,
    /// Send to this collector, such as http://localhost:4317
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, help_heading = "Where it goes")]
    pub(crate) otlp_endpoint: Option<String>,
    /// How to speak to the collector [default: grpc at port 4317, else http/protobuf]
    #[arg(long, value_name = "PROTOCOL", help_heading = "Where it goes")]
    pub(crate) otlp_protocol: Option<OtlpProtocol>,

    /// Replay this capture once instead of attaching probes
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Captures",
          conflicts_with_all = ["no_replay", "record"])]
    pub(crate) replay: Option<PathBuf>,
    /// Without the privilege for BPF, fail instead of replaying the capture in this binary
    #[arg(long, help_heading = "Captures")]
    pub(crate) no_replay: bool,
    /// Also write every record to this capture, for --replay
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Captures")]
    pub(crate) record: Option<PathBuf>,

    /// Keep compiled code and calls that failed here [default: $STATE_DIRECTORY, else as root /var/lib/host, else
    /// ~/.local/state/host]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// Create this file once every probe is attached and every plugin bound; it is removed at the end
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) ready_file: Option<PathBuf>,
    /// Log lines, even on a terminal, instead of the live table
    #[arg(long)]
    pub(crate) plain: bool,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// A kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileArg {
    /// A server
    Standard,
    /// A gateway: under 48 MiB for all of it
    Edge,
}

/// What is written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// One JSON object per kept event
    Jsonl,
    /// One readable line per kept event
    Console,
    /// No events; the ledger at the end
    None,
}

/// How to speak to the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OtlpProtocol {
    /// OTLP over gRPC, port 4317
    Grpc,
    /// OTLP over HTTP with protobuf bodies, port 4318
    #[value(name = "http/protobuf")]
    HttpProtobuf,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Readable lines
    Text,
    /// One JSON object per line
    Json,
}
