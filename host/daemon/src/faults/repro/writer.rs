//! Takes failed calls from the workers and writes them on a thread of its own: the paths never wait for a disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use host_api::{BoundTo, Repro, ReproSummary};
use host_model::{Batch, Digest, Fault, FaultKind, Input, Layout, Lock, Role};

use super::batch;
use super::store::{Contents, Store};
use crate::clock::unix_ms;
use crate::config::{MAX_REPRO_BYTES, MAX_REPROS};
use crate::error::DaemonError;
use crate::faults::seldom::{INTERVAL, Seldom};
use crate::plugins::known::Known;
use crate::plugins::limits::to_slot_limits;
use crate::plugins::slots::Generation;
use crate::settings::Settings;
use crate::state_dir::StateDir;

/// Writer of repros. Dropping it ends its thread without waiting; [`Writer::finish`] waits.
pub(crate) struct Writer {
    offers: Lock<Option<SyncSender<Offer>>>,
    due: Lock<Seldom<(Digest, &'static str, FaultKind)>>,
    /// Number of calls not stored because the disk was too slow.
    pub(crate) left_out: AtomicU64,
    thread: Lock<Option<JoinHandle<()>>>,
}

/// A failed call.
struct Offer {
    unix_ms: u64,
    probe: Arc<str>,
    fault: Fault,
    given: Given,
}

/// The input of the call.
enum Given {
    Run { bytes: Vec<u8>, records: u32, fields: Vec<usize>, layout: Arc<Layout> },
    Batch(Batch),
}

/// Maximum number of calls that wait for the disk: with one per plugin, step and kind in ten seconds, more is a flood.
const ROOM: usize = 16;
// === impl Writer ===

impl Writer {
    /// Starts a writer for this folder; None if repros are disabled or there is no usable folder.
    pub(crate) fn of(settings: &Settings, state_dir: &StateDir, known: &Arc<Known>) -> Result<Option<Arc<Self>>, DaemonError> {
        let config = settings.config.repro;
        let Some(folder) = state_dir.folder().filter(|_| config.enabled != Some(false)) else { return Ok(None) };
        let count = config.max_count.map_or(MAX_REPROS, |count| usize::try_from(count).unwrap_or(usize::MAX));
        let store = Store::open(folder).with_room(count, config.max_bytes.map_or(MAX_REPRO_BYTES, |size| size.0));
        let writer = store.make().and_then(|()| Ok(Self::start(store, Arc::clone(known))?));
        Ok(state_dir.usable(folder, writer)?.map(Arc::new))
    }

    /// Starts a writer for this store.
    pub(crate) fn start(store: Store, known: Arc<Known>) -> std::io::Result<Self> {
        let (offers, taken) = sync_channel(ROOM);
        let thread = std::thread::Builder::new().name("repro-writer".into()).spawn(move || write(&store, &known, &taken))?;
        Ok(Self {
            offers: Lock::new(Some(offers)),
            due: Lock::new(Seldom::new(INTERVAL)),
            left_out: AtomicU64::new(0),
            thread: Lock::new(Some(thread)),
        })
    }

    /// Offers a failed call. It is taken once per interval for each plugin, step and kind, which costs a copy of the run, or another
    /// reference to the batch's columns.
    pub(crate) fn offer(&self, probe: &Arc<str>, layout: &Arc<Layout>, fault: &Fault, input: Input<'_>) {
        if !fault.kind.is_own() || matches!(input, Input::Other) {
            return;
        }
        let key = (fault.plugin.digest, fault.step, fault.kind);
        if self.due.lock().due(key, Instant::now()).is_none() {
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
        let sent = self.offers.lock().as_ref().is_some_and(|to| to.try_send(offer).is_ok());
        if !sent {
            self.left_out.fetch_add(1, Relaxed);
        }
    }

    /// Waits until every call taken is written. Blocks.
    pub(crate) fn finish(&self) {
        drop(self.offers.lock().take());
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer of repros panicked");
        }
    }
}

fn write(store: &Store, known: &Known, offers: &Receiver<Offer>) {
    while let Ok(offer) = offers.recv() {
        let plugin = offer.fault.plugin.clone();
        let Some(generation) = known.find(&plugin) else {
            tracing::debug!(%plugin, "a call that failed is not kept: its generation is gone");
            continue;
        };
        match repro(&offer, &generation).and_then(|(repro, given)| {
            let contents = Contents { given, component: &generation.bytes() };
            store.keep(repro, &contents).map_err(|error| error.to_string())
        }) {
            Ok(id) => tracing::info!(%plugin, id, "the call that failed is kept; `host plugin repro run {id}` repeats it"),
            Err(error) => tracing::warn!(%plugin, error, "the call that failed could not be kept"),
        }
    }
}

/// Returns the repro, and the bytes that the call was given.
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
        limits: to_slot_limits(&generation.rules.limits),
        grants: generation.rules.words.clone(),
        fallback: generation.rules.fallback,
        bound_to,
        fields,
    };
    Ok((repro, given))
}
