//! A shadow run: a candidate works on the same batches beside the live plugin, and its results are compared and thrown away.
//!
//! It has a thread of its own. The path's worker hands it what the live plugin saw and said, and never waits for it: a batch
//! for which there is no room is dropped and counted.

mod compare;
mod runner;
mod tally;
pub(crate) mod tap;
mod value;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

use host_model::{CallStats, Comparison, Decoder, Enricher, Field, PluginId, Role, Sampler, Schema};

use crate::line::Line;
use crate::switch::SwitchError;
use crate::worker::Command;
use runner::Runner;
use tally::Tally;
use tap::{Sample, Tap};

/// Batches that may wait for a candidate. 16 of at most 256 KiB: 4 MiB at the worst, and more than arrives between two looks.
const ROOM: usize = 16;

/// A plugin that is tried, bound as the live one in its slot is. `id().slot` names the slot.
pub enum Candidate {
    /// Bound to the same records; its schema may be another. It is asked for the fields of the same name and type.
    Decoder(Box<dyn Decoder>),
    /// Bound to the schema that the live sampler is bound to. It is told what the live one is told by `tune`, and its plans are
    /// thrown away.
    Sampler(Box<dyn Sampler>),
    /// Bound to the schema that the live enricher is bound to.
    Enricher(Box<dyn Enricher>),
}

/// A shadow run. Dropping it ends it: its thread ends after the call at hand, and takes the candidate with it.
pub struct Shadow {
    slot: Arc<str>,
    line: Line<Command>,
    thread: Thread,
    shared: Arc<Shared>,
}

/// What the worker, the candidate's thread and the handle share.
pub(crate) struct Shared {
    tally: Mutex<Tally>,
    left_out: AtomicU64,
    dropped: AtomicU64,
    /// Batches on their way to the candidate.
    waiting: AtomicUsize,
    /// Buffers for records that have been used, and are used again.
    buffers: Mutex<Vec<Vec<u8>>>,
    /// The handle is gone.
    over: AtomicBool,
    ended: OnceLock<String>,
}

/// What a candidate is compared with.
pub(crate) struct Known {
    /// What the rows of the live plugin mean: a decoder's own schema, or the one in front of the others.
    pub(crate) schema: Arc<Schema>,
    /// What a live enricher adds.
    pub(crate) added: Vec<Field>,
}

/// A shadow run that has no thread yet.
pub(crate) struct Prepared {
    candidate: Candidate,
    control: Option<Candidate>,
    samples: Receiver<Sample>,
    shared: Arc<Shared>,
}

// === impl Candidate ===

impl Candidate {
    /// Who it is.
    #[must_use]
    pub fn id(&self) -> &PluginId {
        match self {
            Self::Decoder(decoder) => decoder.id(),
            Self::Sampler(sampler) => sampler.id(),
            Self::Enricher(enricher) => enricher.id(),
        }
    }

    /// What it does.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Decoder(_) => Role::Decoder,
            Self::Sampler(_) => Role::Sampler,
            Self::Enricher(_) => Role::Enricher,
        }
    }

    fn stats(&self) -> &Arc<CallStats> {
        match self {
            Self::Decoder(decoder) => decoder.stats(),
            Self::Sampler(sampler) => sampler.stats(),
            Self::Enricher(enricher) => enricher.stats(),
        }
    }

    /// The fields that it reads of the rows in front of it.
    fn wanted(&self) -> &[usize] {
        match self {
            Self::Decoder(_) => &[],
            Self::Sampler(sampler) => sampler.wanted(),
            Self::Enricher(enricher) => enricher.wanted(),
        }
    }
}

// === impl Prepared ===

/// The two ends of a shadow run: one for the worker, one for the candidate.
pub(crate) fn prepare(candidate: Candidate, control: Option<Candidate>, share: f64) -> (Tap, Prepared) {
    let shared = Arc::new(Shared {
        tally: Mutex::default(),
        left_out: AtomicU64::new(0),
        dropped: AtomicU64::new(0),
        waiting: AtomicUsize::new(0),
        buffers: Mutex::default(),
        over: AtomicBool::new(false),
        ended: OnceLock::new(),
    });
    let (sender, samples): (SyncSender<Sample>, _) = sync_channel(ROOM);
    let tap = Tap::new(&candidate, share, sender, Arc::clone(&shared));
    (tap, Prepared { candidate, control, samples, shared })
}

impl Prepared {
    /// Gives the candidate its thread, once the worker has let it in.
    pub(crate) fn start(self, path: &Arc<str>, known: Known, line: Line<Command>) -> Result<Shadow, SwitchError> {
        let Self { candidate, control, samples, shared } = self;
        let slot = Arc::clone(&candidate.id().slot);
        let runner = Runner::new(candidate, control, known, samples, Arc::clone(&shared));
        // Linux shows 15 characters.
        let thread = std::thread::Builder::new().name(format!("shadow-{slot}")).spawn(move || runner.run());
        match thread {
            Ok(thread) => Ok(Shadow { slot, line, thread: thread.thread().clone(), shared }),
            Err(source) => {
                dismiss(&line, &shared);
                Err(SwitchError::Thread { path: Arc::clone(path), slot, source })
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

    /// What was compared so far. Batches that the live plugin failed on are not compared.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        let mut comparison = self.shared.tally().read();
        comparison.left_out = self.shared.left_out.load(Relaxed);
        comparison.dropped = self.shared.dropped.load(Relaxed);
        comparison
    }

    /// Why it ended: its live plugin was replaced, or the path stopped. None while it goes on. What was on its way to the
    /// candidate by then is still compared.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        self.shared.ended.get().cloned()
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        dismiss(&self.line, &self.shared);
        self.thread.unpark();
    }
}

fn dismiss(line: &Line<Command>, shared: &Arc<Shared>) {
    shared.over.store(true, Relaxed);
    // A worker that has ended has nothing to take away.
    let _ = line.tell(Command::Dismiss(Arc::clone(shared)));
}

// === impl Shared ===

impl Shared {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// The first reason stays.
    pub(crate) fn end(&self, reason: impl Into<String>) {
        self.ended.get_or_init(|| reason.into());
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer for records. Does not wait.
    fn buffer(&self) -> Vec<u8> {
        self.buffers.try_lock().ok().and_then(|mut buffers| buffers.pop()).unwrap_or_default()
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < ROOM {
            buffers.push(buffer);
        }
    }
}
