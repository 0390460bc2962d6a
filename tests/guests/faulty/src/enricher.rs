//! Adds `guest.note`: the number of each row, as text.

use crate::exports::probe::plugin::enricher::{Binding, Column, EventSchema, Field, Guest};
use crate::probe::plugin::columns::{ColumnType, Values};
use crate::probe::plugin::schema::{FieldUse, Sensitivity};
use crate::{Faulty, misbehave, told};

impl Guest for Faulty {
    fn bind(schema: EventSchema, _config: String) -> Result<Binding, String> {
        let name = if told("replace-a-field") { schema.fields[0].name.clone() } else { "guest.note".into() };
        let added = Field {
            name,
            column_type: ColumnType::Text,
            unit: String::new(),
            use_: FieldUse::Plain,
            sensitivity: Sensitivity::Public,
            omit_zero: true,
        };
        Ok(Binding { wanted: vec![0], added: vec![added] })
    }

    fn enrich(rows: u32, columns: Vec<Column>) -> Result<Vec<Column>, String> {
        misbehave()?;
        assert_eq!(columns.len(), 1);
        let rows = if told("lie-about-rows") { rows + 1 } else { rows };
        let (mut offsets, mut bytes) = (vec![0], Vec::new());
        for row in 0..rows {
            bytes.extend_from_slice(format!("row {row}").as_bytes());
            offsets.push(bytes.len() as u32);
        }
        Ok(vec![Column::Text(Values { offsets, bytes })])
    }
}
