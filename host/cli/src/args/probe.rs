//! `host probe`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{DataArgs, help, value};

/// `host probe`
#[derive(Debug, Subcommand)]
pub(crate) enum ProbeCommand {
    /// Show the probes: what they hook, and why one did not attach
    List(DataArgs),
    /// Attach an object of your own to the running host
    #[command(long_about = help::PROBE_LOAD)]
    Load(ProbeLoadArgs),
    /// Detach a probe and end its path
    Unload(ProbeUnloadArgs),
}

/// `host probe load`
#[derive(Debug, Args)]
pub(crate) struct ProbeLoadArgs {
    /// The BPF object, a .bpf.o file, or the name of a probe in the binary
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Give a map another size; may be given more than once
    #[arg(long = "map", value_name = "NAME.max_entries=N", value_parser = value::max_entries)]
    pub(crate) maps: Vec<(String, u32)>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `host probe unload`
#[derive(Debug, Args)]
pub(crate) struct ProbeUnloadArgs {
    /// The probe, as `host probe list` shows it
    #[arg(value_name = "NAME")]
    pub(crate) probe: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}
