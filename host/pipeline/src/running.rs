//! The handle of a running path.

use std::sync::Arc;
use std::time::Duration;

use host_model::{Ledger, PathCounters, Snapshot, WorkerHandle};

use crate::blueprint::{Blueprint, StartError};
use crate::command::{Command, Counted};
use crate::shadow::{self, Candidate, Shadow, ShadowError};
use crate::stages::BoundStages;
use crate::switch::{Change, SwitchError, Switched};
use crate::worker::{Clock, Worker};

/// A path that runs. Dropping it stops it.
pub struct Running {
    name: Arc<str>,
    counters: Arc<PathCounters>,
    worker: WorkerHandle<Command>,
}

/// Starts a path on a thread of its own.
///
/// # Errors
/// The stages' schemas do not fit together, or the system does not create the thread.
pub fn start(blueprint: Blueprint) -> Result<Running, StartError> {
    let Blueprint { name, source, stages, sink, observer, counters, limits, seed } = blueprint;
    let bound = BoundStages::new(Arc::clone(&name), Arc::clone(&counters), observer, stages, limits.into(), seed)?;
    let waker = source.waker();
    let of_worker = Arc::clone(&counters);
    let worker = WorkerHandle::start(format!("path-{name}"), waker, move |commands| {
        let clock = Clock::new();
        Worker { source, bound, sink, counters: of_worker, limits, commands, clock, steered: false }.run();
    });
    let worker = worker.map_err(|source| StartError::Thread { path: Arc::clone(&name), source })?;
    Ok(Running { name, counters, worker })
}

// === impl Running ===

impl Running {
    /// The name of the path's probe.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The path's counters. They move while they are read; [`Running::ledger`] balances.
    #[must_use]
    pub fn counters(&self) -> &Arc<PathCounters> {
        &self.counters
    }

    /// Returns the ledger, counted by the worker between two batches. If that takes longer than `timeout`, returns its last count: sums
    /// that move would not balance. When the worker has ended, returns the sums as they are. Blocks.
    #[must_use]
    pub fn snapshot(&self, timeout: Duration) -> Snapshot {
        match self.worker.sender().ask_within(timeout, Command::Ledger) {
            Some(ledger) => Snapshot { ledger, age: Duration::ZERO },
            None if self.worker.finished() => Snapshot { ledger: self.counters.ledger(), age: Duration::ZERO },
            None => self.counters.taken(),
        }
    }

    /// Returns the ledger of [`Running::snapshot`], regardless of its age. Blocks.
    #[must_use]
    pub fn ledger(&self, timeout: Duration) -> Ledger {
        self.snapshot(timeout).ledger
    }

    /// Returns the metrics of all rows so far, read by the worker between two batches; None after `timeout`, or when the worker has ended.
    /// Blocks.
    #[must_use]
    pub fn counted(&self, timeout: Duration) -> Option<Counted> {
        self.worker.sender().ask_within(timeout, Command::Count)
    }

    /// Replaces plugins between two batches. Blocks until the new ones are live.
    ///
    /// # Errors
    /// The reason why nothing was replaced.
    pub fn switch(&self, change: Change) -> Result<Switched, SwitchError> {
        let rows = self.counters.ledger().rows;
        let switched = self.worker.sender().ask(|reply| Command::Switch { change: Box::new(change), rows, reply });
        switched.ok_or_else(|| SwitchError::Ended(Arc::clone(&self.name)))?
    }

    /// Runs a candidate beside the live plugin of its slot, on this share of the batches (0 to 1). The live path never waits for it:
    /// batches that it cannot keep up with are dropped and counted. Blocks until the next batch boundary.
    ///
    /// # Errors
    /// The reason why the candidate cannot be compared.
    pub fn shadow(&self, candidate: Candidate, share: f64) -> Result<Shadow, ShadowError> {
        self.shadow_with_control(candidate, None, share)
    }

    /// Like [`Running::shadow`], with another instance of the live plugin as control, bound as the candidate is. The control works on the
    /// same batches on the candidate's thread, and only its time counts: the live plugin's own time depends more on its thread than on the
    /// plugin (measured: 0.3 to 3 times the time of the same plugin in the shadow).
    ///
    /// # Errors
    /// The same as those of [`Running::shadow`].
    pub fn shadow_with_control(
        &self,
        candidate: Candidate,
        control: Option<Candidate>,
        share: f64,
    ) -> Result<Shadow, ShadowError> {
        let (tap, prepared) = shadow::prepare(candidate, control, share);
        let admitted = self.worker.sender().ask(|reply| Command::Shadow { tap: Box::new(tap), reply });
        let known = admitted.ok_or_else(|| ShadowError::Ended(Arc::clone(&self.name)))??;
        prepared.start(&self.name, known, self.worker.sender().clone())
    }

    /// Whether the source has ended and all of it was handed to the sink, or the worker has stopped.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.worker.finished()
    }

    /// Hands the rest of the ring to the sink and ends the worker. Detach the probe before. Blocks. Rows that the sink still has to deliver
    /// move `counters` after this.
    pub fn stop(self) -> Ledger {
        let Self { counters, worker, .. } = self;
        drop(worker);
        counters.ledger()
    }
}
