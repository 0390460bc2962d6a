//! `host plugin repro`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{DataArgs, help};

/// `host plugin repro`
#[derive(Debug, Subcommand)]
pub(crate) enum ReproCommand {
    /// Show the calls that failed and were kept, newest first
    List(ReproListArgs),
    /// Show all about one of them
    Show(ReproShowArgs),
    /// Make one of these calls again, here and alone, and say whether it fails again
    #[command(long_about = help::REPRO_RUN, after_long_help = help::REPRO_RUN_AFTER)]
    Run(ReproRunArgs),
}

/// Where the calls are kept.
#[derive(Debug, Args)]
pub(crate) struct KeptArgs {
    /// The folder of the host's state; without it the running host is asked, and if there is none its default folder is read
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `host plugin repro list`
#[derive(Debug, Args)]
pub(crate) struct ReproListArgs {
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
}

/// `host plugin repro show`
#[derive(Debug, Args)]
pub(crate) struct ReproShowArgs {
    /// The call, as `host plugin repro list` shows it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
}

/// `host plugin repro run`
#[derive(Debug, Args)]
pub(crate) struct ReproRunArgs {
    /// The call, as `host plugin repro list` shows it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Make the call into this component instead of the one that failed: your fix
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) component: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
}
