//! `host plugin shadow`, `compare`, `promote`, `discard`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::{DataArgs, value};

/// `host plugin shadow`
#[derive(Debug, Args)]
pub(crate) struct ShadowArgs {
    /// The candidate, a .wasm file, or the name of one in the binary
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The slot it is a candidate for; needed where the component's role has more than one
    #[arg(long, value_name = "SLOT")]
    pub(crate) slot: Option<String>,
    /// The share of batches that it sees, such as 10% or 0.1
    #[arg(long, value_name = "SHARE", default_value = "100%", value_parser = value::share)]
    pub(crate) share: f64,
    /// Configuration of the candidate, a JSON object [default: what it had in this slot, or what the file says now]
    #[arg(long, value_name = "JSON", value_parser = value::json_object)]
    pub(crate) config: Option<serde_json::Value>,
    /// Refuse the file unless its SHA-256 is this
    #[arg(long, value_name = "DIGEST", value_parser = value::digest)]
    pub(crate) pin: Option<String>,
    /// Promote it by itself if this holds, such as 'disagreement < 0.1% and faults == 0 and cost < 1.2'
    #[arg(long, value_name = "CONDITION", value_parser = value::condition, requires = "after")]
    pub(crate) promote_if: Option<String>,
    /// When --promote-if is looked at, such as 10m
    #[arg(long, value_name = "TIME", value_parser = value::duration, requires = "promote_if")]
    pub(crate) after: Option<Duration>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `host plugin compare`
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The slot [default: the one that has a candidate]
    #[arg(value_name = "SLOT")]
    pub(crate) slot: Option<String>,
    /// Show it anew every second until the candidate is promoted, discarded or has ended
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `host plugin promote` and `host plugin discard`
#[derive(Debug, Args)]
pub(crate) struct CandidateArgs {
    /// The slot [default: the one that has a candidate]
    #[arg(value_name = "SLOT")]
    pub(crate) slot: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}
