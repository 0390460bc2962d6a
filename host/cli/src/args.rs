//! The arguments of the command line. Help, completions and man pages all come from this one tree.

mod help;
mod capture;
mod component;
#[cfg(all(test, feature = "compiler"))]
mod documents;
mod plugin;
mod probe;
mod repro;
mod requests;
mod run;
mod shadow;
mod value;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub(crate) use capture::{RecordArgs, ReplayArgs, Replayed, Speed};
#[cfg(feature = "compiler")]
pub(crate) use component::CompileArgs;
pub(crate) use component::{AdapterArgs, KeygenArgs, SignArgs, VerifyArgs};
pub(crate) use plugin::{HistoryArgs, InspectArgs, LoadArgs, PluginCommand, RollbackArgs, UnloadArgs};
pub(crate) use probe::{ProbeCommand, ProbeLoadArgs, ProbeUnloadArgs};
pub(crate) use repro::{KeptArgs, ReproCommand, ReproListArgs, ReproRunArgs, ReproShowArgs};
pub(crate) use requests::{RequestsArgs, RoleArg};
pub(crate) use run::{LogFormat, OtlpProtocol, Output, ProfileArg, RunArgs};
pub(crate) use shadow::{CandidateArgs, CompareArgs, ShadowArgs};

/// See what the kernel does, through plugins that you can replace while events flow.
#[derive(Debug, Parser)]
#[command(
    name = "host",
    version,
    about,
    long_about = help::ABOUT,
    after_help = help::AFTER_SHORT,
    after_long_help = help::after(),
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Attach the probes and send what the plugins keep
    #[command(long_about = help::RUN, after_long_help = help::RUN_AFTER)]
    Run(Box<RunArgs>),
    /// Show where the events of a running host went
    #[command(long_about = help::STATUS, after_long_help = help::STATUS_AFTER)]
    Status(DataArgs),
    /// Show the requests that were made on this node, counted exactly
    #[command(long_about = help::REQUESTS, after_long_help = help::REQUESTS_AFTER)]
    Requests(RequestsArgs),
    /// Write what probes see to a capture
    #[command(long_about = help::RECORD, after_long_help = help::RECORD_AFTER)]
    Record(Box<RecordArgs>),
    /// Play a capture through plugins, without privilege
    #[command(long_about = help::REPLAY, after_long_help = help::REPLAY_AFTER)]
    Replay(Box<ReplayArgs>),
    /// Load, replace and look into plugins
    #[command(subcommand, after_long_help = help::PLUGIN_AFTER)]
    Plugin(PluginCommand),
    /// Load, unload and list probes
    #[command(subcommand, after_long_help = help::PROBE_AFTER)]
    Probe(ProbeCommand),
    /// Say what this machine lacks, and the cure
    #[command(long_about = help::DOCTOR)]
    Doctor(DoctorArgs),
    /// Check a configuration file, show what it comes to, or print its schema
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completions of a shell
    #[command(long_about = help::COMPLETIONS)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page of a command, or write all of them to a folder
    #[command(long_about = help::MAN)]
    Man(ManArgs),
}

/// Where the running host listens.
#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// The control socket of the running host [default: as root /run/host.sock, or the service's /run/host/host.sock; else
    /// $XDG_RUNTIME_DIR/host.sock]
    #[arg(long, value_name = "PATH", env = "HOST_SOCKET", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) socket: Option<PathBuf>,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct FormatArgs {
    /// How data is printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
}

/// A command that asks the running host and prints the answer.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned columns
    Table,
    /// For programs: one JSON document, as the host sent it
    Json,
}

/// `host doctor`
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print which capabilities a run with this configuration takes, what for, and the lines that grant them
    #[arg(long, conflicts_with_all = ["otlp_endpoint", "state_dir"])]
    pub(crate) caps: bool,
    /// With --caps: a run of this probe alone; may be given more than once
    #[arg(long = "probe", value_name = "NAME", requires = "caps")]
    pub(crate) probes: Vec<String>,
    /// Also check this configuration, the collector and the state folder that it names
    #[arg(long, value_name = "FILE", env = "HOST_CONFIG", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// The running kernel's BTF; otherwise the configuration's, or that in /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) btf: Option<PathBuf>,
    /// The collector to reach; otherwise the configuration's, or OTEL_EXPORTER_OTLP_ENDPOINT
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) otlp_endpoint: Option<String>,
    /// The folder of the host's state; otherwise the configuration's, or the default
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// `host config`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read a configuration and bind its plugins as `host run` would, and say what is wrong with it
    Check {
        /// The file.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Print the sizes that hold, and whether a key or the profile says so
    Show {
        /// The configuration; without one, what holds without a word.
        #[arg(value_name = "FILE", env = "HOST_CONFIG", hide_env_values = true, value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// For this kind of machine [default: the configuration's]
        #[arg(long, value_name = "PROFILE")]
        profile: Option<ProfileArg>,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Print the JSON schema of the configuration, for editors
    Schema,
}

/// `host man`
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command, such as `plugin load`; without one the page of `host` itself
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Write every page to this folder instead
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath, conflicts_with = "command")]
    pub(crate) all: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_every_flag_says_what_it_does() {
        fn walk(command: &clap::Command) {
            assert!(command.get_about().is_some(), "`{}` says nothing about itself", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "`{} {}` has no help", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }

    #[test]
    fn the_flags_that_scripts_rely_on_are_there() {
        let line = "host run --config F --probe exec --probe file --comm NAME --pid 7 --cgroup /sys/fs/cgroup/a --duration 10s \
                    --output jsonl --otlp-endpoint http://localhost:4317 --socket S --ready-file R --state-dir D";
        assert!(Cli::try_parse_from(line.split_whitespace()).is_ok());
        for line in [
            "host status --format json",
            "host requests --watch --format json --protocol http --role server --limit 10",
            "host record -o F --probe l7 --comm nginx --port 80 --capture-bytes 4096 --duration 10s",
            "host replay F --plugin decoder.http=./http.wasm --plugin sampler=sampler-ratio --speed real --output jsonl",
            "host replay F --speed max --output requests --otlp-endpoint http://localhost:4317",
            "host plugin load F --slot sampler --config {} --pin sha256:00000000000000000000000000000000000000000000000000000000000000ab",
            "host plugin unload sampler",
            "host plugin list",
            "host plugin inspect F",
            "host plugin history",
            "host plugin history sampler",
            "host plugin rollback sampler --to 3",
            "host plugin shadow F --slot sampler --share 10% --promote-if faults==0 --after 10m",
            "host plugin compare --watch",
            "host plugin promote",
            "host plugin discard sampler",
            "host plugin repro list --state-dir D",
            "host plugin repro show ID",
            "host plugin repro run ID --component F",
            "host plugin compile F --target aarch64-unknown-linux-gnu --key K --out D",
            "host plugin keygen K",
            "host plugin sign F --key K -o O",
            "host plugin verify F",
            "host plugin adapter -o F",
            "host probe list",
            "host probe load F.bpf.o --map events.max_entries=10",
            "host probe unload mine",
            "host doctor",
            "host completions bash",
            "host man",
        ] {
            assert!(Cli::try_parse_from(line.split_whitespace()).is_ok(), "{line}");
        }
    }
}
