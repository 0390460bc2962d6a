//! The exported functions, each of which behaves until a guest overrides it.

use crate::{Binding, Column, Decisions, Decoded, EventSchema, Field, KernelPlan, RecordLayout, State, Stats, good};

/// The behaviour of a guest. The names are those of the contract; `bind` has one for each role.
pub trait Behaviour {
    fn expects() -> Option<RecordLayout> {
        None
    }

    /// The result of `bind_decoder`.
    fn schema() -> EventSchema {
        good::schema()
    }

    fn bind_decoder() -> Result<EventSchema, String> {
        Ok(Self::schema())
    }

    fn decode(run: Vec<u8>, fields: Vec<u32>) -> Result<Decoded, String> {
        let mut decoded = good::decode(&run, &fields);
        Self::lie(&mut decoded);
        Ok(decoded)
    }

    fn complete(rows: Vec<u32>, fields: Vec<u32>) -> Result<Vec<Column>, String> {
        let columns = good::complete(&rows, &fields);
        let mut decoded = Decoded { rows: rows.len() as u32, columns, undecodable: Vec::new() };
        Self::lie(&mut decoded);
        Ok(decoded.columns)
    }

    /// Changes a good answer of the decoder.
    fn lie(_decoded: &mut Decoded) {}

    fn bind_sampler(_schema: EventSchema) -> Result<Vec<u32>, String> {
        Ok(Vec::new())
    }

    fn decide(_rows: u32) -> Result<Decisions, String> {
        Ok(Decisions { thresholds: vec![0], randomness: Vec::new() })
    }

    fn tune(_stats: Stats) -> Option<KernelPlan> {
        None
    }

    /// The fields that `bind_enricher` adds.
    fn added(_schema: EventSchema) -> Vec<Field> {
        vec![good::field("guest.note", crate::ColumnType::Text)]
    }

    fn bind_enricher(schema: EventSchema) -> Result<Binding, String> {
        Ok(Binding { wanted: Vec::new(), added: Self::added(schema) })
    }

    fn enrich(rows: u32) -> Result<Vec<Column>, String> {
        Ok(vec![good::notes(rows)])
    }

    fn export_state() -> Result<State, String> {
        Ok(good::export_state())
    }

    fn import_state(state: State) -> Result<(), String> {
        good::import_state(&state)
    }
}
