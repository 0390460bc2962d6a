//! The roles: the functions of a plugin on the path. `wit/v0.1` defines when each is called.

use crate::columns::Columns;
use crate::config::Config;
use crate::wit::{Column, Decisions, Decoded, EventSchema, Field, KernelPlan, RecordLayout, State, Stats};

/// Turns records into rows. For flat records implement [`Flat`](crate::Flat) instead.
pub trait Decoder: Sized + 'static {
    /// Returns the record that this decoder was written for; None if it reads any.
    #[must_use]
    fn expects(probe: &str) -> Option<RecordLayout> {
        let _ = probe;
        None
    }

    /// Creates the decoder. Called once, before all others. `layout` is the actual one of the object.
    ///
    /// # Errors
    /// The fault and its cure, for the operator.
    fn bind(probe: &str, layout: &RecordLayout, config: Config<'_>) -> Result<Self, String>;

    /// Returns the schema of the rows, the same in every call.
    fn schema(&self) -> &EventSchema;

    /// Returns the rows of a run, with the columns of `fields`. [`Records`](crate::Records) iterates over a run.
    ///
    /// # Errors
    /// Why the whole run cannot be read.
    fn decode(&mut self, run: &[u8], fields: &[u32]) -> Result<Decoded, String>;

    /// Returns the columns of other fields, for rows of the last `decode` that were kept. `run` is that of the last `decode`.
    ///
    /// # Errors
    /// Why the columns cannot be made.
    fn complete(&mut self, run: &[u8], rows: &[u32], fields: &[u32]) -> Result<Vec<Column>, String>;
}

/// Decides which rows are kept.
pub trait Sampler: Sized + 'static {
    /// Creates the sampler. Called once, before all others.
    ///
    /// # Errors
    /// The fault and its cure, for the operator.
    fn bind(schema: &EventSchema, config: Config<'_>) -> Result<Self, String>;

    /// Returns the indices of the fields that `decide` reads. Each is copied for every batch: ask for few.
    fn wanted(&self) -> Vec<u32>;

    /// Returns a threshold for each row, or one for all.
    ///
    /// # Errors
    /// Why there is no decision; the batch is kept.
    fn decide(&mut self, columns: &Columns) -> Result<Decisions, String>;

    /// Called about once a second: returns a plan for the kernel, or None to leave it unchanged.
    fn tune(&mut self, stats: Stats) -> Option<KernelPlan> {
        let _ = stats;
        None
    }
}

/// Adds columns to rows that were kept.
pub trait Enricher: Sized + 'static {
    /// Creates the enricher. Called once, before all others.
    ///
    /// # Errors
    /// The fault and its cure, for the operator.
    fn bind(schema: &EventSchema, config: Config<'_>) -> Result<Self, String>;

    /// Returns the indices of the fields that `enrich` reads.
    fn wanted(&self) -> Vec<u32>;

    /// Returns the fields that it adds.
    fn added(&self) -> Vec<Field>;

    /// Returns one column per added field, each with as many values as there are rows.
    ///
    /// # Errors
    /// Why the columns cannot be made; the rows go on without them.
    fn enrich(&mut self, columns: &Columns) -> Result<Vec<Column>, String>;
}

/// Hands state to a successor in the same slot.
pub trait Handover {
    /// Returns the state, as the last call of this instance.
    ///
    /// # Errors
    /// Why there is no state; the successor starts cold.
    fn export_state(&mut self) -> Result<State, String>;

    /// Imports the state of the predecessor, after `bind`.
    ///
    /// # Errors
    /// Why the state cannot be used; this instance starts cold.
    fn import_state(&mut self, state: State) -> Result<(), String>;
}
