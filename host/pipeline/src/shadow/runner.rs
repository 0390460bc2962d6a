//! The candidate's end of a shadow run: a thread that calls it with the input of the live plugin.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use arrow_array::ArrayRef;
use host_model::{Batch, CallStats, Decisions, Decoded, Decoder, Enricher, Fault, Run, Sampler, Stats};

use crate::shadow::compare::{self, Side};
use crate::shadow::tally::{Finding, Times};
use crate::shadow::tap::{Completed, Sample};
use crate::shadow::{Candidate, Known, Shared};

/// Minimum and maximum sleep while no sample waits. The thread polls, because waking it would cost the live path a system call per batch;
/// at a normal rate no more arrives within the maximum sleep than there is room for.
const NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(8);

/// The control works on one batch in eight: enough for a median, at an eighth of the processor time.
const TIMED: u64 = 8;

/// Niceness of the thread. Not 19: a thread that runs only on idle processors cannot meet the deadline of a call.
const NICENESS: i32 = 10;

/// The state of the thread of a shadow run.
pub(crate) struct Runner {
    candidate: Contender,
    /// Another instance of the live plugin, for a fair comparison of time.
    control: Option<Contender>,
    /// Number of batches so far.
    batches: u64,
    known: Known,
    samples: Receiver<Sample>,
    shared: Arc<Shared>,
}

/// A plugin that works on samples here.
struct Contender {
    plugin: Candidate,
    stats: Arc<CallStats>,
    /// The fields that both it and the live decoder, or enricher, have.
    fields: Vec<compare::Common>,
}

/// A run of records, and the rows of the live decoder.
struct Decoding<'a> {
    run: Run<'a>,
    decoded: &'a Decoded,
    completed: Option<&'a Completed>,
}

// === impl Runner ===

impl Runner {
    pub(crate) fn new(
        candidate: Candidate,
        control: Option<Candidate>,
        known: Known,
        samples: Receiver<Sample>,
        shared: Arc<Shared>,
    ) -> Self {
        let (candidate, missing, added) = Contender::new(candidate, &known);
        let control = control.map(|control| Contender::new(control, &known).0);
        shared.tally().fields(missing, added);
        Self { candidate, control, batches: 0, known, samples, shared }
    }

    /// Runs the thread until the handle is dropped, or the worker has dismissed the candidate and no sample waits.
    pub(crate) fn run(mut self) {
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "a shadow runs at the priority of the live path");
        }
        let mut nap = NAP;
        while !self.shared.is_over() {
            match self.samples.try_recv() {
                Ok(sample) => {
                    nap = NAP;
                    self.shared.waiting.fetch_sub(1, Relaxed);
                    self.work(sample);
                }
                Err(TryRecvError::Empty) => {
                    std::thread::park_timeout(nap);
                    nap = (nap * 2).min(LONGEST_NAP);
                }
                Err(TryRecvError::Disconnected) => {
                    self.shared.end("the path has stopped");
                    return;
                }
            }
        }
    }

    fn work(&mut self, sample: Sample) {
        let live_ns = match &sample {
            Sample::Run { live_ns, .. } | Sample::Rows { live_ns, .. } | Sample::Kept { live_ns, .. } => *live_ns,
            Sample::Stats(stats) => return self.tune(stats),
        };
        // The second to run finds the batch in the caches: they alternate.
        let (timed, control_first) = (self.batches.is_multiple_of(TIMED), (self.batches / TIMED).is_multiple_of(2));
        self.batches += 1;
        let mut control_ns = None;
        if timed && control_first {
            control_ns = self.control.as_mut().map(|control| control.answer(&sample, &self.known).1);
        }
        let (found, candidate_ns) = self.candidate.answer(&sample, &self.known);
        if timed && !control_first {
            control_ns = self.control.as_mut().map(|control| control.answer(&sample, &self.known).1);
        }
        let live_ns = if self.control.is_some() { control_ns } else { Some(live_ns) };
        if let Sample::Run { bytes, .. } = sample {
            self.shared.give_back(bytes);
        }
        let mut tally = self.shared.tally();
        match found {
            Some(Ok(finding)) => tally.add(finding, live_ns.map(|live_ns| Times { live_ns, candidate_ns })),
            Some(Err(_)) => tally.fault(),
            None => {}
        }
    }

    fn tune(&mut self, stats: &Stats) {
        // The plans would go to the kernel; neither of the two may steer it.
        if let Some(Contender { plugin: Candidate::Sampler(sampler), .. }) = &mut self.control {
            let _ = sampler.tune(stats);
        }
        if let Candidate::Sampler(sampler) = &mut self.candidate.plugin
            && sampler.tune(stats).is_err()
        {
            self.shared.tally().fault();
        }
    }
}

// === impl Contender ===

impl Contender {
    /// Also returns the fields that only the live plugin has, and those that only this one has.
    fn new(plugin: Candidate, known: &Known) -> (Self, Vec<String>, Vec<String>) {
        let (fields, missing, added) = match &plugin {
            Candidate::Decoder(decoder) => compare::fields(&known.schema.fields, &decoder.schema().fields),
            Candidate::Sampler(_) => (Vec::new(), Vec::new(), Vec::new()),
            Candidate::Enricher(enricher) => compare::fields(&known.added, enricher.added()),
        };
        let stats = Arc::clone(plugin.stats());
        (Self { plugin, stats, fields }, missing, added)
    }

    /// Compares its results on a batch with those of the live plugin; also returns the nanoseconds that its calls took. None for a sample
    /// of another role, which no tap offers.
    fn answer(&mut self, sample: &Sample, known: &Known) -> (Option<Result<Finding, Fault>>, u64) {
        let before = self.stats.total_ns.load(Relaxed);
        let found = match (&mut self.plugin, sample) {
            (Candidate::Decoder(decoder), Sample::Run { bytes, records, decoded, completed, .. }) => {
                let live = Decoding { run: Run { bytes, records: *records }, decoded, completed: completed.as_ref() };
                Some(decode(&mut **decoder, &live, &self.fields))
            }
            (Candidate::Sampler(sampler), Sample::Rows { batch, decisions, drawn, .. }) => {
                Some(decide(&mut **sampler, batch, decisions, drawn))
            }
            (Candidate::Enricher(enricher), Sample::Kept { batch, added, .. }) => {
                Some(enrich(&mut **enricher, batch, added, known, &self.fields))
            }
            _ => None,
        };
        (found, self.stats.total_ns.load(Relaxed).saturating_sub(before))
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Used only without another reason.
        self.shared.end("the candidate's thread has ended");
        std::mem::take(&mut *self.shared.buffers.lock());
    }
}

/// Asks the candidate for the fields that the live decoder was asked for, if it has them.
fn decode(decoder: &mut dyn Decoder, live: &Decoding<'_>, fields: &[compare::Common]) -> Result<Finding, Fault> {
    let Decoding { run, decoded, completed } = *live;
    let asked = |at_once: bool| {
        let of_call = move |shared: &&compare::Common| match (at_once, completed) {
            (true, _) => decoded.batch.column(shared.live).is_some(),
            (false, Some(completed)) => completed.fields.contains(&shared.live),
            (false, None) => false,
        };
        fields.iter().filter(of_call).map(|shared| shared.candidate).collect::<Vec<usize>>()
    };
    let (first, later) = (asked(true), asked(false));
    let candidate = decoder.decode(run, &first)?;
    let pairs = compare::pairs(run.records, decoded, &candidate);
    let mut rows: Vec<u32> = Vec::new();
    let mut columns = Vec::new();
    if let Some(completed) = completed {
        let is_kept = |row: usize| u32::try_from(row).is_ok_and(|row| completed.rows.binary_search(&row).is_ok());
        let kept = pairs.iter().filter_map(|pair| pair.1.filter(|_| pair.0.is_some_and(is_kept)));
        rows = kept.filter_map(|row| u32::try_from(row).ok()).collect();
        if !rows.is_empty() && !later.is_empty() {
            columns = decoder.complete(&rows, &later)?;
        }
    }
    let (mut live_side, mut candidate_side) = (Side::of(&decoded.batch), Side::of(&candidate.batch));
    if let Some(completed) = completed {
        live_side.complete(&completed.rows, &completed.fields, &completed.columns);
        candidate_side.complete(&rows, &later, &columns);
    }
    Ok(compare::rows(&live_side, &candidate_side, fields, &pairs, None))
}

fn decide(sampler: &mut dyn Sampler, batch: &Batch, live: &Decisions, drawn: &[u64]) -> Result<Finding, Fault> {
    let decisions = sampler.decide(batch)?;
    Ok(compare::verdicts(batch, live, drawn, &decisions))
}

fn enrich(
    enricher: &mut dyn Enricher,
    batch: &Batch,
    live: &[ArrayRef],
    known: &Known,
    fields: &[compare::Common],
) -> Result<Finding, Fault> {
    let added = enricher.enrich(batch)?;
    let pairs: Vec<compare::Pair> = (0..batch.rows).map(|row| (Some(row), Some(row))).collect();
    let (live, candidate) = (Side::added(&known.added, live), Side::added(enricher.added(), &added));
    Ok(compare::rows(&live, &candidate, fields, &pairs, Some(&Side::of(batch))))
}
