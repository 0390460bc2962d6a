//! Takes calls that failed from the workers and writes them down, on a thread of its own: the paths never wait for a disk.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use host_model::{Batch, Digest, Fault, FaultKind, Input, Layout, PluginId, Role};

use super::shelf::{Contents, Shelf};
use super::{BoundTo, Repro, ReproSummary, batch};
use crate::daemon::unix_ms;
use crate::faults::{INTERVAL, Seldom};
use crate::limits::SlotLimits;
use crate::slots::{Generation, KEPT};

/// Keeps repros. Dropping it ends its thread without waiting; [`Keeper::finish`] waits.
pub(crate) struct Keeper {
    offers: Mutex<Option<SyncSender<Offer>>>,
    due: Mutex<Seldom<(Digest, &'static str, FaultKind)>>,
    /// Calls that were not kept because the disk was behind.
    pub(crate) left_out: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The generations that have been bound to a path, so that a fault can be traced to its component before the slots know it.
#[derive(Default)]
pub(crate) struct Known(Mutex<VecDeque<Weak<Generation>>>);

/// A call that failed.
struct Offer {
    unix_ms: u64,
    probe: Arc<str>,
    fault: Fault,
    given: Given,
}

/// What it was given.
enum Given {
    Run { bytes: Vec<u8>, records: u32, fields: Vec<usize>, layout: Arc<Layout> },
    Batch(Batch),
}

/// Calls that may wait for the disk: with one per plugin, step and kind in ten seconds, more is a flood.
const ROOM: usize = 16;
/// Generations that are remembered: those of a dozen slots.
const REMEMBERED: usize = 16 * KEPT;

// === impl Keeper ===

impl Keeper {
    /// Keeps on this shelf.
    pub(crate) fn start(shelf: Shelf, known: Arc<Known>) -> std::io::Result<Self> {
        let (offers, taken) = sync_channel(ROOM);
        let thread = std::thread::Builder::new().name("repro-writer".into()).spawn(move || write(&shelf, &known, &taken))?;
        Ok(Self {
            offers: Mutex::new(Some(offers)),
            due: Mutex::new(Seldom::new(INTERVAL)),
            left_out: AtomicU64::new(0),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Offers a call that failed. Once per interval for each plugin, step and kind it is taken, which costs a copy of the run,
    /// or another reference to the batch's columns.
    pub(crate) fn offer(&self, probe: &Arc<str>, layout: &Arc<Layout>, fault: &Fault, input: Input<'_>) {
        if !fault.kind.is_own() || matches!(input, Input::Other) {
            return;
        }
        let key = (fault.plugin.digest, fault.step, fault.kind);
        if self.due.lock().unwrap_or_else(PoisonError::into_inner).due(key, Instant::now()).is_none() {
            return;
        }
        let given = match input {
            Input::Run(run, fields) => Given::Run {
                bytes: run.bytes.to_vec(),
                records: run.records,
                fields: fields.to_vec(),
                layout: Arc::clone(layout),
            },
            Input::Batch(batch) => Given::Batch(batch.clone()),
            Input::Other => return,
        };
        let offer = Offer { unix_ms: unix_ms(), probe: Arc::clone(probe), fault: fault.clone(), given };
        let sent =
            self.offers.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|to| to.try_send(offer).is_ok());
        if !sent {
            self.left_out.fetch_add(1, Relaxed);
        }
    }

    /// Waits until everything that was taken is written. Blocks.
    pub(crate) fn finish(&self) {
        drop(self.offers.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer of repros panicked");
        }
    }
}

// === impl Known ===

impl Known {
    /// Remembers a generation that is about to be bound.
    pub(crate) fn add(&self, generation: &Arc<Generation>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Arc::downgrade(generation);
        known.retain(|old| old.strong_count() > 0 && !old.ptr_eq(&new));
        known.push_back(new);
        if known.len() > REMEMBERED {
            known.pop_front();
        }
    }

    fn find(&self, id: &PluginId) -> Option<Arc<Generation>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is = |generation: &Arc<Generation>| {
            generation.number == id.generation
                && generation.inspection().digest == id.digest
                && generation.slot.to_string() == *id.slot
        };
        known.iter().rev().filter_map(Weak::upgrade).find(is)
    }
}

fn write(shelf: &Shelf, known: &Known, offers: &Receiver<Offer>) {
    while let Ok(offer) = offers.recv() {
        let plugin = offer.fault.plugin.clone();
        let Some(generation) = known.find(&plugin) else {
            tracing::debug!(%plugin, "a call that failed is not kept: its generation is gone");
            continue;
        };
        match repro(&offer, &generation).and_then(|(repro, given)| {
            let contents = Contents { given, component: &generation.bytes() };
            shelf.keep(repro, &contents).map_err(|error| error.to_string())
        }) {
            Ok(id) => tracing::info!(%plugin, id, "the call that failed is kept; `host plugin repro run {id}` repeats it"),
            Err(error) => tracing::warn!(%plugin, error, "the call that failed could not be kept"),
        }
    }
}

/// The repro, and the bytes that the call was given.
fn repro(offer: &Offer, generation: &Generation) -> Result<(Repro, Vec<u8>), String> {
    let Fault { plugin, step, kind, detail } = &offer.fault;
    let (role, bound_to, fields, rows, given) = match &offer.given {
        Given::Run { bytes, records, fields, layout } => {
            let layout = BoundTo::Layout(Layout::clone(layout));
            (Role::Decoder, layout, fields.clone(), u64::from(*records), bytes.clone())
        }
        Given::Batch(batch) => {
            let (fields, bytes) = batch::write(batch)?;
            (generation.slot.role(), BoundTo::Schema((*batch.schema).clone()), fields, batch.rows as u64, bytes)
        }
    };
    let summary = ReproSummary {
        id: format!("{:013}-{}-{}-{kind}", offer.unix_ms, plugin.slot, offer.probe),
        unix_ms: offer.unix_ms,
        name: plugin.name.to_string(),
        version: plugin.version.to_string(),
        digest: plugin.digest.to_string(),
        slot: plugin.slot.to_string(),
        generation: plugin.generation,
        role,
        probe: offer.probe.to_string(),
        step: (*step).to_owned(),
        kind: *kind,
        detail: detail.clone(),
        rows,
        bytes: 0,
        folder: std::path::PathBuf::new(),
    };
    let repro = Repro {
        summary,
        config: (*generation.config).clone(),
        limits: SlotLimits::from(&generation.rules.limits),
        grants: generation.rules.words.clone(),
        fallback: generation.rules.fallback,
        bound_to,
        fields,
    };
    Ok((repro, given))
}
