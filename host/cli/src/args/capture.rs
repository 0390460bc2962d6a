//! `host record` and `host replay`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use host_api::Slot;

use super::{FormatArgs, LogFormat, OtlpProtocol, SocketArgs, value};

/// `host record`
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// The capture; only its owner may read it
    #[arg(short = 'o', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Read probes and filters of this configuration (TOML); flags win over it
    #[arg(long, value_name = "FILE", env = "HOST_CONFIG", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Record this probe, which must attach; may be given more than once [default: those that `host run` attaches]
    #[arg(long = "probe", value_name = "NAME")]
    pub(crate) probes: Vec<String>,
    /// Only events of commands with this name, at most 15 bytes
    #[arg(long, value_name = "NAME", value_parser = value::comm)]
    pub(crate) comm: Option<String>,
    /// Only events of this process
    #[arg(long, value_name = "PID", value_parser = value::pid)]
    pub(crate) pid: Option<u32>,
    /// Only events of this cgroup v2 and those beneath it
    #[arg(long, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub(crate) cgroup: Option<PathBuf>,
    /// Probe l7: only connections with this port at either end; may be given more than once
    #[arg(long = "port", value_name = "PORT")]
    pub(crate) ports: Vec<u16>,
    /// Probe l7: so many bytes of each call at least, at most 4096 [default: the configuration's, or 256]
    #[arg(long, value_name = "N")]
    pub(crate) capture_bytes: Option<u32>,
    /// End after this time, such as 500ms, 10s or 2m [default: at SIGINT or SIGTERM]
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    pub(crate) duration: Option<Duration>,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// `host replay`
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The capture
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Put this component into this slot, such as decoder.http=./http.wasm; may be given more than once
    #[arg(long = "plugin", value_name = "SLOT=FILE", value_parser = value::plugin)]
    pub(crate) plugins: Vec<(Slot, String)>,
    /// Replay only this probe; may be given more than once [default: all that were recorded]
    #[arg(long = "probe", value_name = "NAME")]
    pub(crate) probes: Vec<String>,
    /// How fast it is read
    #[arg(long, value_name = "SPEED", default_value = "max")]
    pub(crate) speed: Speed,
    /// What is written to standard output [default: console, or none if there is a collector]
    #[arg(long, value_name = "OUTPUT")]
    pub(crate) output: Option<Replayed>,
    /// Send to this collector, such as http://localhost:4317
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) otlp_endpoint: Option<String>,
    /// How to speak to the collector [default: grpc]
    #[arg(long, value_name = "PROTOCOL")]
    pub(crate) otlp_protocol: Option<OtlpProtocol>,
    /// Read plugins and their settings of this configuration (TOML); flags win over it
    #[arg(long, value_name = "FILE", env = "HOST_CONFIG", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Keep compiled code here [default: $STATE_DIRECTORY, else as root /var/lib/host, else ~/.local/state/host]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// How fast a capture is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Speed {
    /// As fast as it can be worked on
    Max,
    /// With the pauses that there were
    Real,
}

/// What a replay writes to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Replayed {
    /// One JSON object per kept event
    Jsonl,
    /// One readable line per kept event
    Console,
    /// The table of `host requests` at the end
    Requests,
    /// No events; the ledger at the end
    None,
}
