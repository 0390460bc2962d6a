//! A binding: schemas and requested fields, computed once when stages are bound and not for every batch.

use std::sync::Arc;

use host_model::schema::SchemaError;
use host_model::{Decoder, Enricher, FieldUse, Schema};

use crate::blueprint::{Stages, StartError};
use crate::fault_marks;
use crate::metrics::Metrics;

/// The fields that are decoded at each stage, and the schema of the rows after it.
pub(crate) struct Binding {
    plain: Asked,
    /// The same for batches that a shadow of the sampler sees, if it reads more fields.
    wide: Option<Asked>,
    /// The schema after each enricher.
    pub(crate) enriched: Vec<Arc<Schema>>,
    /// The schema of the sink's rows, for Arrow.
    pub(crate) arrow: Arc<arrow_schema::Schema>,
    /// The schema of rows that carry marks. It is made here and not at a fault: sinks identify a schema by its address.
    pub(crate) marked: Arc<Schema>,
    /// The same for Arrow.
    pub(crate) marked_arrow: Arc<arrow_schema::Schema>,
}

/// The fields that a decoder is asked for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Asked {
    /// Fields of every row: what metrics and the sampler read.
    pub(crate) first: Vec<usize>,
    /// Fields of kept rows only.
    pub(crate) later: Vec<usize>,
}

// === impl Binding ===

impl Binding {
    /// Computes the schema behind each of these stages. No fields are requested yet.
    pub(crate) fn new(path: &Arc<str>, decoder: &dyn Decoder, enrichers: &[Box<dyn Enricher>]) -> Result<Self, StartError> {
        let refuse = |source| StartError::Schema { path: Arc::clone(path), source };
        let schema = decoder.schema();
        let mut enriched: Vec<Arc<Schema>> = Vec::with_capacity(enrichers.len());
        for enricher in enrichers {
            let before = enriched.last().unwrap_or(schema);
            enriched.push(Arc::new(before.extend(enricher.added()).map_err(refuse)?));
        }
        let last = enriched.last().unwrap_or(schema);
        if last.named(fault_marks::FIELD).is_some() {
            // A plugin could otherwise mark rows, or hide the mark.
            return Err(refuse(SchemaError::Twice(fault_marks::FIELD.to_owned())));
        }
        let mut marked = Schema::clone(last);
        marked.fields.push(fault_marks::field());
        Ok(Self {
            plain: Asked::default(),
            wide: None,
            arrow: Arc::new(last.arrow()),
            marked_arrow: Arc::new(marked.arrow()),
            marked: Arc::new(marked),
            enriched,
        })
    }

    /// Computes the fields that are decoded at each stage. `shadow` are those that a shadow of the sampler reads; with `planned`, rows may
    /// carry thresholds of the kernel plan, which the sampling needs.
    pub(crate) fn ask(&mut self, stages: &Stages, shadow: &[usize], planned: bool) {
        let schema = stages.decoder.schema();
        let sampled = stages.sampler.iter().flat_map(|sampler| sampler.wanted().iter().copied());
        let thresholds = planned.then(|| schema.position(FieldUse::Threshold)).flatten();
        // The value that both ends of an exchange have in common decides whether they are kept.
        let correlation = schema.position(FieldUse::Correlation);
        let common = correlation.into_iter().chain(correlation.and_then(|_| schema.position(FieldUse::TraceParent)));
        let first: Vec<usize> = Metrics::wanted(schema).into_iter().chain(sampled).chain(thresholds).chain(common).collect();
        let wide = first.iter().chain(shadow).copied().collect();
        self.plain = Asked::new(schema, first);
        self.wide = Some(Asked::new(schema, wide)).filter(|wide| *wide != self.plain);
    }

    /// Whether a shadow of the sampler reads more fields.
    pub(crate) fn widens(&self) -> bool {
        self.wide.is_some()
    }

    /// Returns the fields that the decoder is asked for.
    pub(crate) fn asked(&self, wide: bool) -> &Asked {
        self.wide.as_ref().filter(|_| wide).unwrap_or(&self.plain)
    }

    /// Returns the schema in front of the enricher at `place`.
    pub(crate) fn before<'a>(&'a self, stages: &'a Stages, place: usize) -> &'a Arc<Schema> {
        let before = place.checked_sub(1).and_then(|before| self.enriched.get(before));
        before.unwrap_or_else(|| stages.decoder.schema())
    }
}

// === impl Asked ===

impl Asked {
    fn new(schema: &Schema, mut first: Vec<usize>) -> Self {
        first.retain(|&field| field < schema.fields.len());
        first.sort_unstable();
        first.dedup();
        Self { later: (0..schema.fields.len()).filter(|field| first.binary_search(field).is_err()).collect(), first }
    }
}
