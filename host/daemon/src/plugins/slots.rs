//! The slots: the generations of each, and which one is live.
//!
//! A change is made on a copy, which gives the next plugins of every path. The copy replaces the original only when every path has
//! switched.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard};

use host_api::{Slot, SlotGeneration, Step};
use host_model::Lock;
use host_plugin::{Component, Inspection};
use hyper::body::Bytes;

use crate::config::KEPT;
use crate::error::DaemonError;
use crate::plugins::limits::to_slot_limits;
use crate::plugins::rules::Rules;

pub(crate) type Json = serde_json::Map<String, serde_json::Value>;

/// One plugin that a slot holds or has held.
pub(crate) struct Generation {
    pub(crate) slot: Slot,
    /// Number of plugins that the slot has had, this one included.
    pub(crate) number: u64,
    /// The component's original bytes; None if its code is in the binary.
    pub(crate) bytes: Option<Bytes>,
    pub(crate) component: Component,
    pub(crate) config: Arc<Json>,
    /// The configuration of this slot in the file when it was loaded.
    pub(crate) of_file: Arc<Json>,
    pub(crate) rules: Rules,
    /// The signer, if its bytes carry a valid signature.
    pub(crate) signer: Option<String>,
    pub(crate) record: Lock<Record>,
}

/// The history of a generation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// The time at which it last went live.
    pub(crate) since_unix_ms: u64,
    /// The outcome of the handover from its predecessor at that time.
    pub(crate) handover: String,
    /// The reason of its quarantine since then.
    pub(crate) quarantined: Option<String>,
    /// Number of faults from then until it was replaced.
    pub(crate) faults: u64,
}

/// All slots, in the order of the configuration.
#[derive(Clone)]
pub(crate) struct Slots {
    entries: Vec<Entry>,
    /// Maximum number of generations per slot.
    kept: usize,
    /// Number of times that a slot was emptied since the start.
    emptied: u64,
}

#[derive(Clone)]
struct Entry {
    slot: Slot,
    generations: VecDeque<Arc<Generation>>,
    count: u64,
    live: Option<Arc<Generation>>,
    /// The generations that were live before, oldest first, each once and each still in `generations`: the order of rollbacks.
    before: Vec<Arc<Generation>>,
    /// The value of `Slots::emptied` when it was last emptied.
    emptied: u64,
}

/// The plugins of one path.
#[derive(Clone)]
pub(crate) struct Lineup {
    pub(crate) decoder: Arc<Generation>,
    pub(crate) sampler: Option<Arc<Generation>>,
    pub(crate) enrichers: Vec<Arc<Generation>>,
}

/// Maximum number of empty slots kept with their generations; each costs compiled code, and clients may name new ones without end.
const EMPTY: usize = 16;

// === impl Slots ===

impl Slots {
    /// Returns empty slots. `kept` is the number of generations per slot, the live one included; at least 1.
    pub(crate) fn keeping(kept: usize) -> Self {
        Self { entries: Vec::new(), kept: kept.max(1), emptied: 0 }
    }

    /// Returns the live generation of a slot.
    pub(crate) fn live(&self, slot: &Slot) -> Option<&Arc<Generation>> {
        self.entry(slot)?.live.as_ref()
    }

    /// Returns the generation that does the work of a slot: the live one, or for the sampler of one path that of all paths.
    pub(crate) fn serving(&self, slot: &Slot) -> Option<&Arc<Generation>> {
        match (self.live(slot), slot) {
            (None, Slot::SamplerOf(_)) => self.live(&Slot::Sampler),
            (live, _) => live,
        }
    }

    /// Returns the number of the next plugin of a slot.
    pub(crate) fn next_number(&self, slot: &Slot) -> u64 {
        self.entry(slot).map_or(1, |entry| entry.count + 1)
    }

    /// Makes a plugin live. Beyond the maximum, drops the oldest generation that no rollback would reach, otherwise the oldest.
    pub(crate) fn put(&mut self, generation: Arc<Generation>) {
        let kept = self.kept;
        let index = match self.entries.iter().position(|entry| entry.slot == generation.slot) {
            Some(index) => index,
            None => {
                self.entries.push(Entry::new(generation.slot.clone()));
                self.entries.len() - 1
            }
        };
        if let Some(entry) = self.entries.get_mut(index) {
            entry.count = entry.count.max(generation.number);
            entry.generations.push_back(Arc::clone(&generation));
            entry.leave();
            entry.live = Some(generation);
            while entry.generations.len() > kept {
                entry.forget_one();
            }
        }
    }

    /// Empties a slot; its generations stay for a rollback. Of the empty slots, only those emptied last are kept.
    pub(crate) fn clear(&mut self, slot: &Slot) {
        self.emptied += 1;
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.slot == *slot) {
            entry.leave();
            entry.emptied = self.emptied;
        }
        let mut empty: Vec<u64> = self.entries.iter().filter(|entry| entry.live.is_none()).map(|entry| entry.emptied).collect();
        empty.sort_unstable();
        let surplus = empty.len().saturating_sub(EMPTY);
        if let Some(last) = surplus.checked_sub(1).and_then(|last| empty.get(last).copied()) {
            self.entries.retain(|entry| entry.live.is_some() || entry.emptied > last);
        }
    }

    /// Makes an earlier generation live: the one with this number, otherwise the one that was live before the current one.
    pub(crate) fn roll_back(&mut self, slot: &Slot, number: Option<u64>) -> Result<Arc<Generation>, DaemonError> {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.slot == *slot) else {
            return Err(DaemonError::new(
                Step::Rollback,
                format!("slot {slot} has never held a plugin"),
                "load one with `host plugin load`",
            ));
        };
        let found = match number {
            Some(number) => entry.generations.iter().find(|generation| generation.number == number),
            None => entry.before.last(),
        };
        let Some(found) = found.cloned() else {
            let kept: Vec<String> = entry.generations.iter().map(|generation| generation.number.to_string()).collect();
            let message = match (number, &entry.live) {
                (Some(number), _) => format!("slot {slot} has no generation {number}"),
                (None, Some(live)) => format!("slot {slot} held nothing before generation {} that is kept", live.number),
                (None, None) => format!("slot {slot} held nothing that is kept"),
            };
            return Err(DaemonError::new(
                Step::Rollback,
                message,
                format!("generations there are: {}; name one with --to", kept.join(", ")),
            ));
        };
        match number {
            // A generation requested by number: the one it replaces becomes the target of the next rollback.
            Some(_) => entry.leave(),
            None => drop(entry.before.pop()),
        }
        entry.before.retain(|other| !Arc::ptr_eq(other, &found));
        entry.live = Some(Arc::clone(&found));
        Ok(found)
    }

    /// Makes an earlier generation live in place of a quarantined one, to which no rollback returns.
    pub(crate) fn put_back(&mut self, earlier: &Arc<Generation>) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.slot == earlier.slot) else { return };
        if let Some(at) = entry.before.iter().position(|other| Arc::ptr_eq(other, earlier)) {
            entry.before.truncate(at);
            entry.live = Some(Arc::clone(earlier));
        }
    }

    /// Returns the plugins that a path would have; None without a decoder.
    pub(crate) fn lineup(&self, probe: &str) -> Option<Lineup> {
        let live = |wanted: &dyn Fn(&Slot) -> bool| {
            self.entries.iter().find(|entry| wanted(&entry.slot)).and_then(|entry| entry.live.clone())
        };
        let own = |slot: &Slot| matches!(slot, Slot::SamplerOf(of) if of == probe);
        Some(Lineup {
            decoder: live(&|slot| matches!(slot, Slot::Decoder(of) if of == probe))?,
            sampler: live(&own).or_else(|| live(&|slot| *slot == Slot::Sampler)),
            enrichers: self
                .entries
                .iter()
                .filter(|entry| matches!(entry.slot, Slot::Enricher(_)))
                .filter_map(|entry| entry.live.clone())
                .collect(),
        })
    }

    /// Returns the protocols that have a decoder, in the order of the slots. Probe `trunk` sees their connections.
    pub(crate) fn protocols(&self, trunk: &str) -> Vec<String> {
        let protocol = |entry: &Entry| match &entry.slot {
            Slot::Decoder(name) if name != trunk => {
                entry.live.as_ref().filter(|live| live.inspection().protocol).map(|_| name.clone())
            }
            _ => None,
        };
        self.entries.iter().filter_map(protocol).collect()
    }

    /// Returns the generations of all slots, oldest first, each with whether it is live.
    pub(crate) fn generations(&self) -> impl Iterator<Item = (&Arc<Generation>, bool)> {
        self.entries.iter().flat_map(|entry| {
            let live = entry.live.as_ref().map(|live| live.number);
            entry.generations.iter().map(move |generation| (generation, live == Some(generation.number)))
        })
    }

    /// Returns a component that was compiled from the bytes of this inspection, and has the same name.
    pub(crate) fn compiled(&self, inspection: &Inspection) -> Option<Component> {
        let mut all = self.entries.iter().flat_map(|entry| &entry.generations);
        all.find(|generation| generation.inspection() == inspection).map(|found| found.component.clone())
    }

    /// Returns the generations that were live before this one and never quarantined, newest first.
    pub(crate) fn healthy_before(&self, generation: &Generation) -> Vec<Arc<Generation>> {
        let before = self.entry(&generation.slot).into_iter().flat_map(|entry| entry.before.iter().rev());
        let healthy = |other: &&Arc<Generation>| other.number != generation.number && other.record().quarantined.is_none();
        before.filter(healthy).cloned().collect()
    }

    /// Returns the last generation of a plugin with this name in a slot: the live one if it has that name, otherwise the last before it.
    pub(crate) fn last_named(&self, slot: &Slot, name: &str) -> Option<&Arc<Generation>> {
        let entry = self.entry(slot)?;
        let mut last = entry.live.iter().chain(entry.before.iter().rev()).chain(entry.generations.iter().rev());
        last.find(|generation| generation.inspection().name == name)
    }

    /// Returns the number of the last quarantined generation of a slot with these bytes and this configuration, and the reason.
    pub(crate) fn given_up(&self, like: &Generation) -> Option<(u64, String)> {
        let mut all = self.entry(&like.slot)?.generations.iter().rev();
        all.find_map(|other| {
            let same = other.inspection().digest == like.inspection().digest && other.config == like.config;
            same.then(|| other.record().quarantined.clone()).flatten().map(|why| (other.number, why))
        })
    }

    fn entry(&self, slot: &Slot) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.slot == *slot)
    }
}

// === impl Entry ===

impl Entry {
    fn new(slot: Slot) -> Self {
        Self { slot, generations: VecDeque::new(), count: 0, live: None, before: Vec::new(), emptied: 0 }
    }

    /// Moves the live generation to those that were live before.
    fn leave(&mut self) {
        if let Some(live) = self.live.take() {
            self.before.retain(|other| !Arc::ptr_eq(other, &live));
            self.before.push(live);
        }
    }

    fn forget_one(&mut self) {
        let is = |one: &Arc<Generation>, other: &Arc<Generation>| Arc::ptr_eq(one, other);
        let wanted = |generation: &Arc<Generation>| self.before.iter().chain(&self.live).any(|other| is(generation, other));
        let at = self.generations.iter().position(|generation| !wanted(generation)).unwrap_or(0);
        if let Some(forgotten) = self.generations.remove(at) {
            self.before.retain(|other| !is(other, &forgotten));
        }
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self::keeping(KEPT)
    }
}

// === impl Generation ===

impl Generation {
    /// Returns the inspection of its bytes.
    pub(crate) fn inspection(&self) -> &Inspection {
        self.component.inspection()
    }

    /// Returns the component's original bytes, for a repro.
    pub(crate) fn bytes(&self) -> Bytes {
        let unpacked = || plugins::code(self.inspection().digest.0).map(Bytes::from_owner);
        self.bytes.clone().or_else(unpacked).unwrap_or_default()
    }

    /// `name@version (generation)`
    pub(crate) fn label(&self) -> String {
        let Inspection { name, version, .. } = self.inspection();
        format!("{name}@{version} ({})", self.number)
    }

    /// Whether this is the same plugin with the same configuration.
    pub(crate) fn does_the_same(&self, other: &Self) -> bool {
        self.slot == other.slot
            && self.inspection().digest == other.inspection().digest
            && self.config == other.config
            && self.rules == other.rules
    }

    /// Returns a copy with another number and a new record.
    pub(crate) fn renumbered(&self, number: u64) -> Self {
        Self {
            slot: self.slot.clone(),
            number,
            bytes: self.bytes.clone(),
            component: self.component.clone(),
            config: Arc::clone(&self.config),
            of_file: Arc::clone(&self.of_file),
            rules: self.rules.clone(),
            signer: self.signer.clone(),
            record: Lock::default(),
        }
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock()
    }

    /// Returns its description for the control socket. `faults` is its number of faults on the paths that it works on.
    pub(crate) fn told(&self, live: bool, faults: u64) -> SlotGeneration {
        let Inspection { name, version, digest, .. } = self.inspection();
        let Record { since_unix_ms, handover, quarantined, faults: earlier } = self.record().clone();
        let health = match (quarantined, faults + earlier) {
            (Some(why), _) => format!("quarantined: {why}"),
            (None, 0) => "healthy".to_owned(),
            (None, faults) => format!("faulty: {faults} faults"),
        };
        SlotGeneration {
            slot: self.slot.clone(),
            generation: self.number,
            name: name.clone(),
            version: version.clone(),
            digest: digest.to_string(),
            live,
            since_unix_ms,
            health,
            handover,
            config: (*self.config).clone(),
            signer: self.signer.clone(),
            limits: to_slot_limits(&self.rules.limits),
            grants: self.rules.words.clone(),
            fallback: self.rules.fallback,
            on_faults: self.rules.on_faults,
        }
    }
}

// === impl Lineup ===

impl Lineup {
    /// Whether two paths would differ in their decoder, sampler, enrichers.
    pub(crate) fn differs(&self, other: &Self) -> (bool, bool, bool) {
        let decoder = !Arc::ptr_eq(&self.decoder, &other.decoder);
        let sampler = match (&self.sampler, &other.sampler) {
            (Some(a), Some(b)) => !Arc::ptr_eq(a, b),
            (None, None) => false,
            _ => true,
        };
        let enrichers = self.enrichers.len() != other.enrichers.len()
            || self.enrichers.iter().zip(&other.enrichers).any(|(a, b)| !Arc::ptr_eq(a, b));
        (decoder, sampler, enrichers)
    }
}

#[cfg(test)]
mod tests;
