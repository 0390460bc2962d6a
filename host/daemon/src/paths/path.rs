//! A running path, and the requests that it answers.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use host_api::{PathStatus, PluginState, PluginStatus};
use host_model::{FaultKind, Health, Lock, PathCounters, Probe, ReadWriteLock, Schema, Snapshot};
use host_pipeline::{Blueprint, Candidate, Counted, Running, Shadow, ShadowError, StartError, SwitchError, Switched};

use crate::clock::millis;
use crate::plugins::bind::{Card, Cards, Faults, Place, Rebound};
use crate::plugins::slots::Lineup;
use crate::probes::attached::Attached;

/// One path.
pub(crate) struct Path {
    pub(crate) place: Place,
    pub(crate) counters: Arc<PathCounters>,
    /// None once stopped. Requests take the read lock, so that stopping waits for them.
    running: ReadWriteLock<Option<Running>>,
    made_of: Lock<MadeOf>,
    reads: Reads,
}

/// The source of a path's records.
pub(crate) enum Reads {
    /// A probe of its own.
    Probe(Box<Lock<Attached>>),
    /// The router of this probe.
    Trunk(Arc<str>),
}

/// The current parts of a path.
#[derive(Clone)]
pub(crate) struct MadeOf {
    pub(crate) lineup: Lineup,
    pub(crate) cards: Cards,
    /// The schema of the decoder.
    pub(crate) schema: Arc<Schema>,
}

/// Maximum wait for the ledger. The worker answers between two batches: within a call's deadline at worst.
const LEDGER_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum wait for the metrics: thousands of series are copied between two batches.
const COUNT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time without faults after which a plugin has recovered: earlier ones no longer make it back off.
const CALM: Duration = Duration::from_secs(60);

// === impl Path ===

impl Path {
    /// Starts the worker. Nothing is attached yet, so there are no records.
    pub(crate) fn start(place: Place, lineup: Lineup, reads: Reads, blueprint: Blueprint) -> Result<Self, StartError> {
        let stages = &blueprint.stages;
        let cards = Cards::of(stages, &lineup);
        let made_of = MadeOf { lineup, cards, schema: Arc::clone(stages.decoder.schema()) };
        let counters = Arc::clone(&blueprint.counters);
        let running = host_pipeline::start(blueprint)?;
        Ok(Self { place, counters, running: ReadWriteLock::new(Some(running)), made_of: Lock::new(made_of), reads })
    }

    /// The name of its probe.
    pub(crate) fn name(&self) -> &str {
        &self.place.probe
    }

    /// Its probe; None for a lane.
    pub(crate) fn probe(&self) -> Option<Probe> {
        Some(self.attached()?.probe().clone())
    }

    /// Whether its records come from a router.
    pub(crate) fn is_lane(&self) -> bool {
        matches!(self.reads, Reads::Trunk(_))
    }

    /// Attaches its programs.
    pub(crate) fn attach(&self) -> Result<(), host_kernel::KernelError> {
        self.attached().map_or(Ok(()), |mut attached| attached.attach())
    }

    /// Returns its current parts.
    pub(crate) fn made_of(&self) -> MadeOf {
        self.lock_made_of().clone()
    }

    /// Returns the ledger, taken between two batches. Blocks.
    fn snapshot(&self) -> Snapshot {
        let running = self.running.read();
        let ended = || Snapshot { ledger: self.counters.ledger(), ..Snapshot::default() };
        running.as_ref().map_or_else(ended, |running| running.snapshot(LEDGER_TIMEOUT))
    }

    /// Returns its metrics; None if it does not answer in time, or was stopped. Blocks.
    pub(crate) fn counted(&self) -> Option<Counted> {
        let running = self.running.read();
        running.as_ref()?.counted(COUNT_TIMEOUT)
    }

    /// Whether a capture was read to its end, or the worker has ended.
    pub(crate) fn finished(&self) -> bool {
        let running = self.running.read();
        running.as_ref().is_none_or(Running::finished)
    }

    /// Replaces plugins between two batches. Blocks.
    pub(crate) fn switch(&self, rebound: Rebound, lineup: Lineup) -> Result<Switched, SwitchError> {
        let Rebound { change, cards, schema } = rebound;
        let running = self.running.read();
        let running = running.as_ref().ok_or_else(|| SwitchError::Ended(Arc::clone(&self.place.probe)))?;
        let switched = running.switch(change)?;
        *self.lock_made_of() = MadeOf { lineup, cards, schema };
        Ok(switched)
    }

    /// Runs a candidate beside the live plugin of its slot, and a second instance of the live plugin as its control. Blocks until the next
    /// batch boundary.
    pub(crate) fn shadow(&self, candidate: Candidate, control: Candidate, share: f64) -> Result<Shadow, ShadowError> {
        let running = self.running.read();
        let running = running.as_ref().ok_or_else(|| ShadowError::Ended(Arc::clone(&self.place.probe)))?;
        running.shadow_with_control(candidate, Some(control), share)
    }

    /// Detaches, drains the ring into the sink. Blocks.
    pub(crate) fn stop(&self) {
        if let Some(mut attached) = self.attached() {
            attached.detach();
        }
        let running = self.running.write().take();
        if let Some(running) = running {
            running.stop();
        }
    }

    /// Returns its status. Blocks.
    pub(crate) fn status(&self) -> PathStatus {
        let Snapshot { ledger, age } = self.snapshot();
        let ended = self.finished();
        let cards = self.lock_made_of().cards.clone();
        PathStatus {
            probe: self.name().to_owned(),
            ledger,
            ledger_age_ms: millis(age),
            plugins: cards.iter().map(|card| card.status(ended)).collect(),
            metrics_series: self.counters.series.load(Relaxed),
            trunk: match &self.reads {
                Reads::Trunk(trunk) => Some(trunk.to_string()),
                Reads::Probe(_) => None,
            },
            connections: 0,
            unknown: Vec::new(),
        }
    }

    fn lock_made_of(&self) -> MutexGuard<'_, MadeOf> {
        self.made_of.lock()
    }

    fn attached(&self) -> Option<MutexGuard<'_, Attached>> {
        match &self.reads {
            Reads::Probe(attached) => Some(attached.lock()),
            Reads::Trunk(_) => None,
        }
    }
}

// === impl Card ===

impl Card {
    pub(crate) fn status(&self, ended: bool) -> PluginStatus {
        let Self { id, stats, generation, faults, .. } = self;
        let traps = stats.offences();
        let faulting = faults.lock().look(traps, Instant::now());
        let state = match stats.health() {
            _ if ended => PluginState::Ended,
            Health::Quarantined => PluginState::Quarantined,
            Health::BackingOff => PluginState::BackingOff,
            Health::Live if faulting => PluginState::Faulting,
            Health::Live => PluginState::Live,
        };
        PluginStatus {
            slot: id.slot.to_string(),
            name: id.name.to_string(),
            version: id.version.to_string(),
            digest: id.digest.to_string(),
            generation: id.generation,
            state,
            calls: stats.calls.load(Relaxed),
            rows: stats.rows.load(Relaxed),
            traps,
            faults: FaultKind::ALL.into_iter().map(|kind| (kind, stats.faults(kind))).filter(|(_, count)| *count > 0).collect(),
            recycled: stats.recycled.load(Relaxed),
            host_calls: stats.host_calls.load(Relaxed),
            lines_left_out: stats.lines_left_out.load(Relaxed),
            lookups_left_out: stats.lookups_left_out.load(Relaxed),
            work_ns: stats.work_ns.load(Relaxed),
            work_p99_ns: stats.work_quantile_ns(0.99),
            p50_ns: stats.quantile_ns(0.5),
            p99_ns: stats.quantile_ns(0.99),
            memory_bytes: stats.memory_bytes.load(Relaxed),
            memory_cap_bytes: generation.rules.limits.memory_bytes as u64,
            total_ns: stats.total_ns.load(Relaxed),
        }
    }
}

// === impl Faults ===

impl Faults {
    /// Whether there was a fault within [`CALM`].
    fn look(&mut self, traps: u64, now: Instant) -> bool {
        if traps > self.seen {
            self.seen = traps;
            self.last = Some(now);
        }
        self.last.is_some_and(|last| now.saturating_duration_since(last) < CALM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_well_again_a_minute_after_its_last_fault() {
        let (mut faults, start) = (Faults::default(), Instant::now());
        assert!(!faults.look(0, start));
        assert!(faults.look(1, start));
        assert!(faults.look(1, start + CALM / 2));
        assert!(faults.look(2, start + CALM / 2));
        assert!(faults.look(2, start + CALM));
        assert!(!faults.look(2, start + 2 * CALM));
    }
}
