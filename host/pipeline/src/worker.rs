//! The worker: the thread that owns a path. It sleeps until a batch is large or old enough, processes the records that are there, and
//! handles commands between two batches.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_model::audit::{AUDIT_INTERVAL, audit};
use host_model::{Commands, FaultKind, Input, KernelPlan, Ledger, Next, PathCounters, Sink, Source, Stats};

use crate::blueprint::BatchLimits;
use crate::command::{Command, Counted};
use crate::stages::{BoundStages, When};

/// Interval at which a sampler may change the kernel plan.
const TUNE_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum time of the drain at the end, in case the source never runs dry.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// The state of a worker.
pub(crate) struct Worker {
    pub(crate) source: Box<dyn Source>,
    pub(crate) bound: BoundStages,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) counters: Arc<PathCounters>,
    pub(crate) limits: BatchLimits,
    pub(crate) commands: Commands<Command>,
    pub(crate) clock: Clock,
    /// Whether a sampler's plan is in the kernel.
    pub(crate) steered: bool,
}

/// When the periodic work was last done.
pub(crate) struct Clock {
    flushed: Instant,
    measured: Instant,
    audited: Instant,
    tuned: Instant,
    /// The time of the last `tune` by the clock of a capture.
    tuned_ns: Option<u64>,
    /// The ledger at the last call of `tune`.
    last_ledger: Ledger,
    /// Why the last plan was refused, until one is accepted.
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
            last_ledger: Ledger::default(),
            refused: String::new(),
        }
    }
}

impl Clock {
    /// Returns the time since the last call of `tune`: in a replay by the clock of its capture, so that each replay does the same.
    fn since_tuned(&mut self, time_ns: Option<u64>) -> Duration {
        let Some(now) = time_ns else { return self.tuned.elapsed() };
        Duration::from_nanos(now.saturating_sub(*self.tuned_ns.get_or_insert(now)))
    }
}

// === impl Worker ===

impl Worker {
    /// Runs the thread.
    pub(crate) fn run(mut self) {
        loop {
            if self.poll_commands() {
                break;
            }
            if self.source.ended() && self.source.waiting_bytes() == 0 {
                self.finish();
                while let Some(command) = self.commands.wait() {
                    self.handle(command);
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

    /// Processes the records that are there now. Later ones are left for the next round, unless there are enough for a batch: so a trickle
    /// is read in batches of one age, and a flood in batches of full size.
    fn take(&mut self) {
        let mut owed = self.source.waiting_bytes();
        while owed > 0 {
            let taken = self.batch();
            if taken == 0 {
                break;
            }
            owed = owed.saturating_sub(taken);
            if self.commands.is_pending() {
                break;
            }
        }
    }

    /// Runs one batch. Returns its bytes in the ring.
    fn batch(&mut self) -> usize {
        let observed_ns = self.source.time_ns().unwrap_or(0);
        let when = When { unix_offset_ns: self.source.unix_offset_ns(), observed_ns };
        let run = self.source.run(self.limits.rows, self.limits.bytes);
        let taken = run.bytes.len();
        if taken > 0 {
            self.bound.run(run, when, &mut *self.sink);
            self.give_back();
            self.source.release();
        }
        taken
    }

    /// Returns conversations that the decoder rejects to the router.
    fn give_back(&mut self) {
        if !self.source.is_routed() {
            return;
        }
        match self.bound.stages.decoder.disowned() {
            Ok(disowned) if disowned.is_empty() => {}
            Ok(disowned) => self.source.give_back(&disowned),
            Err(fault) => self.bound.observer.fault(&fault, Input::Other),
        }
    }

    /// Handles the waiting commands. Returns whether to stop.
    fn poll_commands(&mut self) -> bool {
        loop {
            match self.commands.next() {
                Next::Command(command) => self.handle(command),
                Next::Nothing => return false,
                Next::Stop => return true,
            }
        }
    }

    /// Handles a command. Its sender may have stopped waiting for the answer.
    fn handle(&mut self, command: Command) {
        match command {
            Command::Ledger(reply) => {
                let _ = reply.try_send(self.audit());
            }
            Command::Count(reply) => {
                let metrics = &self.bound.metrics;
                let _ = reply.try_send(Counted { schema: Arc::clone(metrics.schema()), metrics: metrics.collect() });
            }
            Command::Switch { change, rows, reply } => {
                let began = Instant::now();
                if change.decoder.is_some() {
                    // The new metrics may differ: the counts so far go out under the old names.
                    self.bound.metrics.send(&mut *self.sink);
                }
                let replans = change.sampler.is_some() && self.bound.planned;
                let mut switched = change.make(&mut self.bound);
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
                let _ = reply.try_send(self.bound.admit(*tap));
            }
            Command::Dismiss(shared) => self.bound.dismiss(&shared),
        }
    }

    /// Does the periodic work that is due.
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
            self.bound.metrics.send(&mut *self.sink);
        }
        let tuned = self.clock.since_tuned(self.source.time_ns());
        if tuned >= TUNE_INTERVAL {
            self.tune(tuned);
        }
    }

    fn audit(&mut self) -> Ledger {
        self.clock.audited = Instant::now();
        self.counters.series.store(self.bound.metrics.series() as u64, Relaxed);
        audit(&mut *self.source, &self.counters);
        self.counters.take()
    }

    /// Gives the sampler statistics, and the kernel the sampler's plan.
    fn tune(&mut self, elapsed: Duration) {
        self.clock.tuned = Instant::now();
        self.clock.tuned_ns = self.source.time_ns();
        let replay = self.clock.tuned_ns.is_some();
        if replay {
            // The statistics of a replay must not depend on the time of the last audit.
            self.audit();
        }
        let Some(sampler) = self.bound.stages.sampler.as_mut() else { return };
        let ledger = self.counters.ledger();
        let last = std::mem::replace(&mut self.clock.last_ledger, ledger);
        let (queue_bytes, queue_cap_bytes) = self.sink.queue();
        let queue_bytes = if replay { 0 } else { queue_bytes };
        let stats = Stats {
            elapsed_ns: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
            produced: ledger.produced.saturating_sub(last.produced),
            lost_in_ring: ledger.lost_in_ring.saturating_sub(last.lost_in_ring),
            filtered_in_kernel: ledger.filtered_in_kernel.saturating_sub(last.filtered_in_kernel),
            rows: ledger.rows.saturating_sub(last.rows),
            kept: ledger.kept.saturating_sub(last.kept),
            queue_bytes,
            queue_cap_bytes,
        };
        self.bound.taps.send_stats(&stats);
        let plan = match sampler.tune(&stats) {
            Ok(Some(plan)) => plan,
            Ok(None) => return,
            Err(fault) => {
                self.bound.observer.fault(&fault, Input::Other);
                // After a fault the plan stays; but it is removed once its sampler is quarantined and never called again.
                if fault.kind == FaultKind::Quarantined && self.steered {
                    tracing::warn!(path = %self.bound.path, "the sampler is quarantined; its kernel plan is taken back");
                    self.forget_plan();
                }
                return;
            }
        };
        match self.apply(&plan) {
            Ok(()) => self.clock.refused.clear(),
            // A sampler may retry every second; the same reason is logged once.
            Err(reason) if reason == self.clock.refused => {}
            Err(reason) => {
                tracing::warn!(path = %self.bound.path, %reason, "the sampler's kernel plan was refused; the plan before stays");
                self.clock.refused = reason;
            }
        }
    }

    fn apply(&mut self, plan: &KernelPlan) -> Result<(), String> {
        plan.check().map_err(|error| error.to_string())?;
        self.source.apply(plan).map_err(|error| error.to_string())?;
        self.steered = *plan != KernelPlan::default();
        self.bound.expect_plan();
        Ok(())
    }

    /// Removes the kernel plan: it ends with the sampler that made it.
    fn forget_plan(&mut self) {
        if let Err(reason) = self.apply(&KernelPlan::default()) {
            tracing::warn!(path = %self.bound.path, %reason, "the kernel plan of the sampler before could not be taken back");
        }
    }

    /// Processes everything that is still in the ring.
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
        self.bound.metrics.send(&mut *self.sink);
        self.sink.flush();
        self.audit();
        self.commands.set_finished();
    }
}
