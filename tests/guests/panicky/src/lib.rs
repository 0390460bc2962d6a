//! A sampler made with the SDK that panics in every call, with a message that would move the cursor.

use plugin_sdk::{Columns, Config, Decisions, EventSchema, Sampler};

struct Panicky;

impl Sampler for Panicky {
    fn bind(_: &EventSchema, config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self)
    }

    fn wanted(&self) -> Vec<u32> {
        Vec::new()
    }

    fn decide(&mut self, columns: &Columns) -> Result<Decisions, String> {
        panic!("\x1b[2J{} rows are too many", columns.rows())
    }
}

plugin_sdk::export!(sampler: Panicky);
