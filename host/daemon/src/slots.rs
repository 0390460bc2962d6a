//! What is in the slots: the generations of each, and which of them is live.
//!
//! A change is made on a copy. The copy says what every path would be made of; only when every path has switched does it become
//! the truth.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use host_plugin::{Component, Inspection};
use hyper::body::Bytes;

use crate::control::message::{Refusal, SlotGeneration};
use crate::limits::SlotLimits;
use crate::rules::Rules;
use crate::slot::Slot;

/// One plugin that a slot has had.
pub(crate) struct Generation {
    pub(crate) slot: Slot,
    /// How many plugins the slot has had, this one included.
    pub(crate) number: u64,
    /// The component as it came; None if it is code that is in the binary.
    pub(crate) bytes: Option<Bytes>,
    pub(crate) component: Component,
    pub(crate) config: Arc<serde_json::Map<String, serde_json::Value>>,
    pub(crate) rules: Rules,
    /// Whose valid signature is in its bytes.
    pub(crate) signer: Option<String>,
    pub(crate) record: Mutex<Record>,
}

/// What became of a generation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// When it last went live.
    pub(crate) since_unix_ms: u64,
    /// What became of its predecessor's state then.
    pub(crate) handover: String,
    /// For what it was quarantined since then.
    pub(crate) quarantined: Option<String>,
}

/// All slots, in the order of the configuration.
#[derive(Clone)]
pub(crate) struct Slots {
    entries: Vec<Entry>,
    /// Generations that each keeps.
    kept: usize,
}

#[derive(Clone)]
struct Entry {
    slot: Slot,
    generations: VecDeque<Arc<Generation>>,
    count: u64,
    live: Option<Arc<Generation>>,
}

/// What one path is made of.
#[derive(Clone)]
pub(crate) struct Lineup {
    pub(crate) decoder: Arc<Generation>,
    pub(crate) sampler: Option<Arc<Generation>>,
    pub(crate) enrichers: Vec<Arc<Generation>>,
}

/// Generations that are kept for a rollback where nobody says how many: compiled, so that going back is as quick as going forward.
pub(crate) const KEPT: usize = 8;

// === impl Slots ===

impl Slots {
    /// Without any. The live generation and those before it are `kept`; at least the live one.
    pub(crate) fn keeping(kept: usize) -> Self {
        Self { entries: Vec::new(), kept: kept.max(1) }
    }

    /// What is live in a slot.
    pub(crate) fn live(&self, slot: &Slot) -> Option<&Arc<Generation>> {
        self.entry(slot)?.live.as_ref()
    }

    /// The number that the next plugin of a slot gets.
    pub(crate) fn next_number(&self, slot: &Slot) -> u64 {
        self.entry(slot).map_or(1, |entry| entry.count + 1)
    }

    /// Makes a plugin live. The oldest generation is forgotten if there are too many.
    pub(crate) fn put(&mut self, generation: Arc<Generation>) {
        let kept = self.kept;
        let index = match self.entries.iter().position(|entry| entry.slot == generation.slot) {
            Some(index) => index,
            None => {
                self.entries.push(Entry { slot: generation.slot.clone(), generations: VecDeque::new(), count: 0, live: None });
                self.entries.len() - 1
            }
        };
        if let Some(entry) = self.entries.get_mut(index) {
            entry.count = entry.count.max(generation.number);
            entry.generations.push_back(Arc::clone(&generation));
            if entry.generations.len() > kept {
                entry.generations.pop_front();
            }
            entry.live = Some(generation);
        }
    }

    /// Empties a slot; its generations stay for a rollback.
    pub(crate) fn clear(&mut self, slot: &Slot) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.slot == *slot) {
            entry.live = None;
        }
    }

    /// Makes an earlier generation live: the one of this number, else the one before the live one, else the last one.
    pub(crate) fn roll_back(&mut self, slot: &Slot, number: Option<u64>) -> Result<Arc<Generation>, Refusal> {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.slot == *slot) else {
            return Err(Refusal::new(
                "rollback",
                format!("slot {slot} has never held a plugin"),
                "load one with `host plugin load`",
            ));
        };
        let live = entry.live.as_ref().map_or(u64::MAX, |live| live.number);
        let wanted = |generation: &&Arc<Generation>| match number {
            Some(number) => generation.number == number,
            None => generation.number < live,
        };
        let Some(found) = entry.generations.iter().rev().find(wanted).cloned() else {
            let kept: Vec<String> = entry.generations.iter().map(|generation| generation.number.to_string()).collect();
            let message = match number {
                Some(number) => format!("slot {slot} has no generation {number}"),
                None => format!("slot {slot} has no generation before {live}"),
            };
            return Err(Refusal::new("rollback", message, format!("generations there are: {}", kept.join(", "))));
        };
        entry.live = Some(Arc::clone(&found));
        Ok(found)
    }

    /// What a path would be made of; None without a decoder.
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

    /// The protocols that have a decoder, in the order of the slots. Their connections are those that probe `trunk` sees.
    pub(crate) fn protocols(&self, trunk: &str) -> Vec<String> {
        let protocol = |entry: &Entry| match &entry.slot {
            Slot::Decoder(name) if name != trunk => {
                entry.live.as_ref().filter(|live| live.inspection().protocol).map(|_| name.clone())
            }
            _ => None,
        };
        self.entries.iter().filter_map(protocol).collect()
    }

    /// The generations of all slots, oldest first, each with whether it is live.
    pub(crate) fn generations(&self) -> impl Iterator<Item = (&Generation, bool)> {
        self.entries.iter().flat_map(|entry| {
            let live = entry.live.as_ref().map(|live| live.number);
            entry.generations.iter().map(move |generation| (&**generation, live == Some(generation.number)))
        })
    }

    /// A component that was compiled from the bytes of this inspection, and is called the same.
    pub(crate) fn compiled(&self, inspection: &Inspection) -> Option<Component> {
        let mut all = self.entries.iter().flat_map(|entry| &entry.generations);
        all.find(|generation| generation.inspection() == inspection).map(|found| found.component.clone())
    }

    /// The generations before this one that were never given up, newest first.
    pub(crate) fn healthy_before(&self, generation: &Generation) -> Vec<Arc<Generation>> {
        let all = self.entry(&generation.slot).into_iter().flat_map(|entry| entry.generations.iter().rev());
        let healthy = |other: &&Arc<Generation>| other.number < generation.number && other.record().quarantined.is_none();
        all.filter(healthy).cloned().collect()
    }

    fn entry(&self, slot: &Slot) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.slot == *slot)
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self::keeping(KEPT)
    }
}

// === impl Generation ===

impl Generation {
    /// What its bytes say.
    pub(crate) fn inspection(&self) -> &Inspection {
        self.component.inspection()
    }

    /// The component as it came: for a repro.
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

    /// The same under another number, as if it had just come.
    pub(crate) fn renumbered(&self, number: u64) -> Self {
        Self {
            slot: self.slot.clone(),
            number,
            bytes: self.bytes.clone(),
            component: self.component.clone(),
            config: Arc::clone(&self.config),
            rules: self.rules.clone(),
            signer: self.signer.clone(),
            record: Mutex::default(),
        }
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that is told about it.
    pub(crate) fn told(&self, live: bool) -> SlotGeneration {
        let Inspection { name, version, digest, .. } = self.inspection();
        let Record { since_unix_ms, handover, quarantined } = self.record().clone();
        SlotGeneration {
            slot: self.slot.clone(),
            generation: self.number,
            name: name.clone(),
            version: version.clone(),
            digest: digest.to_string(),
            live,
            since_unix_ms,
            health: quarantined.map_or_else(|| "healthy".to_owned(), |why| format!("quarantined: {why}")),
            handover,
            config: (*self.config).clone(),
            signer: self.signer.clone(),
            limits: SlotLimits::from(&self.rules.limits),
            grants: self.rules.words.clone(),
            fallback: self.rules.fallback,
            on_faults: self.rules.on_faults,
        }
    }
}

// === impl Lineup ===

impl Lineup {
    /// Whether two paths would have the same decoder, sampler, enrichers.
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
mod tests {
    use host_plugin::Engine;

    use super::*;
    use crate::config::Config;

    fn slot() -> Slot {
        Slot::Sampler
    }

    /// Slots whose sampler has had this many plugins.
    fn slots(count: u64) -> Slots {
        let bytes = plugins::component("sampler-ratio").unwrap().bytes;
        let component = Component::compile(&Engine::new().unwrap(), bytes, "sampler-ratio").unwrap();
        let mut slots = Slots::keeping(KEPT);
        (0..count).for_each(|_| put(&mut slots, slot(), &component));
        slots
    }

    fn put(slots: &mut Slots, slot: Slot, component: &Component) {
        slots.put(Arc::new(Generation {
            number: slots.next_number(&slot),
            slot,
            bytes: None,
            component: component.clone(),
            config: Arc::default(),
            rules: Rules::of(&Config::default(), &Slot::Sampler, component.inspection()).unwrap(),
            signer: None,
            record: Mutex::default(),
        }));
    }

    #[test]
    fn the_last_eight_generations_are_kept_and_numbers_go_on() {
        let slots = slots(10);
        let kept: Vec<_> = slots.generations().map(|(generation, live)| (generation.number, live)).collect();
        assert_eq!(kept.first(), Some(&(3, false)));
        assert_eq!(kept.last(), Some(&(10, true)));
        assert_eq!((kept.len(), slots.next_number(&slot())), (KEPT, 11));
    }

    #[test]
    fn a_rollback_goes_to_the_one_before_and_to_any_that_is_kept() {
        let mut slots = slots(3);
        assert_eq!(slots.roll_back(&slot(), None).unwrap().number, 2);
        assert_eq!(slots.roll_back(&slot(), None).unwrap().number, 1);
        assert_eq!(slots.roll_back(&slot(), None).err().unwrap().step, "rollback");
        assert_eq!(slots.roll_back(&slot(), Some(3)).unwrap().number, 3);
        assert!(slots.roll_back(&slot(), Some(9)).err().unwrap().cure.contains("1, 2, 3"));
        assert_eq!(slots.next_number(&slot()), 4, "numbers are not used twice");
    }

    #[test]
    fn only_earlier_generations_that_were_never_given_up_are_put_back() {
        let slots = slots(5);
        let generation = |number| slots.clone().roll_back(&slot(), Some(number)).unwrap();
        generation(3).record().quarantined = Some("10 faults".into());
        let numbers = |of| slots.healthy_before(&generation(of)).iter().map(|generation| generation.number).collect::<Vec<_>>();
        assert_eq!(numbers(5), [4, 2, 1]);
        assert_eq!(numbers(2), [1], "a later one was replaced on purpose");
        assert!(numbers(1).is_empty());
    }

    #[test]
    fn a_slot_that_was_emptied_can_be_rolled_back() {
        let mut slots = slots(2);
        slots.clear(&slot());
        assert!(slots.live(&slot()).is_none());
        assert_eq!(slots.roll_back(&slot(), None).unwrap().number, 2);
    }

    #[test]
    fn a_paths_own_sampler_goes_before_that_of_all_paths() {
        let mut slots = slots(1);
        let component = slots.live(&slot()).unwrap().component.clone();
        for slot in ["decoder.file", "decoder.tcp", "sampler.tcp", "enricher.z", "enricher.a"] {
            put(&mut slots, slot.parse().unwrap(), &component);
        }
        let sampler = |probe: &str| slots.lineup(probe).unwrap().sampler.unwrap().slot.to_string();
        assert_eq!((sampler("file").as_str(), sampler("tcp").as_str()), ("sampler", "sampler.tcp"));
        let enrichers: Vec<_> = slots.lineup("tcp").unwrap().enrichers.iter().map(|plugin| plugin.slot.to_string()).collect();
        assert_eq!(enrichers, ["enricher.z", "enricher.a"], "in the order they came");
        assert!(slots.lineup("exec").is_none(), "a path without a decoder is none");
    }
}
