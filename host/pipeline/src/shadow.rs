//! A shadow run: a candidate works on the same batches beside the live plugin, and its results are compared and thrown away.
//!
//! It has a thread of its own. The path's worker sends it the input and the results of the live plugin, and never waits for it: a batch
//! without room is dropped and counted.

mod error;
mod handle;
pub(crate) mod tap;
mod runner;
mod compare;
mod value;
mod tally;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, MutexGuard, OnceLock};

use host_model::{CallStats, Decoder, Enricher, Field, Lock, PluginId, Role, Sampler, Schema};

use tally::Tally;

pub use error::ShadowError;
pub use handle::Shadow;
pub(crate) use handle::prepare;

/// Maximum number of batches that wait for a candidate. 16 of at most 256 KiB: at most 4 MiB, and more than arrives between two polls.
const ROOM: usize = 16;

/// A plugin under test, bound as the live one in its slot is. `id().slot` names the slot.
pub enum Candidate {
    /// A decoder bound to the same records; its schema may differ. It is asked for the fields of the same name and type.
    Decoder(Box<dyn Decoder>),
    /// A sampler bound to the schema that the live sampler is bound to. Its `tune` is called like that of the live one, and its plans are
    /// thrown away.
    Sampler(Box<dyn Sampler>),
    /// An enricher bound to the schema that the live enricher is bound to.
    Enricher(Box<dyn Enricher>),
}

/// The state that the worker, the candidate's thread and the handle share.
#[derive(Default)]
pub(crate) struct Shared {
    tally: Lock<Tally>,
    left_out: AtomicU64,
    dropped: AtomicU64,
    /// Number of batches on their way to the candidate.
    waiting: AtomicUsize,
    /// Buffers for records, for reuse.
    buffers: Lock<Vec<Vec<u8>>>,
    /// Whether the handle was dropped.
    over: AtomicBool,
    ended: OnceLock<String>,
}

/// The schema that a candidate is compared with.
pub(crate) struct Known {
    /// The schema of a live decoder, or the one in front of a live sampler or enricher.
    pub(crate) schema: Arc<Schema>,
    /// The fields that a live enricher adds.
    pub(crate) added: Vec<Field>,
}

// === impl Candidate ===

impl Candidate {
    /// Its identity.
    #[must_use]
    pub fn id(&self) -> &PluginId {
        match self {
            Self::Decoder(decoder) => decoder.id(),
            Self::Sampler(sampler) => sampler.id(),
            Self::Enricher(enricher) => enricher.id(),
        }
    }

    /// Its role.
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

    /// Returns the fields that it reads of its input rows.
    fn wanted(&self) -> &[usize] {
        match self {
            Self::Decoder(_) => &[],
            Self::Sampler(sampler) => sampler.wanted(),
            Self::Enricher(enricher) => enricher.wanted(),
        }
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// Ends the run. The first reason is kept.
    pub(crate) fn end(&self, reason: impl Into<String>) {
        self.ended.get_or_init(|| reason.into());
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock()
    }

    /// Returns a buffer for records. Does not wait.
    fn buffer(&self) -> Vec<u8> {
        self.buffers.try_lock().and_then(|mut buffers| buffers.pop()).unwrap_or_default()
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut buffers = self.buffers.lock();
        if buffers.len() < ROOM {
            buffers.push(buffer);
        }
    }
}
