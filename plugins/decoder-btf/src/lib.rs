//! Decoder of any flat record: its fields are the members of the C struct, by the layout that the host read from the object's BTF. It
//! serves a user's own probes without additional code.

mod settings;
mod member;
mod roles;
mod attributes;

pub use settings::{Becomes, Settings};

use plugin_sdk::{Config, Flat, Raw, RecordLayout, Rows, Table};

/// The fields of a struct.
pub struct Struct;

/// The decoder.
pub type Decoder = Rows<Struct>;

impl Flat for Struct {
    type Record = Raw;

    fn table(probe: &str, layout: &RecordLayout, config: Config<'_>) -> Result<Table<Raw>, String> {
        attributes::table(probe, layout, config.parse()?)
    }
}

plugin_sdk::export!(decoder: Decoder);
