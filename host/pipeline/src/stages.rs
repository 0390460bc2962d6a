//! One batch through all stages: decode, count, sample, complete, enrich, write. A stage that faults is skipped as its fallback says, and
//! every row is counted in all cases.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use host_model::{
    Batch, CallStats, Decisions, Decoded, Fallback, Fault, Input, Kept, NEVER, Observer, PathCounters, Run, Schema, Seed,
    Settled, Sink, Threshold,
};

use crate::binding::Binding;
use crate::blueprint::{Stages, StartError};
use crate::columns;
use crate::fault_marks::FaultMarks;
use crate::metrics::{Metrics, SeriesLimits};
use crate::raw::{self, Reason};
use crate::sampling::{Given, Randomness, Verdicts};
use crate::shadow::tap::{Sample, Tap, Taps};
use crate::shadow::{Known, ShadowError, Shared};

/// The stages of a path, with all values that are computed once per binding.
pub(crate) struct BoundStages {
    pub(crate) path: Arc<str>,
    pub(crate) stages: Stages,
    pub(crate) metrics: Metrics,
    /// Whether the kernel has a plan, so that rows may carry thresholds of its own.
    pub(crate) planned: bool,
    pub(crate) observer: Arc<dyn Observer>,
    /// Taps of candidates that run beside the stages.
    pub(crate) taps: Taps,
    binding: Binding,
    counters: Arc<PathCounters>,
    series: SeriesLimits,
    raw: Arc<Schema>,
    raw_arrow: Arc<arrow_schema::Schema>,
    randomness: Randomness,
    seed: Seed,
}

/// The time of a run.
#[derive(Clone, Copy)]
pub(crate) struct When {
    /// The difference of Unix time and CLOCK_MONOTONIC, nanoseconds.
    pub(crate) unix_offset_ns: u64,
    /// When the run was recorded in a replay, CLOCK_MONOTONIC nanoseconds; else 0 for now.
    pub(crate) observed_ns: u64,
}

// === impl BoundStages ===

impl BoundStages {
    pub(crate) fn new(
        path: Arc<str>,
        counters: Arc<PathCounters>,
        observer: Arc<dyn Observer>,
        stages: Stages,
        series: SeriesLimits,
        seed: Seed,
    ) -> Result<Self, StartError> {
        let binding = Binding::new(&path, &*stages.decoder, &stages.enrichers)?;
        let raw = Arc::new(raw::schema());
        let mut bound = Self {
            metrics: Metrics::new(stages.decoder.schema(), series),
            stages,
            planned: false,
            observer,
            taps: Taps::default(),
            binding,
            counters,
            series,
            raw_arrow: Arc::new(raw.arrow()),
            raw,
            randomness: Randomness::new(&seed, &path),
            seed,
            path,
        };
        bound.ask();
        Ok(bound)
    }

    /// Replaces the binding. Metrics restart if the schema changed, and shadows end whose live plugin was replaced.
    pub(crate) fn rebind(&mut self, binding: Binding) {
        let schema = self.stages.decoder.schema();
        if self.metrics.schema() != schema {
            self.metrics = Metrics::new(schema, self.series);
        }
        self.binding = binding;
        self.taps.outlive(&self.stages, &self.binding);
        self.ask();
    }

    /// Notes that rows may carry thresholds of the kernel plan from now on.
    pub(crate) fn expect_plan(&mut self) {
        self.planned = true;
        self.ask();
    }

    /// Admits a candidate beside its live plugin.
    pub(crate) fn admit(&mut self, tap: Tap) -> Result<Known, ShadowError> {
        let known = self.taps.admit(tap, &self.path, &self.stages, &self.binding)?;
        self.ask();
        Ok(known)
    }

    /// Dismisses a candidate.
    pub(crate) fn dismiss(&mut self, shared: &Arc<Shared>) {
        self.taps.dismiss(shared);
        self.ask();
    }

    /// Recomputes the fields that are decoded at each stage.
    fn ask(&mut self) {
        self.binding.ask(&self.stages, self.taps.wanted(), self.planned);
    }

    /// Runs all stages on one run. The time outside the plugins is the host's own work on the decoder's rows: it is measured beside the
    /// decoder's calls.
    pub(crate) fn run(&mut self, run: Run<'_>, when: When, sink: &mut dyn Sink) {
        let (began, called) = (Instant::now(), self.called_ns());
        self.run_stages(run, when, sink);
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let called = self.called_ns().saturating_sub(called);
        self.stages.decoder.stats().record_work(took.saturating_sub(called));
    }

    /// Returns the total time spent in the plugins of the path.
    fn called_ns(&self) -> u64 {
        let Stages { decoder, sampler, enrichers } = &self.stages;
        let of = |stats: &CallStats| stats.total_ns.load(Relaxed);
        of(decoder.stats())
            + sampler.as_ref().map_or(0, |sampler| of(sampler.stats()))
            + enrichers.iter().map(|enricher| of(enricher.stats())).sum::<u64>()
    }

    fn run_stages(&mut self, run: Run<'_>, when: When, sink: &mut dyn Sink) {
        PathCounters::add(&self.counters.received, run.records.into());
        if run.records == 0 {
            return;
        }
        self.taps.decoding(&*self.stages.decoder);
        let wide = self.binding.widens() && self.taps.sampler.as_mut().is_some_and(Tap::turn);
        let asked = self.binding.asked(wide);
        let decoded = match self.stages.decoder.decode(run, &asked.first) {
            Ok(decoded) => decoded,
            Err(fault) => {
                self.observer.fault(&fault, Input::Run(run, &asked.first));
                return self.fail(run, &fault, when, sink);
            }
        };
        self.taps.decoded(&decoded);
        let Decoded { mut batch, undecodable } = decoded;
        if !undecodable.is_empty() {
            let reason = format!("{} could not read this record", self.stages.decoder.id());
            let reason = Reason { kind: "undecodable", body: &reason, detail: "" };
            let raw = raw::rows(&self.raw, run, Some(&undecodable), reason);
            self.pass_raw(raw, when, sink);
        }
        PathCounters::add(&self.counters.decoded, u64::from(run.records).saturating_sub(undecodable.len() as u64));
        let rows = batch.rows;
        PathCounters::add(&self.counters.rows, rows as u64);
        self.metrics.record(&batch);

        let mut marks = FaultMarks::default();
        let verdicts = self.sample(&batch, &mut marks);
        let kept = verdicts.thresholds.len();
        let goes_on = kept > 0 && self.complete(&mut batch, &verdicts, wide, &mut marks) && self.enrich(&mut batch, &mut marks);
        self.taps.passed(run, &*self.stages.decoder);
        let kept = if goes_on { kept } else { 0 };
        PathCounters::add(&self.counters.sampled_out, (rows - kept) as u64);
        PathCounters::add(&self.counters.kept, kept as u64);
        if !goes_on {
            return;
        }
        columns::fill(&mut batch);
        let mut arrow = &self.binding.arrow;
        if let Some(column) = marks.column(batch.rows) {
            batch.columns.push(Some(column));
            batch.schema = Arc::clone(&self.binding.marked);
            arrow = &self.binding.marked_arrow;
        }
        self.write(batch, arrow, verdicts, when, sink);
    }

    /// Runs the sampler. Without one all rows are kept; on a fault all or none, as its fallback says.
    fn sample(&mut self, batch: &Batch, marks: &mut FaultMarks) -> Verdicts {
        let Self { stages, taps, observer, randomness, seed, .. } = self;
        let given = Given::of(batch, seed);
        let alike = |threshold: Threshold| Decisions { thresholds: vec![threshold.get()], randomness: Vec::new() };
        let Some(sampler) = &mut stages.sampler else {
            return Verdicts::new(batch.rows, &alike(Threshold::ALWAYS), &given, randomness, None);
        };
        let watch = taps.sampler.as_mut().and_then(|tap| tap.watch(&**sampler));
        let decisions = match sampler.decide(batch) {
            Ok(decisions) => decisions,
            Err(fault) => {
                let goes_on = step_over(&**observer, &fault, Input::Batch(batch), sampler.fallback(), marks);
                let threshold = if goes_on { Threshold::ALWAYS } else { NEVER };
                return Verdicts::new(batch.rows, &alike(threshold), &given, randomness, None);
            }
        };
        let Some(watch) = watch else { return Verdicts::new(batch.rows, &decisions, &given, randomness, None) };
        let live_ns = watch.spent(&**sampler);
        let mut drawn = Vec::with_capacity(batch.rows);
        let verdicts = Verdicts::new(batch.rows, &decisions, &given, randomness, Some(&mut drawn));
        if let Some(tap) = &taps.sampler {
            tap.offer(Sample::Rows { batch: batch.clone(), decisions, drawn, live_ns });
        }
        verdicts
    }

    /// Narrows the batch to the kept rows and has the remaining fields decoded. Returns whether the rows go on.
    fn complete(&mut self, batch: &mut Batch, verdicts: &Verdicts, wide: bool, marks: &mut FaultMarks) -> bool {
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
        let later = &self.binding.asked(wide).later;
        if later.is_empty() {
            return true;
        }
        let decoder = &mut self.stages.decoder;
        match decoder.complete(&rows, later) {
            Ok(columns) => {
                self.taps.completed(rows, later, &columns);
                batch.put(later, columns);
                true
            }
            // The columns stay blank.
            Err(fault) => {
                self.taps.forget_run();
                step_over(&*self.observer, &fault, Input::Other, decoder.fallback(), marks)
            }
        }
    }

    /// Adds the columns of the enrichers. Returns whether the rows go on.
    fn enrich(&mut self, batch: &mut Batch, marks: &mut FaultMarks) -> bool {
        let Self { stages, taps, observer, binding, .. } = self;
        columns::fill(batch);
        for (place, (enricher, schema)) in stages.enrichers.iter_mut().zip(&binding.enriched).enumerate() {
            let tap = taps.enrichers.iter_mut().find(|tap| tap.place == place);
            let watched = tap.and_then(|tap| tap.watch(&**enricher).map(|watch| (tap, watch)));
            let added = match enricher.enrich(batch) {
                Ok(columns) => Some(columns),
                Err(fault) => {
                    if !step_over(&**observer, &fault, Input::Batch(batch), enricher.fallback(), marks) {
                        return false;
                    }
                    None
                }
            };
            if let (Some((tap, watch)), Some(added)) = (watched, &added) {
                let live_ns = watch.spent(&**enricher);
                tap.offer(Sample::Kept { batch: batch.clone(), added: added.clone(), live_ns });
            }
            batch.columns.resize(schema.fields.len(), None);
            let first = batch.schema.fields.len();
            batch.schema = Arc::clone(schema);
            if let Some(columns) = added {
                let places: Vec<usize> = (first..schema.fields.len()).collect();
                batch.put(&places, columns);
            }
            columns::fill(batch);
        }
        true
    }

    fn write(&self, batch: Batch, arrow: &Arc<arrow_schema::Schema>, verdicts: Verdicts, when: When, sink: &mut dyn Sink) {
        let (schema, rows) = (Arc::clone(&batch.schema), batch.rows);
        match columns::record_batch(batch, arrow) {
            Ok(batch) => sink.write(&Kept {
                path: Arc::clone(&self.path),
                schema,
                batch,
                thresholds: verdicts.thresholds,
                randomness: verdicts.randomness,
                explicit_randomness: verdicts.explicit,
                unix_offset_ns: when.unix_offset_ns,
                observed_ns: when.observed_ns,
            }),
            Err(error) => {
                // Cannot happen after `fill`. If it does, the rows are dropped and counted.
                tracing::error!(path = %self.path, %error, "a batch does not fit its schema");
                self.counters.delivery.count(rows as u64, Settled::Rejected);
            }
        }
    }

    /// Handles a run on which the decoder failed: its records go on as raw events, or are counted as such and dropped.
    fn fail(&mut self, run: Run<'_>, fault: &Fault, when: When, sink: &mut dyn Sink) {
        match self.stages.decoder.fallback() {
            Fallback::Pass => {
                let kind = fault.kind.to_string();
                let body = format!("{} failed in {} ({kind})", fault.plugin, fault.step);
                let raw = raw::rows(&self.raw, run, None, Reason { kind: &kind, body: &body, detail: &fault.detail });
                self.pass_raw(raw, when, sink);
            }
            Fallback::Drop => {
                let records = u64::from(run.records);
                PathCounters::add(&self.counters.undecodable, records);
                PathCounters::add(&self.counters.raw, records);
                PathCounters::add(&self.counters.sampled_out, records);
            }
        }
    }

    /// Writes raw events of records that no decoder could read; the sampler does not see them.
    fn pass_raw(&mut self, batch: Batch, when: When, sink: &mut dyn Sink) {
        let rows = batch.rows as u64;
        PathCounters::add(&self.counters.undecodable, rows);
        PathCounters::add(&self.counters.raw, rows);
        PathCounters::add(&self.counters.kept, rows);
        let always = Decisions { thresholds: vec![Threshold::ALWAYS.get()], randomness: Vec::new() };
        let verdicts = Verdicts::new(batch.rows, &always, &Given::default(), &mut self.randomness, None);
        self.write(batch, &self.raw_arrow, verdicts, when, sink);
    }
}

/// Reports a fault of an optional stage, and marks it. Returns whether the rows go on.
fn step_over(observer: &dyn Observer, fault: &Fault, input: Input<'_>, fallback: Fallback, marks: &mut FaultMarks) -> bool {
    observer.fault(fault, input);
    marks.add(fault);
    fallback == Fallback::Pass
}
