//! Decoders of flat records: one record, one row, each field at a fixed position.

use crate::config::Config;
use crate::record::Record;
use crate::role::Decoder;
use crate::table::Table;
use crate::wit::{Column, Decoded, EventSchema, RecordLayout};

/// A decoder that is a [`Table`]. `Rows<Self>` is the [`Decoder`].
///
/// It includes late materialisation: `decode` makes only the columns that were asked for, `complete` the others for the rows that were
/// kept, from the bytes of the run.
///
/// ```
/// use plugin_sdk::{Config, FieldUse, Flat, RecordLayout, Rest, Rows, Sensitivity, Signal, Table};
///
/// plugin_sdk::record! {
///     /// One greeting.
///     pub struct Greeting = "greeting_record" {
///         /// When.
///         time_ns: u64,
///         /// Thread group.
///         pid: u32,
///         /// What was said, NUL-terminated.
///         words: Rest,
///     }
/// }
///
/// pub struct Greetings;
/// pub type Decoder = Rows<Greetings>;
///
/// impl Flat for Greetings {
///     type Record = Greeting<'static>;
///
///     fn table(_: &str, _: &RecordLayout, config: Config<'_>) -> Result<Table<Self::Record>, String> {
///         config.none()?;
///         Ok(Table::<Self::Record>::new("greeting", Signal::Log)
///             .u64("time", |greeting| greeting.time_ns()).used(FieldUse::Time)
///             .u32("process.pid", |greeting| greeting.pid())
///             .chars("body", |greeting| greeting.words()).used(FieldUse::Body).reveals(Sensitivity::Payload)
///             .counter("greetings", "Greetings heard."))
///     }
/// }
///
/// plugin_sdk::export!(decoder: Decoder);
/// ```
pub trait Flat: 'static {
    /// The record.
    type Record: Record;

    /// Returns the table for a probe whose records have this layout.
    ///
    /// # Errors
    /// The fault of the configuration or the layout, and its cure, for the operator.
    fn table(probe: &str, layout: &RecordLayout, config: Config<'_>) -> Result<Table<Self::Record>, String>;
}

/// The decoder of a [`Flat`] record.
pub struct Rows<F: Flat> {
    table: Table<F::Record>,
}

// === impl Rows ===

impl<F: Flat> Decoder for Rows<F> {
    fn expects(_: &str) -> Option<RecordLayout> {
        F::Record::layout()
    }

    fn bind(probe: &str, layout: &RecordLayout, config: Config<'_>) -> Result<Self, String> {
        Ok(Self { table: F::table(probe, layout, config)? })
    }

    fn schema(&self) -> &EventSchema {
        self.table.schema()
    }

    fn decode(&mut self, run: &[u8], fields: &[u32]) -> Result<Decoded, String> {
        self.table.decode(run, fields)
    }

    fn complete(&mut self, run: &[u8], rows: &[u32], fields: &[u32]) -> Result<Vec<Column>, String> {
        self.table.complete(run, rows, fields)
    }
}
