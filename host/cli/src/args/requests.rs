//! `host requests`

use clap::{Args, ValueEnum};

use super::DataArgs;

/// `host requests`
#[derive(Debug, Args)]
pub(crate) struct RequestsArgs {
    /// Show it anew every second
    #[arg(long)]
    pub(crate) watch: bool,
    /// Only requests of this protocol, such as http or redis
    #[arg(long, value_name = "PROTOCOL")]
    pub(crate) protocol: Option<String>,
    /// Only those seen at this end of the connection
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<RoleArg>,
    /// Only the most frequent ones, so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Whoever was asked
    Server,
    /// Whoever asked
    Client,
}
