//! Commands to the router's thread, and its answers.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use host_model::{Ledger, Recogniser, Source, UnknownPort};

use crate::error::RouteError;

/// A command to the router's thread, handled between two runs.
pub(crate) enum Command {
    /// Returns the account.
    Account(SyncSender<Account>),
    /// Adds a lane for the protocol of this recogniser.
    Enlist { recogniser: Box<dyn Recogniser>, reply: SyncSender<Result<Box<dyn Source>, RouteError>> },
    /// Replaces the recogniser of a lane.
    Amend { recogniser: Box<dyn Recogniser>, reply: SyncSender<Result<(), RouteError>> },
    /// Ends the lane of a protocol.
    Dismiss { protocol: String, reply: SyncSender<Result<(), RouteError>> },
}

/// The state of a router at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The ledger of the trunk.
    pub ledger: Ledger,
    /// The age of the ledger: zero unless the router was busy with one run.
    pub age: Duration,
    /// The number of connections that are known.
    pub connections: u64,
    /// Connections of an unknown protocol, by port.
    pub unknown_ports: Vec<UnknownPort>,
}
