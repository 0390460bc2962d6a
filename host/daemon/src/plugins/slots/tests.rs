//! Contents of slots after loads, rollbacks and removals.

use host_api::Step;
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
        of_file: Arc::default(),
        rules: Rules::of(&Config::default(), &Slot::Sampler, component.inspection()).unwrap(),
        signer: None,
        record: Lock::default(),
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
    assert_eq!(slots.roll_back(&slot(), None).err().unwrap().step(), Step::Rollback);
    assert_eq!(slots.roll_back(&slot(), Some(3)).unwrap().number, 3);
    assert!(slots.roll_back(&slot(), Some(9)).err().unwrap().cure().contains("1, 2, 3"));
    assert_eq!(slots.next_number(&slot()), 4, "numbers are not used twice");
}

#[test]
fn a_rollback_goes_to_what_was_live_and_not_to_what_was_taken_back_before() {
    let mut slots = slots(2);
    let component = slots.live(&slot()).unwrap().component.clone();
    assert_eq!(slots.roll_back(&slot(), None).unwrap().number, 1);
    put(&mut slots, slot(), &component);
    assert_eq!(slots.roll_back(&slot(), None).unwrap().number, 1, "2 was taken back before 3 came");
    assert!(slots.roll_back(&slot(), None).is_err());
    // A generation requested by number is left for the one it replaced.
    assert_eq!(slots.roll_back(&slot(), Some(3)).unwrap().number, 3);
    slots.clear(&slot());
    assert_eq!(slots.roll_back(&slot(), None).unwrap().number, 3, "an empty slot gets back what was live");
    assert_eq!(slots.roll_back(&slot(), None).unwrap().number, 1);
}

#[test]
fn what_was_live_is_kept_rather_than_what_was_taken_back() {
    let component = slots(1).live(&slot()).unwrap().component.clone();
    let mut slots = Slots::keeping(2);
    (0..2).for_each(|_| put(&mut slots, slot(), &component));
    slots.roll_back(&slot(), None).unwrap();
    put(&mut slots, slot(), &component);
    assert_eq!(slots.roll_back(&slot(), None).unwrap().number, 1);
}

#[test]
fn only_what_was_live_before_and_never_given_up_is_put_back() {
    let mut slots = slots(5);
    let numbers = |slots: &Slots| {
        let live = slots.live(&slot()).unwrap();
        slots.healthy_before(live).iter().map(|generation| generation.number).collect::<Vec<_>>()
    };
    slots.clone().roll_back(&slot(), Some(3)).unwrap().record().quarantined = Some("10 faults".into());
    assert_eq!(numbers(&slots), [4, 2, 1]);
    let two = slots.clone().roll_back(&slot(), Some(2)).unwrap();
    slots.put_back(&two);
    assert_eq!(numbers(&slots), [1], "later ones were given up, or taken back");
    slots.roll_back(&slot(), None).unwrap();
    assert!(numbers(&slots).is_empty());
}

#[test]
fn empty_slots_are_not_remembered_without_end() {
    let mut slots = slots(1);
    let component = slots.live(&slot()).unwrap().component.clone();
    for number in 0..10 * EMPTY {
        let slot: Slot = format!("enricher.a{number}").parse().unwrap();
        put(&mut slots, slot.clone(), &component);
        slots.clear(&slot);
    }
    assert_eq!(slots.generations().count(), 1 + EMPTY);
    let last = format!("enricher.a{}", 10 * EMPTY - 1).parse().unwrap();
    assert!(slots.roll_back(&last, None).is_ok() && slots.live(&slot()).is_some());
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
