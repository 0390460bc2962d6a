//! `host plugin`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::component::{AdapterArgs, CompileArgs, KeygenArgs, SignArgs, VerifyArgs};
use super::repro::ReproCommand;
use super::shadow::{CandidateArgs, CompareArgs, ShadowArgs};
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
    #[command(long_about = help::PLUGIN_LIST, after_long_help = help::PLUGIN_LIST_AFTER)]
    List(DataArgs),
    /// Say what a component is and asks for, without running any of it; or all that is known of a slot
    #[command(long_about = help::PLUGIN_INSPECT, after_long_help = help::PLUGIN_INSPECT_AFTER)]
    Inspect(InspectArgs),
    /// Show the generations of a slot that are kept, and its last swaps with their reasons
    #[command(after_long_help = help::HISTORY_AFTER)]
    History(HistoryArgs),
    /// Put an earlier generation back into its slot
    #[command(long_about = help::ROLLBACK, after_long_help = help::ROLLBACK_AFTER)]
    Rollback(RollbackArgs),
    /// Run a candidate beside what is live, on the same batches; its results are thrown away
    #[command(long_about = help::SHADOW, after_long_help = help::SHADOW_AFTER)]
    Shadow(ShadowArgs),
    /// Show how a candidate compares with what is live
    #[command(long_about = help::COMPARE, after_long_help = help::COMPARE_AFTER)]
    Compare(CompareArgs),
    /// Make a candidate live
    #[command(after_long_help = help::PROMOTE_AFTER)]
    Promote(CandidateArgs),
    /// End the shadow run of a candidate and forget its result
    #[command(after_long_help = help::DISCARD_AFTER)]
    Discard(CandidateArgs),
    /// Look at calls that failed, and make them again
    #[command(subcommand, long_about = help::REPRO, after_long_help = help::REPRO_AFTER)]
    Repro(ReproCommand),
    /// Compile a component ahead of time, for another machine or for a host without a compiler
    #[command(long_about = help::COMPILE, after_long_help = help::COMPILE_AFTER)]
    Compile(CompileArgs),
    /// Make a pair of keys for signing components
    #[command(long_about = help::KEYGEN, after_long_help = help::KEYGEN_AFTER)]
    Keygen(KeygenArgs),
    /// Sign a component
    #[command(long_about = help::SIGN, after_long_help = help::SIGN_AFTER)]
    Sign(SignArgs),
    /// Check the signature in a component
    #[command(long_about = help::VERIFY, after_long_help = help::VERIFY_AFTER)]
    Verify(VerifyArgs),
    /// Write the adapter that toolchains need which insist on WASI preview 1
    #[command(long_about = help::ADAPTER, after_long_help = help::ADAPTER_AFTER)]
    Adapter(AdapterArgs),
}

/// `host plugin load`
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The component, a .wasm file, a compiled one (.cwasm), or the name of one in the binary
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The slot [default: by its role and name; a sampler goes to `sampler`, which samples every path]
    #[arg(long, value_name = "SLOT")]
    pub(crate) slot: Option<String>,
    /// Configuration of the plugin, a JSON object [default: what it had in this slot, or what the file says now]
    #[arg(long, value_name = "JSON", value_parser = value::json_object)]
    pub(crate) config: Option<serde_json::Value>,
    /// Refuse the file unless its SHA-256 is this, as `host plugin inspect FILE` shows it
    #[arg(long, value_name = "DIGEST", value_parser = value::digest)]
    pub(crate) pin: Option<String>,
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

/// `host plugin history`
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The slot, as `host plugin list` shows it [default: all]
    #[arg(value_name = "SLOT")]
    pub(crate) slot: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `host plugin rollback`
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The slot, as `host plugin list` shows it
    #[arg(value_name = "SLOT")]
    pub(crate) slot: String,
    /// The generation to go back to, as `host plugin history` shows it [default: what was live before]
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<u64>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}
