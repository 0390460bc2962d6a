//! Decoder of probe `file`: every openat and openat2 becomes a span, and one more value of `file.open.duration`.

mod record;
mod attributes;

pub use record::FileRecord;

use plugin_sdk::{Config, Flat, RecordLayout, Rows, Table};

/// The fields of an opened file.
pub struct FileOpen;

/// The decoder.
pub type Decoder = Rows<FileOpen>;

impl Flat for FileOpen {
    type Record = FileRecord<'static>;

    fn table(_: &str, _: &RecordLayout, config: Config<'_>) -> Result<Table<Self::Record>, String> {
        config.none()?;
        Ok(attributes::table())
    }
}

plugin_sdk::export!(decoder: Decoder);
