//! The traits of the stages. The pipeline knows these and nothing behind them, so it runs in tests with a ring that is a
//! vector and plugins that are closures.
//!
//! All methods are called by the one worker that owns the stage, and none may block longer than its text says.

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
    /// Hits without a record: the kernel did not run the program, or it had no memory to store their start.
    pub missed: u64,
    /// Failed reads of user memory.
    pub unread: u64,
    /// Records that were returned to a router before they were read here.
    pub given_back: u64,
}

/// The source of records: a ring buffer with its counters, or a capture.
pub trait Source: Send {
    /// Waits until a run is large enough (`ready_bytes` are waiting), `timeout` has passed, or the [`Waker`] fires.
    fn wait(&mut self, ready_bytes: usize, timeout: Duration);

    /// Returns the number of waiting bytes, busy records included. Cheap: two loads.
    fn waiting_bytes(&self) -> usize;

    /// Returns the run at the head, at most this many records and bytes (but always one record, if there is one). The same run is returned
    /// until it is released.
    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_>;

    /// Releases the last run to the kernel.
    fn release(&mut self);

    /// Returns the number of waiting records, for the ledger. It walks the ring.
    fn waiting_records(&mut self) -> u64;

    /// Returns the kernel's counters.
    fn counters(&mut self) -> KernelCounters;

    /// Writes a plan into the kernel's filter.
    ///
    /// # Errors
    /// The probe cannot do it, or the kernel refused it; the previous plan stays.
    fn apply(&mut self, plan: &KernelPlan) -> Result<(), PlanError>;

    /// Whether no records follow: never for a ring, and for a capture once it was read to its end.
    fn ended(&self) -> bool;

    /// Returns a waker that ends `wait` from another thread.
    fn waker(&self) -> Arc<dyn Waker>;

    /// Returns the difference of Unix time and CLOCK_MONOTONIC, nanoseconds.
    fn unix_offset_ns(&self) -> u64;

    /// Returns when the last run was recorded, CLOCK_MONOTONIC nanoseconds, if that is not now: in a replay, which follows the clock of its
    /// capture.
    fn time_ns(&self) -> Option<u64> {
        None
    }

    /// Whether its records come from a router, which takes back conversations that the decoder disowns.
    fn is_routed(&self) -> bool {
        false
    }

    /// Returns conversations to the router that the decoder disowned in the last run, which must not have been released yet. Their
    /// remaining records are not among those of later runs. Must not wait.
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

    /// Returns the cost of its calls.
    fn stats(&self) -> &Arc<CallStats>;

    /// Returns the fallback for a batch that it failed on.
    fn fallback(&self) -> Fallback {
        Fallback::Pass
    }

    /// Returns the state for a successor; None if the plugin hands nothing over. Called once, as the last call.
    ///
    /// # Errors
    /// The fault; the successor starts cold.
    fn export_state(&mut self) -> Result<Option<State>, Fault>;

    /// Takes the state of a predecessor. Called at most once, before the first batch. Returns false if it takes none.
    ///
    /// # Errors
    /// The fault; it starts cold.
    fn import_state(&mut self, state: &State) -> Result<bool, Fault>;
}

/// The rows of one run.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The columns that were requested.
    pub batch: Batch,
    /// Indices of the run's records that could not be read, in ascending order.
    pub undecodable: Vec<u32>,
}

/// Decodes records into rows.
pub trait Decoder: Plugin {
    /// Returns the schema of the rows.
    fn schema(&self) -> &Arc<Schema>;

    /// Returns the rows of a run, with the columns of `fields`. Called once per batch.
    ///
    /// # Errors
    /// The fault; the records of the run are then kept as raw events, or dropped: its [`Fallback`].
    fn decode(&mut self, run: Run<'_>, fields: &[usize]) -> Result<Decoded, Fault>;

    /// Returns the columns of `fields` for some `rows` of the last `decode`, in ascending order. Called at most once after it.
    ///
    /// # Errors
    /// The fault; the rows then go on with these columns empty and a mark, or are dropped: its [`Fallback`].
    fn complete(&mut self, rows: &[u32], fields: &[usize]) -> Result<Vec<ArrayRef>, Fault>;

    /// Returns conversations that turned out to have another protocol. Called after each `decode` if records are routed.
    ///
    /// # Errors
    /// The fault; no conversation is taken back.
    fn disowned(&mut self) -> Result<Vec<Disowned>, Fault> {
        Ok(Vec::new())
    }
}

/// Chooses the rows to keep.
pub trait Sampler: Plugin {
    /// Returns the fields that `decide` reads.
    fn wanted(&self) -> &[usize];

    /// Returns a threshold for each row. Called once per batch; all wanted columns are there.
    ///
    /// # Errors
    /// The fault; the whole batch is then kept and marked, or dropped: its [`Fallback`].
    fn decide(&mut self, batch: &Batch) -> Result<Decisions, Fault>;

    /// Returns a new plan for the kernel, or None to leave it unchanged. Called about once a second.
    ///
    /// # Errors
    /// The fault; the plan stays, unless the sampler is quarantined: then it is removed.
    fn tune(&mut self, stats: &Stats) -> Result<Option<KernelPlan>, Fault>;
}

/// The columns that an enricher added to a batch.
pub type Added = Vec<ArrayRef>;

/// Adds columns to kept rows.
pub trait Enricher: Plugin {
    /// Returns the fields that `enrich` reads.
    fn wanted(&self) -> &[usize];

    /// Returns the fields that it adds.
    fn added(&self) -> &[Field];

    /// Returns one column per added field. Called once per batch of kept rows; all wanted columns are there.
    ///
    /// # Errors
    /// The fault; the rows then go on with these columns empty and a mark, or are dropped: its [`Fallback`].
    fn enrich(&mut self, batch: &Batch) -> Result<Added, Fault>;
}

/// The destination of kept rows and metrics. It encodes and queues on the worker's thread, and never waits for the network: rows without
/// room are counted in the path's delivery counters.
pub trait Sink: Send {
    /// Takes kept rows.
    fn write(&mut self, kept: &Kept);

    /// Takes metrics, about every ten seconds and once at the end.
    fn metrics(&mut self, metrics: &[MetricData]);

    /// Hands on buffered rows. Called when a path has been idle for a batch's age, and at the end.
    fn flush(&mut self);

    /// Returns the number of bytes that wait, and their maximum.
    fn queue(&self) -> (u64, u64);
}

/// The reasons why a table has no answer.
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
    /// One column for each requested one, with a value per key.
    pub columns: Vec<ArrayRef>,
    /// Number of keys whose row could not be read in time: their values are the last known ones, else 0 or empty.
    pub left_out: u64,
}

/// The host's knowledge about the node. Called from workers: it answers from memory and from /proc, within its time.
pub trait Tables: Send + Sync {
    /// Returns one value of every column for every key, within about `within`: keys not read by then are left out.
    ///
    /// # Errors
    /// The table or column is unknown.
    fn lookup(&self, table: &str, keys: &[u64], columns: &[String], within: Duration) -> Result<Looked, TableError>;
}

/// The reasons why a map has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// There is no such map.
    #[error("there is no such map")]
    NoMap,
    /// Key or value has another size.
    #[error("the map wants {0} bytes")]
    Size(u32),
    /// The kernel's errno.
    #[error("the kernel refused: errno {0}")]
    Kernel(i32),
}

/// The BPF maps of one path's object.
pub trait MapAccess: Send + Sync {
    /// Returns the value of a key.
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

/// No maps: for a path that does not read a kernel.
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
