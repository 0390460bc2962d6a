//! Decoder of probe `exec`: every process that executes a program or exits becomes a log record.

pub mod record;
mod program;
mod exit;
mod attributes;

pub use record::ExecRecord;

use plugin_sdk::{Config, Flat, RecordLayout, Rows, Table};

/// The fields of an exec or exit.
pub struct ProcessEvent;

/// The decoder.
pub type Decoder = Rows<ProcessEvent>;

impl Flat for ProcessEvent {
    type Record = ExecRecord<'static>;

    fn table(_: &str, _: &RecordLayout, config: Config<'_>) -> Result<Table<Self::Record>, String> {
        config.none()?;
        Ok(attributes::table())
    }
}

plugin_sdk::export!(decoder: Decoder);
