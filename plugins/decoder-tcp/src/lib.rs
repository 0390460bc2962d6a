//! Decoder of probe `tcp`: every end of a TCP connection becomes a span when it closes.

pub mod record;
mod endpoint;
mod attributes;

pub use record::TcpRecord;

use plugin_sdk::{Config, Flat, RecordLayout, Rows, Table};

/// The fields of a connection.
pub struct Connection;

/// The decoder.
pub type Decoder = Rows<Connection>;

impl Flat for Connection {
    type Record = TcpRecord<'static>;

    fn table(_: &str, _: &RecordLayout, config: Config<'_>) -> Result<Table<Self::Record>, String> {
        config.none()?;
        Ok(attributes::table())
    }
}

plugin_sdk::export!(decoder: Decoder);
