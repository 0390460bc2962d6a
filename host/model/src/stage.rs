//! The traits of the stages. The pipeline knows these and nothing behind them, so it runs in tests with a ring that is a
//! vector and plugins that are closures.
//!
//! All methods are called by the one worker that owns the stage, and none may block beyond what its text says.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::ArrayRef;

use crate::batch::{Batch, Kept};
use crate::fault::{Fallback, Fault};
use crate::metric::MetricData;
use crate::plan::{KernelPlan, PlanError, Stats};
use crate::plugin::PluginId;
use crate::protocol::Disowned;
use crate::run::Run;
use crate::schema::{Field, Schema};
use crate::stats::CallStats;
use crate::verdict::Decisions;

/// The counters of the kernel side of one probe since it was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelCounters {
    /// Records that passed the filters, lost ones included.
    pub produced: u64,
    /// Hits that the filters or the plan dropped.
    pub filtered: u64,
    /// Records that did not fit into the ring.
    pub lost: u64,
    /// Hits of which no record was made: the kernel did not run the program, or it had no memory to remember their beginning.
    pub missed: u64,
    /// Failed reads of user memory.
    pub unread: u64,
    /// Records that went back to a router before anybody read them here.
    pub given_back: u64,
}

/// The source of records: a ring buffer with its counters, or a capture.
pub trait Source: Send {
    /// Waits until a run is worth taking (`ready_bytes` are waiting), `timeout` has passed, or the [`Waker`] fires.
    fn wait(&mut self, ready_bytes: usize, timeout: Duration);

    /// Bytes waiting, busy records included. Cheap: two loads.
    fn waiting_bytes(&self) -> usize;

    /// The run at the head, at most this many records and bytes (but always one record, if there is one). The same run is
    /// returned until it is released.
    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_>;

    /// Gives the last run back to the kernel.
    fn release(&mut self);

    /// Records that wait: a count that walks the ring, for the ledger.
    fn waiting_records(&mut self) -> u64;

    /// The kernel's counters.
    fn counters(&mut self) -> KernelCounters;

    /// Writes a plan into the kernel's filter.
    ///
    /// # Errors
    /// What this probe cannot do, or what the kernel refused; the plan before stays.
    fn apply(&mut self, plan: &KernelPlan) -> Result<(), PlanError>;

    /// Whether no records follow: never for a ring, and for a capture that was read to its end.
    fn ended(&self) -> bool;

    /// Wakes `wait` from another thread.
    fn waker(&self) -> Arc<dyn Waker>;

    /// The difference of Unix time and CLOCK_MONOTONIC, nanoseconds.
    fn unix_offset_ns(&self) -> u64;

    /// When the last run was taken, CLOCK_MONOTONIC nanoseconds, where that is not now: in a replay, which goes by the time of
    /// its capture.
    fn time_ns(&self) -> Option<u64> {
        None
    }

    /// Whether its records come from a router, which takes back what the decoder disowns.
    fn is_routed(&self) -> bool {
        false
    }

    /// Gives conversations back that the decoder disowned in the last run, which must not have been released yet. What is
    /// still to come of them is not among the records of later runs. Must not wait.
    fn give_back(&mut self, disowned: &[Disowned]) {
        let _ = disowned;
    }
}

/// Wakes a [`Source`] that waits.
pub trait Waker: Send + Sync {
    /// Makes the current or next `wait` return.
    fn wake(&self);
}

/// State that one generation hands to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Version of the plugin's own format.
    pub version: u32,
    /// The state.
    pub bytes: Vec<u8>,
}

/// The part that all stages share: identity, cost, handover.
pub trait Plugin: Send {
    /// Its identity.
    fn id(&self) -> &PluginId;

    /// The cost of its calls.
    fn stats(&self) -> &Arc<CallStats>;

    /// The fallback for a batch that it failed on.
    fn fallback(&self) -> Fallback {
        Fallback::Pass
    }

    /// The state for a successor; None if the plugin hands nothing over. Called once, as the last call.
    ///
    /// # Errors
    /// The fault; the successor starts cold.
    fn export_state(&mut self) -> Result<Option<State>, Fault>;

    /// Takes the state of a predecessor. Called at most once, before the first batch. False if it takes none.
    ///
    /// # Errors
    /// The fault; it starts cold.
    fn import_state(&mut self, state: &State) -> Result<bool, Fault>;
}

/// Rows of one run.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The columns that were asked for.
    pub batch: Batch,
    /// Indices of the run's records that could not be read, rising.
    pub undecodable: Vec<u32>,
}

/// Records to rows.
pub trait Decoder: Plugin {
    /// The schema of the rows.
    fn schema(&self) -> &Arc<Schema>;

    /// The rows of a run, with the columns of `fields`. Called once per batch.
    ///
    /// # Errors
    /// The fault; the records of the run are then kept as raw events, or dropped: its [`Fallback`].
    fn decode(&mut self, run: Run<'_>, fields: &[usize]) -> Result<Decoded, Fault>;

    /// The columns of `fields` for some `rows` of the last `decode`, rising. Called at most once after it.
    ///
    /// # Errors
    /// The fault; the rows then go on with these columns empty and a mark, or are dropped: its [`Fallback`].
    fn complete(&mut self, rows: &[u32], fields: &[usize]) -> Result<Vec<ArrayRef>, Fault>;

    /// Conversations that turned out to speak something else than this decoder reads. Called after each `decode` where records
    /// are routed.
    ///
    /// # Errors
    /// The fault; nothing is taken back.
    fn disowned(&mut self) -> Result<Vec<Disowned>, Fault> {
        Ok(Vec::new())
    }
}

/// Which rows are kept.
pub trait Sampler: Plugin {
    /// The fields that `decide` reads.
    fn wanted(&self) -> &[usize];

    /// A threshold for each row. Called once per batch; all wanted columns are there.
    ///
    /// # Errors
    /// The fault; the whole batch is then kept and marked, or dropped: its [`Fallback`].
    fn decide(&mut self, batch: &Batch) -> Result<Decisions, Fault>;

    /// A new plan for the kernel, or None to leave it. Called about once a second.
    ///
    /// # Errors
    /// The fault; the plan stays, unless the sampler is quarantined: then it is taken back.
    fn tune(&mut self, stats: &Stats) -> Result<Option<KernelPlan>, Fault>;
}

/// The columns that an enricher added to a batch.
pub type Added = Vec<ArrayRef>;

/// Columns added to kept rows.
pub trait Enricher: Plugin {
    /// The fields that `enrich` reads.
    fn wanted(&self) -> &[usize];

    /// The fields it adds.
    fn added(&self) -> &[Field];

    /// One column per added field. Called once per batch of kept rows; all wanted columns are there.
    ///
    /// # Errors
    /// The fault; the rows then go on with these columns empty and a mark, or are dropped: its [`Fallback`].
    fn enrich(&mut self, batch: &Batch) -> Result<Added, Fault>;
}

/// The destination of kept rows and metrics. It encodes and queues on the worker's thread, and never waits for the network: what has no
/// room is counted in the path's delivery counters.
pub trait Sink: Send {
    /// Takes kept rows.
    fn write(&mut self, kept: &Kept);

    /// Takes metrics, about every ten seconds and once at the end.
    fn metrics(&mut self, metrics: &[MetricData]);

    /// Hands on what is buffered. Called when a path has been idle for a batch's age, and at the end.
    fn flush(&mut self);

    /// Bytes that wait, and the most that may.
    fn queue(&self) -> (u64, u64);
}

/// Why a table has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// There is no such table.
    #[error("there is no table `{0}`")]
    NoTable(String),
    /// The table has no such column.
    #[error("the table has no column `{0}`")]
    NoColumn(String),
}

/// The answer of a table.
#[derive(Debug, Clone)]
pub struct Looked {
    /// One per column that was asked for, with a value per key.
    pub columns: Vec<ArrayRef>,
    /// Keys whose row could not be read in time: their values are those that were known before, else 0 or empty.
    pub left_out: u64,
}

/// The host's knowledge about the node. Called from workers: it answers from memory and from /proc, as far as it comes.
pub trait Tables: Send + Sync {
    /// Returns one value of every column for every key, within about `within`: what was not read by then is left out.
    ///
    /// # Errors
    /// An unknown table or column.
    fn lookup(&self, table: &str, keys: &[u64], columns: &[String], within: Duration) -> Result<Looked, TableError>;
}

/// Why a map has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// There is no such map.
    #[error("there is no such map")]
    NoMap,
    /// Key or value has another size.
    #[error("the map wants {0} bytes")]
    Size(u32),
    /// errno.
    #[error("the kernel refused: errno {0}")]
    Kernel(i32),
}

/// The BPF maps of one path's object.
pub trait MapAccess: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// See [`MapError`].
    fn lookup(&self, map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, MapError>;

    /// Sets the value of a key.
    ///
    /// # Errors
    /// See [`MapError`].
    fn update(&self, map: &str, key: &[u8], value: &[u8]) -> Result<(), MapError>;

    /// Removes a key.
    ///
    /// # Errors
    /// See [`MapError`].
    fn delete(&self, map: &str, key: &[u8]) -> Result<(), MapError>;
}

/// No maps: of a path that reads no kernel.
#[derive(Debug, Clone, Copy)]
pub struct NoMaps;

impl MapAccess for NoMaps {
    fn lookup(&self, _map: &str, _key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        Err(MapError::NoMap)
    }

    fn update(&self, _map: &str, _key: &[u8], _value: &[u8]) -> Result<(), MapError> {
        Err(MapError::NoMap)
    }

    fn delete(&self, _map: &str, _key: &[u8]) -> Result<(), MapError> {
        Err(MapError::NoMap)
    }
}
