//! `host plugin`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{DataArgs, FormatArgs, SocketArgs, help, value};

/// `host plugin`
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Put a component into a slot of the running host; the old one stays live until the new one is
    #[command(long_about = help::PLUGIN_LOAD, after_long_help = help::PLUGIN_LOAD_AFTER)]
    Load(LoadArgs),
    /// Empty a slot
    Unload(UnloadArgs),
    /// Show the slots: who is live, and what its calls cost
    List(DataArgs),
    /// Say what a component is and what it asks for, without running any of it
    #[command(long_about = help::PLUGIN_INSPECT)]
    Inspect(InspectArgs),
    /// Put an earlier generation back into its slot
    Rollback(RollbackArgs),
}

/// `host plugin load`
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The component, a .wasm file, or the name of one in the binary
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The slot; needed where the component's role has more than one
    #[arg(long, value_name = "SLOT")]
    pub(crate) slot: Option<String>,
    /// Configuration of the plugin, a JSON object [default: the slot's]
    #[arg(long, value_name = "JSON", value_parser = value::json_object)]
    pub(crate) config: Option<serde_json::Value>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `host plugin unload`
#[derive(Debug, Args)]
pub(crate) struct UnloadArgs {
    /// The slot, as `host plugin list` shows it
    #[arg(value_name = "SLOT")]
    pub(crate) slot: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `host plugin inspect`
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A .wasm file, the name of a component in the binary, or a slot of the running host
    #[arg(value_name = "FILE|SLOT", value_hint = ValueHint::FilePath)]
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// `host plugin rollback`
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The slot, as `host plugin list` shows it
    #[arg(value_name = "SLOT")]
    pub(crate) slot: String,
    /// The generation to go back to [default: the one before]
    #[arg(long, value_name = "N")]
    pub(crate) generation: Option<u64>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}
