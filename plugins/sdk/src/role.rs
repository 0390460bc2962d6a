//! The roles: what a plugin does on the path. `wit/v0.1` says who calls what, when.

use crate::columns::Columns;
use crate::config::Config;
use crate::wit::{Column, Decisions, Decoded, EventSchema, Field, KernelPlan, RecordLayout, State, Stats};

/// Turns records into rows. For flat records implement [`Flat`](crate::Flat) instead.
pub trait Decoder: Sized + 'static {
    /// The record that this decoder was written for; none if it reads any.
    #[must_use]
    fn expects(probe: &str) -> Option<RecordLayout> {
        let _ = probe;
        None
    }

    /// Called once, before all others. `layout` is the one that the object really has.
    ///
    /// # Errors
    /// What is wrong and the cure, for the operator.
    fn bind(probe: &str, layout: &RecordLayout, config: Config<'_>) -> Result<Self, String>;

    /// What the rows mean; the same in every call.
    fn schema(&self) -> &EventSchema;

    /// The rows of a run, with the columns of `fields`. [`Records`](crate::Records) walks a run.
    ///
    /// # Errors
    /// Why the whole run cannot be read.
    fn decode(&mut self, run: &[u8], fields: &[u32]) -> Result<Decoded, String>;

    /// The columns of other fields, for rows of the last `decode` that were kept. `run` is what that `decode` was given.
    ///
    /// # Errors
    /// Why not.
    fn complete(&mut self, run: &[u8], rows: &[u32], fields: &[u32]) -> Result<Vec<Column>, String>;
}

/// Decides which rows are kept.
pub trait Sampler: Sized + 'static {
    /// Called once, before all others.
    ///
    /// # Errors
    /// What is wrong and the cure, for the operator.
    fn bind(schema: &EventSchema, config: Config<'_>) -> Result<Self, String>;

    /// Indices of the fields that `decide` reads. Each is copied for every batch: ask for few.
    fn wanted(&self) -> Vec<u32>;

    /// A threshold for each row, or one for all.
    ///
    /// # Errors
    /// Why not; the batch is kept.
    fn decide(&mut self, columns: &Columns) -> Result<Decisions, String>;

    /// Called about once a second: a plan for the kernel, or none to leave it as it is.
    fn tune(&mut self, stats: Stats) -> Option<KernelPlan> {
        let _ = stats;
        None
    }
}

/// Adds columns to rows that were kept.
pub trait Enricher: Sized + 'static {
    /// Called once, before all others.
    ///
    /// # Errors
    /// What is wrong and the cure, for the operator.
    fn bind(schema: &EventSchema, config: Config<'_>) -> Result<Self, String>;

    /// Indices of the fields that `enrich` reads.
    fn wanted(&self) -> Vec<u32>;

    /// The fields that it adds.
    fn added(&self) -> Vec<Field>;

    /// One column per added field, each with as many values as there are rows.
    ///
    /// # Errors
    /// Why not; the rows go on without the columns.
    fn enrich(&mut self, columns: &Columns) -> Result<Vec<Column>, String>;
}

/// Hands state to a successor in the same slot.
pub trait Handover {
    /// The state, as the last call of this instance.
    ///
    /// # Errors
    /// Why there is none; the successor starts cold.
    fn export_state(&mut self) -> Result<State, String>;

    /// Takes the state of the predecessor, after `bind`.
    ///
    /// # Errors
    /// Why it cannot be used; this instance starts cold.
    fn import_state(&mut self, state: State) -> Result<(), String>;
}
