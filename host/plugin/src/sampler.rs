//! A component as a [`Sampler`]: takes columns, returns a threshold per row.

use std::sync::Arc;

use host_model::{Batch, Decisions, Fault, KernelPlan, Sampler, Schema, Stats};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::breach::Breach;
use crate::columns;
use crate::guard::{Call, Guard, plugin};
use crate::imports::Imports;
use crate::instance::{Failure, Role};
use crate::refusal::Step;
use crate::version::v0_1::exports::probe::plugin::sampler::{self, Guest, GuestIndices};
use crate::version::v0_1::{nouns, probe::plugin::schema::EventSchemaParam};

/// The schema whose rows are sampled.
pub(crate) struct SamplerRole {
    pub(crate) schema: Arc<Schema>,
}

/// The sampler of one path.
pub(crate) struct WasmSampler {
    guard: Guard<SamplerRole>,
}

/// Maximum randomness, which has 56 bits.
const RANDOM_BITS: u64 = (1 << 56) - 1;

// === impl SamplerRole ===

impl Role for SamplerRole {
    type Guest = Guest;
    type Bound = Vec<usize>;

    fn guest(pre: &InstancePre<Imports>, store: &mut Store<Imports>, instance: &Instance) -> wasmtime::Result<Guest> {
        GuestIndices::new(pre)?.load(store, instance)
    }

    fn bind(&self, store: &mut Store<Imports>, guest: &Guest, config: &str) -> Result<Vec<usize>, Failure> {
        let conditions = nouns::conditions(&self.schema);
        let (fields, metrics) = (nouns::fields(&self.schema), nouns::metrics(&self.schema, &conditions));
        let signal = nouns::signal_out(self.schema.signal);
        let schema = EventSchemaParam { event: &self.schema.event, signal, fields: &fields, metrics: &metrics };
        let wanted = guest
            .call_bind(store, schema, config)
            .map_err(|error| Failure::Ended(Step::Bind, error))?
            .map_err(Failure::Refused)?;
        columns::wanted(&wanted, fields.len()).map_err(|breach| Failure::Breach(Step::Bind, breach))
    }
}

// === impl WasmSampler ===

impl WasmSampler {
    pub(crate) fn new(guard: Guard<SamplerRole>) -> Self {
        Self { guard }
    }
}

impl Sampler for WasmSampler {
    fn wanted(&self) -> &[usize] {
        self.guard.bound()
    }

    fn decide(&mut self, batch: &Batch) -> Result<Decisions, Fault> {
        let batch = columns::rebased(batch, self.guard.bound());
        let Some(columns) = columns::lower(&batch, self.guard.bound()) else {
            return Err(self.guard.not_called(Call::Decide, "the batch lacks a column that it wants"));
        };
        let rows = batch.rows;
        self.guard.call(
            Call::Decide,
            rows,
            |store, guest| guest.call_decide(store, u32::try_from(rows).unwrap_or(u32::MAX), &columns),
            |decisions, _| checked(decisions, rows),
        )
    }

    fn tune(&mut self, stats: &Stats) -> Result<Option<KernelPlan>, Fault> {
        let stats = nouns::stats(stats);
        self.guard.call(
            Call::Tune,
            0,
            |store, guest| Ok(Ok(guest.call_tune(store, stats)?)),
            |plan, _| {
                let plan = plan.map(nouns::plan);
                plan.as_ref().map_or(Ok(()), KernelPlan::check)?;
                Ok(plan)
            },
        )
    }
}

plugin!(WasmSampler);

pub(crate) fn checked(decisions: sampler::Decisions, rows: usize) -> Result<Decisions, Breach> {
    let sampler::Decisions { thresholds, mut randomness } = decisions;
    if thresholds.len() != 1 && thresholds.len() != rows {
        return Err(Breach::Thresholds { is: thresholds.len(), rows });
    }
    if !randomness.is_empty() && randomness.len() != rows {
        return Err(Breach::Randomness { is: randomness.len(), rows });
    }
    randomness.iter_mut().for_each(|value| *value &= RANDOM_BITS);
    Ok(Decisions { thresholds, randomness })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_one_or_one_per_row() {
        let decisions = |thresholds: &[u64]| sampler::Decisions { thresholds: thresholds.to_vec(), randomness: Vec::new() };
        assert!(checked(decisions(&[5]), 3).is_ok());
        assert!(checked(decisions(&[5, 5, 5]), 3).is_ok());
        assert_eq!(checked(decisions(&[]), 3), Err(Breach::Thresholds { is: 0, rows: 3 }));
        assert_eq!(checked(decisions(&[5, 5]), 3), Err(Breach::Thresholds { is: 2, rows: 3 }));
    }

    #[test]
    fn randomness_is_none_or_one_per_row_and_has_56_bits() {
        let decisions = |randomness: &[u64]| sampler::Decisions { thresholds: vec![0], randomness: randomness.to_vec() };
        assert_eq!(checked(decisions(&[u64::MAX, 7]), 2).unwrap().randomness, [(1 << 56) - 1, 7]);
        assert_eq!(checked(decisions(&[7]), 2), Err(Breach::Randomness { is: 1, rows: 2 }));
    }
}
