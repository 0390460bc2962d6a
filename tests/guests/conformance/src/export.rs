//! A [`Behaviour`] as the four interfaces that the component exports.

use crate::wit::exports::probe::plugin::{decoder, enricher, handover, sampler};
use crate::{Behaviour, Binding, Column, Decisions, Decoded, EventSchema, KernelPlan, RecordLayout, State, Stats};

impl<T: Behaviour> decoder::Guest for T {
    fn expects(_probe: String) -> Option<RecordLayout> {
        T::expects()
    }

    fn bind(_probe: String, _record: RecordLayout, _config: String) -> Result<EventSchema, String> {
        T::bind_decoder()
    }

    fn decode(run: Vec<u8>, fields: Vec<u32>) -> Result<Decoded, String> {
        T::decode(run, fields)
    }

    fn complete(rows: Vec<u32>, fields: Vec<u32>) -> Result<Vec<Column>, String> {
        T::complete(rows, fields)
    }
}

impl<T: Behaviour> sampler::Guest for T {
    fn bind(schema: EventSchema, _config: String) -> Result<Vec<u32>, String> {
        T::bind_sampler(schema)
    }

    fn decide(rows: u32, _columns: Vec<Column>) -> Result<Decisions, String> {
        T::decide(rows)
    }

    fn tune(stats: Stats) -> Option<KernelPlan> {
        T::tune(stats)
    }
}

impl<T: Behaviour> enricher::Guest for T {
    fn bind(schema: EventSchema, _config: String) -> Result<Binding, String> {
        T::bind_enricher(schema)
    }

    fn enrich(rows: u32, _columns: Vec<Column>) -> Result<Vec<Column>, String> {
        T::enrich(rows)
    }
}

impl<T: Behaviour> handover::Guest for T {
    fn export_state() -> Result<State, String> {
        T::export_state()
    }

    fn import_state(state: State) -> Result<(), String> {
        T::import_state(state)
    }
}
