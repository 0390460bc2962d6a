//! Commands to the worker of a path, and its answers.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use host_model::{Ledger, MetricData, Schema};

use crate::shadow::tap::Tap;
use crate::shadow::{Known, ShadowError, Shared};
use crate::switch::{Change, SwitchError, Switched};

/// A command to a worker, handled between two batches.
pub(crate) enum Command {
    /// Counts everything now.
    Ledger(SyncSender<Ledger>),
    /// Returns the metrics of all rows so far.
    Count(SyncSender<Counted>),
    /// Replaces plugins. `rows` is the path's row count when the switch was requested.
    Switch { change: Box<Change>, rows: u64, reply: SyncSender<Result<Switched, SwitchError>> },
    /// Begins a shadow run.
    Shadow { tap: Box<Tap>, reply: SyncSender<Result<Known, ShadowError>> },
    /// Ends a shadow run.
    Dismiss(Arc<Shared>),
}

/// The metrics of a path, over all its rows so far.
#[derive(Debug, Clone)]
pub struct Counted {
    /// The schema of the rows.
    pub schema: Arc<Schema>,
    /// One for each metric of the schema, in order. They count since the start of the path, or since its decoder was replaced by one with
    /// another schema.
    pub metrics: Vec<MetricData>,
}
