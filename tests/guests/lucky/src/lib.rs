//! An enricher that asks the host for random numbers: `guest.answer` is a number and the sum of `count` bytes.

use exports::probe::plugin::enricher::{Binding, Column, EventSchema, Field, Guest};
use probe::plugin::columns::{ColumnType, Values};
use probe::plugin::schema::{FieldUse, Sensitivity};
use probe::plugin::{config, random};

wit_bindgen::generate!({
    path: "../../../wit/v0.1",
    world: "enricher-plugin",
    generate_all,
});

export!(Lucky);

struct Lucky;

impl Guest for Lucky {
    fn bind(_schema: EventSchema, _config: String) -> Result<Binding, String> {
        let added = Field {
            name: "guest.answer".into(),
            column_type: ColumnType::Text,
            unit: String::new(),
            use_: FieldUse::Plain,
            sensitivity: Sensitivity::Public,
            omit_zero: true,
        };
        Ok(Binding { wanted: Vec::new(), added: vec![added] })
    }

    fn enrich(rows: u32, _columns: Vec<Column>) -> Result<Vec<Column>, String> {
        let count = config::get("count").and_then(|count| count.parse().ok()).unwrap_or(8);
        let (mut offsets, mut bytes) = (vec![0], Vec::new());
        for _ in 0..rows {
            let drawn = random::bytes(count);
            let sum: u64 = drawn.iter().map(|&byte| u64::from(byte)).sum();
            bytes.extend_from_slice(format!("{} {} {sum}", random::u64(), drawn.len()).as_bytes());
            offsets.push(bytes.len() as u32);
        }
        Ok(vec![Column::Text(Values { offsets, bytes })])
    }
}
