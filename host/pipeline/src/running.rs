//! The handle of a running path.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use host_model::{Ledger, PathCounters, Waker};

use crate::blueprint::{Blueprint, StartError};
use crate::passage::Passage;
use crate::shadow::{self, Candidate, Shadow};
use crate::switch::{Change, SwitchError, Switched};
use crate::worker::{Clock, Command, Counted, Worker};

/// A path that runs. Dropping it stops it.
pub struct Running {
    name: Arc<str>,
    counters: Arc<PathCounters>,
    line: Line,
    finished: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

/// The line to a worker.
#[derive(Clone)]
pub(crate) struct Line {
    commands: Sender<Command>,
    waker: Arc<dyn Waker>,
    asked: Arc<AtomicBool>,
}

/// Starts a path on a thread of its own.
///
/// # Errors
/// The stages' schemas do not fit together, or the system gives no thread.
pub fn start(blueprint: Blueprint) -> Result<Running, StartError> {
    let Blueprint { name, source, stages, sink, observer, counters, limits, seed } = blueprint;
    let passage = Passage::new(Arc::clone(&name), Arc::clone(&counters), observer, stages, limits.cardinality, seed)?;
    let (commands, receiver) = channel();
    let finished = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicBool::new(false));
    let waker = source.waker();
    let worker = Worker {
        source,
        passage,
        sink,
        counters: Arc::clone(&counters),
        limits,
        commands: receiver,
        asked: Arc::clone(&asked),
        finished: Arc::clone(&finished),
        clock: Clock::new(),
        steered: false,
    };
    let thread = std::thread::Builder::new()
        .name(format!("path-{name}"))
        .spawn(move || worker.run())
        .map_err(|source| StartError::Thread { path: Arc::clone(&name), source })?;
    Ok(Running { name, counters, line: Line { commands, waker, asked }, finished, worker: Some(thread) })
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

    /// The ledger, counted by the worker between two batches. After `timeout`, or when the worker has ended, what was counted
    /// last. Blocks.
    #[must_use]
    pub fn ledger(&self, timeout: Duration) -> Ledger {
        let (reply, answer) = sync_channel(1);
        if self.line.tell(Command::Ledger(reply)).is_err() {
            return self.counters.ledger();
        }
        answer.recv_timeout(timeout).unwrap_or_else(|_| self.counters.ledger())
    }

    /// What the metrics of all rows have come to, read by the worker between two batches; None after `timeout`, or when the
    /// worker has ended. Blocks.
    #[must_use]
    pub fn counted(&self, timeout: Duration) -> Option<Counted> {
        let (reply, answer) = sync_channel(1);
        self.line.tell(Command::Count(reply)).ok()?;
        answer.recv_timeout(timeout).ok()
    }

    /// Replaces plugins between two batches. Blocks until the new ones are live.
    ///
    /// # Errors
    /// Why nothing was replaced.
    pub fn switch(&self, change: Change) -> Result<Switched, SwitchError> {
        let (reply, answer) = sync_channel(1);
        let rows = self.counters.ledger().rows;
        let ended = || SwitchError::Ended(Arc::clone(&self.name));
        self.line.tell(Command::Switch { change: Box::new(change), rows, reply }).map_err(|()| ended())?;
        answer.recv().map_err(|_| ended())?
    }

    /// Runs a candidate beside the live plugin of its slot, on this share of the batches (0 to 1). The live path never waits for
    /// it: what it cannot keep up with is dropped and counted. Blocks until the next batch boundary.
    ///
    /// # Errors
    /// Why the candidate cannot be compared.
    pub fn shadow(&self, candidate: Candidate, share: f64) -> Result<Shadow, SwitchError> {
        self.shadow_with_control(candidate, None, share)
    }

    /// As [`Running::shadow`], with another instance of the live plugin, bound as the candidate is. It works on the same batches
    /// on the candidate's thread, and only its time counts: the live plugin's own says more about its thread than about the
    /// plugin (measured: 0.3 to 3 times what the very same plugin takes in the shadow).
    ///
    /// # Errors
    /// As of [`Running::shadow`].
    pub fn shadow_with_control(
        &self,
        candidate: Candidate,
        control: Option<Candidate>,
        share: f64,
    ) -> Result<Shadow, SwitchError> {
        let (reply, answer) = sync_channel(1);
        let (tap, prepared) = shadow::prepare(candidate, control, share);
        let ended = || SwitchError::Ended(Arc::clone(&self.name));
        self.line.tell(Command::Shadow { tap: Box::new(tap), reply }).map_err(|()| ended())?;
        let known = answer.recv().map_err(|_| ended())??;
        prepared.start(&self.name, known, self.line.clone())
    }

    /// True once the source has ended and all of it has been handed to the sink, or the worker has stopped.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished.load(Ordering::Acquire) || self.worker.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Takes what is left in the ring, hands it to the sink and ends the worker. Detach the probe before. Blocks. What the sink
    /// still has to deliver moves `counters` on after this.
    pub fn stop(mut self) -> Ledger {
        self.end();
        self.counters.ledger()
    }

    fn end(&mut self) {
        // If the worker is gone already there is nobody to tell.
        let _ = self.line.tell(Command::Stop);
        if let Some(worker) = self.worker.take()
            && worker.join().is_err()
        {
            tracing::error!(path = %self.name, "the path's worker panicked");
        }
    }
}

// === impl Line ===

impl Line {
    /// Tells the worker something, and wakes it. Fails if it has ended.
    pub(crate) fn tell(&self, command: Command) -> Result<(), ()> {
        let sent = self.commands.send(command).map_err(|_| ());
        self.asked.store(true, Ordering::Release);
        self.waker.wake();
        sent
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.worker.is_some() {
            self.end();
        }
    }
}
