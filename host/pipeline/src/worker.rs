//! The worker: the thread that owns a path. It naps until a batch is worth taking, takes what is there, and between two
//! batches does what it is told.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use host_model::{FaultKind, Input, KernelPlan, Ledger, MetricData, PathCounters, Schema, Sink, Source, Stats};

use crate::audit::{AUDIT_INTERVAL, audit};
use crate::blueprint::BatchLimits;
use crate::line::{Next, Orders};
use crate::passage::{Passage, When};
use crate::shadow::tap::Tap;
use crate::shadow::{Known, Shared};
use crate::switch::{Change, SwitchError, Switched};

/// How often a sampler may change the kernel plan.
const TUNE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a drain may take at the end, in case the source does not dry up.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// What a worker is told.
pub(crate) enum Command {
    /// Count everything now.
    Ledger(SyncSender<Ledger>),
    /// Tell what the metrics of all rows have come to.
    Count(SyncSender<Counted>),
    /// Replace plugins. `rows` is what the path had counted when the switch was asked for.
    Switch { change: Box<Change>, rows: u64, reply: SyncSender<Result<Switched, SwitchError>> },
    /// Let a candidate look over the shoulder of a live plugin.
    Shadow { tap: Box<Tap>, reply: SyncSender<Result<Known, SwitchError>> },
    /// Let it go.
    Dismiss(Arc<Shared>),
}

/// What the metrics of a path have come to, over all its rows.
#[derive(Debug, Clone)]
pub struct Counted {
    /// What the rows mean.
    pub schema: Arc<Schema>,
    /// One for each metric of the schema, in its order. They count since the path started, or since its decoder was replaced by
    /// one with another schema.
    pub metrics: Vec<MetricData>,
}

/// All that one worker owns.
pub(crate) struct Worker {
    pub(crate) source: Box<dyn Source>,
    pub(crate) passage: Passage,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) counters: Arc<PathCounters>,
    pub(crate) limits: BatchLimits,
    pub(crate) orders: Orders<Command>,
    pub(crate) clock: Clock,
    /// A sampler's plan is in the kernel.
    pub(crate) steered: bool,
}

/// When the slow things were last done.
pub(crate) struct Clock {
    flushed: Instant,
    measured: Instant,
    audited: Instant,
    tuned: Instant,
    /// The same by the time of a capture.
    tuned_ns: Option<u64>,
    /// What the sampler was told last.
    told: Ledger,
    /// Why the last plan was refused, until one is taken.
    refused: String,
}

// === impl Clock ===

impl Clock {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            flushed: now,
            measured: now,
            audited: now,
            tuned: now,
            tuned_ns: None,
            told: Ledger::default(),
            refused: String::new(),
        }
    }
}

impl Clock {
    /// How long ago the sampler was told: in a replay by the time of its capture, so that each replay does the same.
    fn since_tuned(&mut self, time_ns: Option<u64>) -> Duration {
        let Some(now) = time_ns else { return self.tuned.elapsed() };
        Duration::from_nanos(now.saturating_sub(*self.tuned_ns.get_or_insert(now)))
    }
}

// === impl Worker ===

impl Worker {
    /// The life of the thread.
    pub(crate) fn run(mut self) {
        loop {
            if self.obey() {
                break;
            }
            if self.source.ended() && self.source.waiting_bytes() == 0 {
                self.finish();
                while let Some(command) = self.orders.wait() {
                    self.carry_out(command);
                }
                break;
            }
            self.source.wait(self.limits.bytes, self.limits.age);
            self.take();
            self.tick();
        }
        self.drain();
        self.finish();
    }

    /// Takes what waits at this moment. What arrives meanwhile is left for the next round, unless it is worth a batch: so a
    /// trickle is read in batches of an age, and a flood in batches of full size.
    fn take(&mut self) {
        let mut owed = self.source.waiting_bytes();
        while owed > 0 {
            let taken = self.batch();
            if taken == 0 {
                break;
            }
            owed = owed.saturating_sub(taken);
            if self.orders.are_there() {
                break;
            }
        }
    }

    /// One batch. Returns its bytes in the ring.
    fn batch(&mut self) -> usize {
        let observed_ns = self.source.time_ns().unwrap_or(0);
        let when = When { unix_offset_ns: self.source.unix_offset_ns(), observed_ns };
        let run = self.source.run(self.limits.rows, self.limits.bytes);
        let taken = run.bytes.len();
        if taken > 0 {
            self.passage.pass(run, when, &mut *self.sink);
            self.give_back();
            self.source.release();
        }
        taken
    }

    /// Gives conversations back that the decoder disowns.
    fn give_back(&mut self) {
        if !self.source.is_routed() {
            return;
        }
        match self.passage.stages.decoder.disowned() {
            Ok(disowned) if disowned.is_empty() => {}
            Ok(disowned) => self.source.give_back(&disowned),
            Err(fault) => self.passage.observer.fault(&fault, Input::Other),
        }
    }

    /// Does what it was told. True: stop.
    fn obey(&mut self) -> bool {
        loop {
            match self.orders.next() {
                Next::Command(command) => self.carry_out(command),
                Next::Nothing => return false,
                Next::Stop => return true,
            }
        }
    }

    /// Whoever asked may have given up waiting for the answer.
    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Ledger(reply) => {
                let _ = reply.try_send(self.audit());
            }
            Command::Count(reply) => {
                let metrics = &self.passage.metrics;
                let _ = reply.try_send(Counted { schema: Arc::clone(metrics.schema()), metrics: metrics.collect() });
            }
            Command::Switch { change, rows, reply } => {
                let began = Instant::now();
                if change.decoder.is_some() {
                    // Its metrics may be others: what was counted so far goes out under the old names.
                    self.passage.metrics.tell(&mut *self.sink);
                }
                let replans = change.sampler.is_some() && self.passage.planned;
                let mut switched = change.make(&mut self.passage);
                if let Ok(switched) = &mut switched {
                    if replans {
                        self.forget_plan();
                    }
                    switched.pause_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    switched.rows_during = self.counters.ledger().rows.saturating_sub(rows);
                }
                let _ = reply.try_send(switched);
            }
            Command::Shadow { tap, reply } => {
                let _ = reply.try_send(self.passage.admit(*tap));
            }
            Command::Dismiss(shared) => self.passage.dismiss(&shared),
        }
    }

    /// The slow things, when their time has come.
    fn tick(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.clock.flushed) >= self.limits.age {
            self.clock.flushed = now;
            self.sink.flush();
        }
        if now.duration_since(self.clock.audited) >= AUDIT_INTERVAL {
            self.audit();
        }
        if now.duration_since(self.clock.measured) >= self.limits.metric_interval {
            self.clock.measured = now;
            self.passage.metrics.tell(&mut *self.sink);
        }
        let tuned = self.clock.since_tuned(self.source.time_ns());
        if tuned >= TUNE_INTERVAL {
            self.tune(tuned);
        }
    }

    fn audit(&mut self) -> Ledger {
        self.clock.audited = Instant::now();
        self.counters.series.store(self.passage.metrics.series() as u64, Relaxed);
        audit(&mut *self.source, &self.counters);
        self.counters.take()
    }

    /// Tells the sampler what was measured, and the kernel what the sampler wants.
    fn tune(&mut self, elapsed: Duration) {
        self.clock.tuned = Instant::now();
        self.clock.tuned_ns = self.source.time_ns();
        let replay = self.clock.tuned_ns.is_some();
        if replay {
            // What a sampler is told there does not hang on when the host last looked.
            self.audit();
        }
        let Some(sampler) = self.passage.stages.sampler.as_mut() else { return };
        let ledger = self.counters.ledger();
        let told = std::mem::replace(&mut self.clock.told, ledger);
        let (queue_bytes, queue_cap_bytes) = self.sink.queue();
        let queue_bytes = if replay { 0 } else { queue_bytes };
        let stats = Stats {
            elapsed_ns: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
            produced: ledger.produced.saturating_sub(told.produced),
            lost_in_ring: ledger.lost_in_ring.saturating_sub(told.lost_in_ring),
            filtered_in_kernel: ledger.filtered_in_kernel.saturating_sub(told.filtered_in_kernel),
            rows: ledger.rows.saturating_sub(told.rows),
            kept: ledger.kept.saturating_sub(told.kept),
            queue_bytes,
            queue_cap_bytes,
        };
        self.passage.taps.told(&stats);
        let plan = match sampler.tune(&stats) {
            Ok(Some(plan)) => plan,
            Ok(None) => return,
            Err(fault) => {
                self.passage.observer.fault(&fault, Input::Other);
                // After a fault the plan stays; but nobody answers for it any more if its sampler is not called again.
                if fault.kind == FaultKind::Quarantined && self.steered {
                    tracing::warn!(path = %self.passage.path, "the sampler is quarantined; its kernel plan is taken back");
                    self.forget_plan();
                }
                return;
            }
        };
        match self.apply(&plan) {
            Ok(()) => self.clock.refused.clear(),
            // A sampler may try every second.
            Err(reason) if reason == self.clock.refused => {}
            Err(reason) => {
                tracing::warn!(path = %self.passage.path, %reason, "the sampler's kernel plan was refused; the plan before stays");
                self.clock.refused = reason;
            }
        }
    }

    fn apply(&mut self, plan: &KernelPlan) -> Result<(), String> {
        plan.check().map_err(|error| error.to_string())?;
        self.source.apply(plan).map_err(|error| error.to_string())?;
        self.steered = *plan != KernelPlan::default();
        self.passage.expect_plan();
        Ok(())
    }

    /// Lets everything through again: a plan ends with the sampler that made it.
    fn forget_plan(&mut self) {
        if let Err(reason) = self.apply(&KernelPlan::default()) {
            tracing::warn!(path = %self.passage.path, %reason, "the kernel plan of the sampler before could not be taken back");
        }
    }

    /// Takes everything that is still in the ring.
    fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN_DEADLINE;
        while self.source.waiting_bytes() > 0 && Instant::now() < deadline {
            if self.batch() == 0 {
                // The record at the head is still being written.
                self.source.wait(1, Duration::from_millis(1));
            }
        }
    }

    /// Hands over the last rows and metrics, and counts.
    fn finish(&mut self) {
        self.passage.metrics.tell(&mut *self.sink);
        self.sink.flush();
        self.audit();
        self.orders.finished();
    }
}
