//! A component as an [`Enricher`]: takes columns of kept rows, returns more columns.

use std::sync::Arc;

use host_model::{Added, Batch, Enricher, Fault, Field, Schema};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::columns;
use crate::guard::{Call, Guard, plugin};
use crate::imports::Imports;
use crate::instance::{Failure, Role};
use crate::refusal::Step;
use crate::version::v0_1::exports::probe::plugin::enricher::{Guest, GuestIndices};
use crate::version::v0_1::{nouns, probe::plugin::schema::EventSchemaParam};

/// The schema whose rows are enriched.
pub(crate) struct EnricherRole {
    pub(crate) schema: Arc<Schema>,
}

/// The fields that an enricher reads and adds.
#[derive(PartialEq)]
pub(crate) struct Binding {
    wanted: Vec<usize>,
    added: Vec<Field>,
}

/// The enricher of one path.
pub(crate) struct WasmEnricher {
    guard: Guard<EnricherRole>,
}

// === impl EnricherRole ===

impl Role for EnricherRole {
    type Guest = Guest;
    type Bound = Binding;

    fn guest(pre: &InstancePre<Imports>, store: &mut Store<Imports>, instance: &Instance) -> wasmtime::Result<Guest> {
        GuestIndices::new(pre)?.load(store, instance)
    }

    fn bind(&self, store: &mut Store<Imports>, guest: &Guest, config: &str) -> Result<Binding, Failure> {
        let conditions = nouns::conditions(&self.schema);
        let (fields, metrics) = (nouns::fields(&self.schema), nouns::metrics(&self.schema, &conditions));
        let signal = nouns::signal_out(self.schema.signal);
        let schema = EventSchemaParam { event: &self.schema.event, signal, fields: &fields, metrics: &metrics };
        let binding = guest
            .call_bind(store, schema, config)
            .map_err(|error| Failure::Ended(Step::Bind, error))?
            .map_err(Failure::Refused)?;
        let breach = |breach| Failure::Breach(Step::Bind, breach);
        let added: Vec<Field> = binding.added.into_iter().map(nouns::field).collect();
        self.schema.extend(&added).map_err(|error| breach(error.into()))?;
        Ok(Binding { wanted: columns::wanted(&binding.wanted, fields.len()).map_err(breach)?, added })
    }
}

// === impl WasmEnricher ===

impl WasmEnricher {
    pub(crate) fn new(guard: Guard<EnricherRole>) -> Self {
        Self { guard }
    }
}

impl Enricher for WasmEnricher {
    fn wanted(&self) -> &[usize] {
        &self.guard.bound().wanted
    }

    fn added(&self) -> &[Field] {
        &self.guard.bound().added
    }

    fn enrich(&mut self, batch: &Batch) -> Result<Added, Fault> {
        let batch = columns::rebased(batch, self.wanted());
        let Some(columns) = columns::lower(&batch, self.wanted()) else {
            return Err(self.guard.not_called(Call::Enrich, "the batch lacks a column that it wants"));
        };
        let rows = batch.rows;
        self.guard.call(
            Call::Enrich,
            rows,
            |store, guest| guest.call_enrich(store, u32::try_from(rows).unwrap_or(u32::MAX), &columns),
            |columns, bound| columns::lift(columns, bound.added.iter(), rows),
        )
    }
}

plugin!(WasmEnricher);
