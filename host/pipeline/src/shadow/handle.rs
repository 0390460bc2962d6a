//! The handle of a shadow run: its start, its comparison, its end.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Thread;

use host_model::{CommandSender, Comparison};

use super::error::ShadowError;
use super::runner::Runner;
use super::tap::{Sample, Tap};
use super::{Candidate, Known, ROOM, Shared};
use crate::command::Command;

/// A shadow run. Dropping it ends it: its thread ends after the current call, and drops the candidate.
pub struct Shadow {
    slot: Arc<str>,
    sender: CommandSender<Command>,
    thread: Thread,
    shared: Arc<Shared>,
}

/// A shadow run whose thread is not started yet.
pub(crate) struct Prepared {
    candidate: Candidate,
    control: Option<Candidate>,
    samples: Receiver<Sample>,
    shared: Arc<Shared>,
}

// === impl Prepared ===

/// Makes the two ends of a shadow run: one for the worker, one for the candidate.
pub(crate) fn prepare(candidate: Candidate, control: Option<Candidate>, share: f64) -> (Tap, Prepared) {
    let shared: Arc<Shared> = Arc::default();
    let (sender, samples): (SyncSender<Sample>, _) = sync_channel(ROOM);
    let tap = Tap::new(&candidate, share, sender, Arc::clone(&shared));
    (tap, Prepared { candidate, control, samples, shared })
}

impl Prepared {
    /// Starts the thread of the candidate, once the worker has admitted it.
    pub(crate) fn start(self, path: &Arc<str>, known: Known, sender: CommandSender<Command>) -> Result<Shadow, ShadowError> {
        let Self { candidate, control, samples, shared } = self;
        let slot = Arc::clone(&candidate.id().slot);
        let runner = Runner::new(candidate, control, known, samples, Arc::clone(&shared));
        // Linux shows 15 characters of a thread's name.
        let thread = std::thread::Builder::new().name(format!("shadow-{slot}")).spawn(move || runner.run());
        match thread {
            Ok(thread) => Ok(Shadow { slot, sender, thread: thread.thread().clone(), shared }),
            Err(source) => {
                dismiss(&sender, &shared);
                Err(ShadowError::Thread { path: Arc::clone(path), slot, source })
            }
        }
    }
}

// === impl Shadow ===

impl Shadow {
    /// The slot of the live plugin.
    #[must_use]
    pub fn slot(&self) -> &str {
        &self.slot
    }

    /// Returns the comparison so far. Batches on which the live plugin failed are not compared.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        let mut comparison = self.shared.tally().read();
        comparison.left_out = self.shared.left_out.load(Relaxed);
        comparison.dropped = self.shared.dropped.load(Relaxed);
        comparison
    }

    /// Returns why it ended: its live plugin was replaced, or the path stopped. None while it goes on. Batches already on their way to the
    /// candidate are still compared.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        self.shared.ended.get().cloned()
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        dismiss(&self.sender, &self.shared);
        self.thread.unpark();
    }
}

fn dismiss(sender: &CommandSender<Command>, shared: &Arc<Shared>) {
    shared.over.store(true, Relaxed);
    // A worker that has ended has no tap to remove.
    let _ = sender.send(Command::Dismiss(Arc::clone(shared)));
}
