//! A binding: what is worked out once when stages meet, so that no batch has to.

use std::sync::Arc;

use host_model::{Decoder, Enricher, FieldUse, Sampler, Schema};

use crate::blueprint::StartError;
use crate::metrics::Metrics;

/// Which fields are decoded when, and what the rows look like behind each stage.
pub(crate) struct Binding {
    /// Fields decoded for every row: what metrics and the sampler read.
    pub(crate) first: Vec<usize>,
    /// Fields decoded for kept rows only.
    pub(crate) later: Vec<usize>,
    /// The schema behind each enricher.
    pub(crate) enriched: Vec<Arc<Schema>>,
    /// What the sink sees, in Arrow's words.
    pub(crate) arrow: Arc<arrow_schema::Schema>,
}

// === impl Binding ===

impl Binding {
    /// `planned`: rows may carry thresholds of the kernel plan, so the sampling needs them.
    pub(crate) fn new(
        path: &Arc<str>,
        decoder: &dyn Decoder,
        sampler: Option<&dyn Sampler>,
        enrichers: &[Box<dyn Enricher>],
        planned: bool,
    ) -> Result<Self, StartError> {
        let schema = decoder.schema();
        let mut enriched: Vec<Arc<Schema>> = Vec::with_capacity(enrichers.len());
        for enricher in enrichers {
            let before = enriched.last().unwrap_or(schema);
            let extended = before.extend(enricher.added());
            enriched.push(Arc::new(extended.map_err(|source| StartError::Schema { path: Arc::clone(path), source })?));
        }
        let sampled = sampler.iter().flat_map(|sampler| sampler.wanted().iter().copied());
        let thresholds = planned.then(|| schema.position(FieldUse::Threshold)).flatten();
        let mut first: Vec<usize> = Metrics::wanted(schema).into_iter().chain(sampled).chain(thresholds).collect();
        first.retain(|&field| field < schema.fields.len());
        first.sort_unstable();
        first.dedup();
        Ok(Self {
            later: (0..schema.fields.len()).filter(|field| first.binary_search(field).is_err()).collect(),
            first,
            arrow: Arc::new(enriched.last().unwrap_or(schema).arrow()),
            enriched,
        })
    }
}
