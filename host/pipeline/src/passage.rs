//! The passage of one batch: decode, count, sample, complete, enrich, write. A stage that faults is stepped over as its role
//! says, and every row is counted whatever happens.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use host_model::{Batch, Decisions, FieldUse, Input, Kept, Observer, PathCounters, Run, Schema, Sink, Threshold};

use crate::binding::Binding;
use crate::blueprint::{Stages, StartError};
use crate::columns;
use crate::metrics::Metrics;
use crate::raw;
use crate::sampling::{Randomness, Verdicts};

/// The stages of one path with all that is worked out once per binding.
pub(crate) struct Passage {
    pub(crate) path: Arc<str>,
    pub(crate) stages: Stages,
    pub(crate) metrics: Metrics,
    /// Whether the kernel has been given a plan, so that rows may carry thresholds of its own.
    pub(crate) planned: bool,
    pub(crate) observer: Arc<dyn Observer>,
    binding: Binding,
    counters: Arc<PathCounters>,
    cardinality: usize,
    raw: Arc<Schema>,
    raw_arrow: Arc<arrow_schema::Schema>,
    randomness: Randomness,
}

// === impl Passage ===

impl Passage {
    pub(crate) fn new(
        path: Arc<str>,
        counters: Arc<PathCounters>,
        observer: Arc<dyn Observer>,
        stages: Stages,
        cardinality: usize,
    ) -> Result<Self, StartError> {
        let binding = Binding::new(&path, &*stages.decoder, stages.sampler.as_deref(), &stages.enrichers, false)?;
        let raw = Arc::new(raw::schema());
        Ok(Self {
            path,
            metrics: Metrics::new(stages.decoder.schema(), cardinality),
            stages,
            planned: false,
            observer,
            binding,
            counters,
            cardinality,
            raw_arrow: Arc::new(raw.arrow()),
            raw,
            randomness: Randomness::new(),
        })
    }

    /// Goes on with a new binding. Metrics start anew if the rows mean something else now.
    pub(crate) fn rebind(&mut self, binding: Binding) {
        let schema = self.stages.decoder.schema();
        if self.metrics.schema() != schema {
            self.metrics = Metrics::new(schema, self.cardinality);
        }
        self.binding = binding;
    }

    /// From now on rows may carry thresholds of the kernel plan.
    pub(crate) fn expect_plan(&mut self) -> Result<(), StartError> {
        let stages = &self.stages;
        let binding = Binding::new(&self.path, &*stages.decoder, stages.sampler.as_deref(), &stages.enrichers, true)?;
        self.planned = true;
        self.rebind(binding);
        Ok(())
    }

    /// Takes one run along the path.
    pub(crate) fn pass(&mut self, run: Run<'_>, unix_offset_ns: u64, sink: &mut dyn Sink) {
        PathCounters::add(&self.counters.received, run.records.into());
        if run.records == 0 {
            return;
        }
        let decoded = match self.stages.decoder.decode(run, &self.binding.first) {
            Ok(decoded) => decoded,
            Err(fault) => {
                self.observer.fault(&fault, Input::Run(run, &self.binding.first));
                return self.pass_raw(run, None, &fault.kind.to_string(), &fault.to_string(), unix_offset_ns, sink);
            }
        };
        if !decoded.undecodable.is_empty() {
            let reason = format!("{} could not read this record", self.stages.decoder.id());
            self.pass_raw(run, Some(&decoded.undecodable), "undecodable", &reason, unix_offset_ns, sink);
        }
        let undecodable = decoded.undecodable.len() as u64;
        PathCounters::add(&self.counters.decoded, u64::from(run.records).saturating_sub(undecodable));
        let mut batch = decoded.batch;
        PathCounters::add(&self.counters.rows, batch.rows as u64);
        self.metrics.record(&batch);

        let verdicts = self.sample(&batch);
        let kept = verdicts.thresholds.len();
        PathCounters::add(&self.counters.sampled_out, (batch.rows - kept) as u64);
        PathCounters::add(&self.counters.kept, kept as u64);
        if kept == 0 {
            return;
        }
        self.complete(&mut batch, &verdicts);
        self.enrich(&mut batch);
        columns::fill(&mut batch);
        let arrow = Arc::clone(&self.binding.arrow);
        self.write(batch, &arrow, verdicts, unix_offset_ns, sink);
    }

    /// The sampler's verdicts; everything is kept if there is none or if it faults.
    fn sample(&mut self, batch: &Batch) -> Verdicts {
        let decided = self.stages.sampler.as_mut().map(|sampler| sampler.decide(batch));
        let decisions = match decided {
            Some(Ok(decisions)) => decisions,
            failed => {
                if let Some(Err(fault)) = failed {
                    self.observer.fault(&fault, Input::Batch(batch));
                }
                Decisions { thresholds: vec![Threshold::ALWAYS.get()], randomness: Vec::new() }
            }
        };
        let kernel = batch.schema.position(FieldUse::Threshold).and_then(|field| batch.column(field));
        let kernel =
            kernel.and_then(|column| column.as_primitive_opt::<UInt64Type>()).map_or(&[][..], |column| column.values());
        Verdicts::new(batch.rows, &decisions, kernel, &mut self.randomness)
    }

    /// Narrows the batch to the rows that were kept and asks for the fields that nobody needed before.
    fn complete(&mut self, batch: &mut Batch, verdicts: &Verdicts) {
        let rows: Vec<u32> = match verdicts.keep.as_slice() {
            [] => (0..u32::try_from(batch.rows).unwrap_or(u32::MAX)).collect(),
            keep => (0..).zip(keep).filter(|(_, keep)| **keep).map(|(row, _)| row).collect(),
        };
        if !verdicts.keep.is_empty()
            && let Err(error) = columns::narrow(batch, &columns::selection(&verdicts.keep))
        {
            // Cannot happen: the columns have the batch's length. If it does, the rows go on with blank columns.
            tracing::error!(path = %self.path, %error, "narrowing a batch failed");
            *batch = Batch::new(Arc::clone(&batch.schema), rows.len());
        }
        if self.binding.later.is_empty() {
            return;
        }
        match self.stages.decoder.complete(&rows, &self.binding.later) {
            Ok(columns) => batch.put(&self.binding.later, columns),
            // The columns stay blank.
            Err(fault) => self.observer.fault(&fault, Input::Other),
        }
    }

    fn enrich(&mut self, batch: &mut Batch) {
        columns::fill(batch);
        for (enricher, schema) in self.stages.enrichers.iter_mut().zip(&self.binding.enriched) {
            let added = enricher.enrich(batch).inspect_err(|fault| self.observer.fault(fault, Input::Batch(batch)));
            batch.columns.resize(schema.fields.len(), None);
            let first = batch.schema.fields.len();
            batch.schema = Arc::clone(schema);
            if let Ok(columns) = added {
                let places: Vec<usize> = (first..schema.fields.len()).collect();
                batch.put(&places, columns);
            }
            columns::fill(batch);
        }
    }

    fn write(
        &self,
        batch: Batch,
        arrow: &Arc<arrow_schema::Schema>,
        verdicts: Verdicts,
        unix_offset_ns: u64,
        sink: &mut dyn Sink,
    ) {
        let (schema, rows) = (Arc::clone(&batch.schema), batch.rows);
        match columns::record_batch(batch, arrow) {
            Ok(batch) => sink.write(&Kept {
                path: Arc::clone(&self.path),
                schema,
                batch,
                thresholds: verdicts.thresholds,
                randomness: verdicts.randomness,
                explicit_randomness: verdicts.explicit,
                unix_offset_ns,
            }),
            Err(error) => {
                // Cannot happen after `fill`. If it does, the rows are given up in the open.
                tracing::error!(path = %self.path, %error, "a batch does not fit its schema");
                PathCounters::add(&self.counters.delivery.dropped_rejected, rows as u64);
            }
        }
    }

    /// Records that no decoder could read go on as raw events; the sampler does not see them.
    fn pass_raw(
        &mut self,
        run: Run<'_>,
        indices: Option<&[u32]>,
        kind: &str,
        reason: &str,
        unix_offset_ns: u64,
        sink: &mut dyn Sink,
    ) {
        let batch = raw::rows(&self.raw, run, indices, kind, reason);
        let rows = batch.rows as u64;
        PathCounters::add(&self.counters.undecodable, rows);
        PathCounters::add(&self.counters.raw, rows);
        PathCounters::add(&self.counters.kept, rows);
        let always = Decisions { thresholds: vec![Threshold::ALWAYS.get()], randomness: Vec::new() };
        let verdicts = Verdicts::new(batch.rows, &always, &[], &mut self.randomness);
        self.write(batch, &Arc::clone(&self.raw_arrow), verdicts, unix_offset_ns, sink);
    }
}
