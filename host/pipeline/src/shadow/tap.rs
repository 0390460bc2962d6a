//! The worker's end of a shadow run: it chooses the batches to compare, and hands over samples of them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;

use arrow_array::ArrayRef;
use host_model::{Added, Batch, Decisions, Decoded, Plugin, PluginId, Role, Run, Schema, Stats};

use crate::binding::Binding;
use crate::blueprint::Stages;
use crate::shadow::{Candidate, Known, ROOM, ShadowError, Shared};

/// Input and result of a call of the live plugin, with its duration in nanoseconds.
pub(crate) enum Sample {
    /// A run of records and the rows decoded from it.
    Run { bytes: Vec<u8>, records: u32, decoded: Decoded, completed: Option<Completed>, live_ns: u64 },
    /// Rows, their thresholds, and the randomness that each was compared with.
    Rows { batch: Batch, decisions: Decisions, drawn: Vec<u64>, live_ns: u64 },
    /// Kept rows, and the added columns.
    Kept { batch: Batch, added: Added, live_ns: u64 },
    /// The statistics that a sampler was given.
    Stats(Stats),
}

/// The columns that the decoder completed later.
pub(crate) struct Completed {
    /// The rows of the run, in ascending order.
    pub(crate) rows: Vec<u32>,
    pub(crate) fields: Vec<usize>,
    /// One column per field, with a value per row of `rows`.
    pub(crate) columns: Vec<ArrayRef>,
}

/// A tap on a live plugin: its input and results go to a candidate.
pub(crate) struct Tap {
    /// The index of an enricher among the enrichers.
    pub(crate) place: usize,
    slot: Arc<str>,
    role: Role,
    /// The fields that the candidate reads.
    wanted: Vec<usize>,
    /// Its live plugin, and the schema after it (for a sampler, before it). The shadow ends when they change.
    live: Option<(PluginId, Arc<Schema>)>,
    /// The share of batches that is compared, and how much of it has accumulated: 2^32 is one batch.
    share: u64,
    saved: u64,
    /// Whether the next batch is compared, if already decided.
    turn: Option<bool>,
    samples: SyncSender<Sample>,
    shared: Arc<Shared>,
}

/// A batch that will be compared, with the time that the live plugin had taken before it.
pub(crate) struct Watch(u64);

/// The taps of one path.
#[derive(Default)]
pub(crate) struct Taps {
    decoder: Option<Tap>,
    pub(crate) sampler: Option<Tap>,
    pub(crate) enrichers: Vec<Tap>,
    /// The current run, if it will be compared.
    run: Option<Seen>,
}

/// The data gathered so far of the current run.
struct Seen {
    watch: Watch,
    decoded: Option<Decoded>,
    completed: Option<Completed>,
}

/// One batch, in the units of a share.
const WHOLE: u64 = 1 << 32;

// === impl Tap ===

impl Tap {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the product is within 0 and 2^32")]
    pub(crate) fn new(candidate: &Candidate, share: f64, samples: SyncSender<Sample>, shared: Arc<Shared>) -> Self {
        let share = (share.clamp(0.0, 1.0) * WHOLE as f64).round() as u64;
        Self {
            place: 0,
            slot: Arc::clone(&candidate.id().slot),
            role: candidate.role(),
            wanted: candidate.wanted().to_vec(),
            live: None,
            share,
            // The first batch is compared.
            saved: WHOLE - share,
            turn: None,
            samples,
            shared,
        }
    }

    /// Returns Some if this batch will be compared. Call it before each call of the live plugin.
    pub(crate) fn watch(&mut self, live: &dyn Plugin) -> Option<Watch> {
        let compares = self.turn();
        self.turn = None;
        compares.then(|| Watch(live.stats().total_ns.load(Relaxed)))
    }

    /// Whether the next batch will be compared. If not, it is counted here.
    pub(crate) fn turn(&mut self) -> bool {
        if let Some(settled) = self.turn {
            return settled;
        }
        let compares = if self.shared.is_over() {
            false
        } else if self.saved + self.share < WHOLE {
            self.saved += self.share;
            self.shared.left_out.fetch_add(1, Relaxed);
            false
        } else {
            self.saved = self.saved + self.share - WHOLE;
            let has_room = self.shared.waiting.load(Relaxed) < ROOM;
            self.shared.dropped.fetch_add(u64::from(!has_room), Relaxed);
            has_room
        };
        self.turn = Some(compares);
        compares
    }

    /// Hands a sample over, or drops it.
    pub(crate) fn offer(&self, sample: Sample) {
        self.shared.waiting.fetch_add(1, Relaxed);
        if self.samples.try_send(sample).is_err() {
            self.shared.waiting.fetch_sub(1, Relaxed);
            self.shared.dropped.fetch_add(1, Relaxed);
        }
    }
}

// === impl Watch ===

impl Watch {
    /// Returns the time that the live plugin has taken since, nanoseconds.
    pub(crate) fn spent(&self, live: &dyn Plugin) -> u64 {
        live.stats().total_ns.load(Relaxed).saturating_sub(self.0)
    }
}

// === impl Taps ===

impl Taps {
    /// Returns the fields that a shadow of the sampler reads of every row.
    pub(crate) fn wanted(&self) -> &[usize] {
        self.sampler.as_ref().map_or(&[], |tap| &tap.wanted)
    }

    /// Begins a run, before it is decoded.
    pub(crate) fn decoding(&mut self, live: &dyn Plugin) {
        if let Some(tap) = &mut self.decoder {
            self.run = tap.watch(live).map(|watch| Seen { watch, decoded: None, completed: None });
        }
    }

    /// Notes the rows of the run, after it was decoded.
    pub(crate) fn decoded(&mut self, decoded: &Decoded) {
        if let Some(seen) = &mut self.run {
            seen.decoded = Some(decoded.clone());
        }
    }

    /// Notes the columns of rows that were completed.
    pub(crate) fn completed(&mut self, rows: Vec<u32>, fields: &[usize], columns: &[ArrayRef]) {
        if let Some(seen) = &mut self.run {
            seen.completed = Some(Completed { rows, fields: fields.to_vec(), columns: columns.to_vec() });
        }
    }

    /// Drops the run: the live decoder failed, so there is nothing to compare with.
    pub(crate) fn forget_run(&mut self) {
        self.run = None;
    }

    /// Ends a run and offers its sample; copies its bytes while they are still there.
    pub(crate) fn passed(&mut self, run: Run<'_>, live: &dyn Plugin) {
        let (Some(seen), Some(tap)) = (self.run.take(), &self.decoder) else { return };
        let Seen { watch, decoded: Some(decoded), completed } = seen else { return };
        let live_ns = watch.spent(live);
        let mut bytes = tap.shared.buffer();
        bytes.extend_from_slice(run.bytes);
        tap.offer(Sample::Run { bytes, records: run.records, decoded, completed, live_ns });
    }

    /// Hands over statistics that the sampler was given.
    pub(crate) fn send_stats(&self, stats: &Stats) {
        if let Some(tap) = self.sampler.as_ref().filter(|tap| tap.shared.waiting.load(Relaxed) < ROOM) {
            tap.shared.waiting.fetch_add(1, Relaxed);
            if tap.samples.try_send(Sample::Stats(*stats)).is_err() {
                tap.shared.waiting.fetch_sub(1, Relaxed);
            }
        }
    }

    /// Admits a candidate, and returns the schema that it is compared with.
    pub(crate) fn admit(
        &mut self,
        mut tap: Tap,
        path: &Arc<str>,
        stages: &Stages,
        bound: &Binding,
    ) -> Result<Known, ShadowError> {
        let (path, slot) = (Arc::clone(path), Arc::clone(&tap.slot));
        let Some((place, live, schema)) = find(&tap, stages, bound) else { return Err(ShadowError::Alone { path, slot }) };
        if self.iter().any(|other| other.slot == slot) {
            return Err(ShadowError::Shadowed { path, slot });
        }
        let (front, added) = match tap.role {
            Role::Decoder | Role::Sampler => (stages.decoder.schema(), Vec::new()),
            Role::Enricher => {
                let added = stages.enrichers.get(place).map_or(&[][..], |enricher| enricher.added());
                (bound.before(stages, place), added.to_vec())
            }
        };
        if tap.wanted.iter().any(|&field| field >= front.fields.len()) {
            return Err(ShadowError::Misfit { path, slot });
        }
        (tap.place, tap.live) = (place, Some((live.clone(), Arc::clone(schema))));
        let known = Known { schema: Arc::clone(front), added };
        match tap.role {
            Role::Decoder => self.decoder = Some(tap),
            Role::Sampler => self.sampler = Some(tap),
            Role::Enricher => self.enrichers.push(tap),
        }
        Ok(known)
    }

    /// Dismisses a candidate.
    pub(crate) fn dismiss(&mut self, shared: &Arc<Shared>) {
        self.retain(|tap| !Arc::ptr_eq(&tap.shared, shared));
    }

    /// Ends taps whose live plugin was replaced.
    pub(crate) fn outlive(&mut self, stages: &Stages, bound: &Binding) {
        self.retain(|tap| {
            let slot = &tap.slot;
            let reason = match (find(tap, stages, bound), &tap.live) {
                (Some((place, now, behind)), Some((live, schema))) if now == live && behind == schema => {
                    tap.place = place;
                    return true;
                }
                (Some((_, now, _)), Some((live, _))) if now == live => {
                    format!("the rows in front of slot {slot} mean something else now")
                }
                (Some((_, now, _)), _) => format!("{now} is live in slot {slot} now"),
                (None, _) => format!("slot {slot} was emptied"),
            };
            tap.shared.end(reason);
            false
        });
    }

    fn iter(&self) -> impl Iterator<Item = &Tap> {
        self.decoder.iter().chain(&self.sampler).chain(&self.enrichers)
    }

    fn retain(&mut self, mut stays: impl FnMut(&mut Tap) -> bool) {
        self.decoder.take_if(|tap| !stays(tap));
        self.sampler.take_if(|tap| !stays(tap));
        self.enrichers.retain_mut(stays);
    }
}

/// Finds the live plugin of a tap: its index in its role, its identity, and the schema whose change ends a shadow.
fn find<'a>(tap: &Tap, stages: &'a Stages, bound: &'a Binding) -> Option<(usize, &'a PluginId, &'a Arc<Schema>)> {
    let schema = stages.decoder.schema();
    let (place, live, schema) = match tap.role {
        Role::Decoder => (0, stages.decoder.id(), schema),
        Role::Sampler => (0, stages.sampler.as_ref()?.id(), schema),
        Role::Enricher => {
            let place = stages.enrichers.iter().position(|enricher| enricher.id().slot == tap.slot)?;
            (place, stages.enrichers.get(place)?.id(), bound.enriched.get(place)?)
        }
    };
    (live.slot == tap.slot).then_some((place, live, schema))
}
