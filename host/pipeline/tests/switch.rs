//! Plugins replaced while records flow: no row lost or counted twice, state handed over, and all or nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests may stop at the first wrong answer")]

mod fakes;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use fakes::{Ring, Shelf, keep, numbers, settle, tag};
use host_model::FaultKind;
use host_pipeline::{Change, Outcome, Running, Stages, SwitchError};

fn path(ring: &Ring, shelf: &Shelf) -> Running {
    let (decoder, sampler, tag) = (Box::new(numbers("a")), Box::new(keep(1)), Box::new(tag("x")));
    fakes::path(ring, shelf, Stages { decoder, sampler: Some(sampler), enrichers: vec![tag] })
}

#[test]
fn a_hundred_switches_lose_and_double_nothing() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..1000u64).for_each(|block| ring.push(block * 100..(block + 1) * 100)));
        for _ in 0..100 {
            path.switch(Change { sampler: Some(Some(Box::new(keep(1)))), ..Change::default() }).unwrap();
        }
    });
    let ledger = path.stop();
    assert!(ledger.balanced(), "{ledger:?}");
    assert_eq!(shelf.values("a", 1), (0..100_000).collect::<Vec<u64>>());
}

#[test]
fn the_new_policy_holds_for_everything_after_the_switch() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf);
    path.switch(Change { sampler: Some(Some(Box::new(keep(2)))), ..Change::default() }).unwrap();
    ring.push(0..100);
    assert_eq!(path.stop().kept, 50);
}

#[test]
fn without_a_sampler_everything_is_kept() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf);
    path.switch(Change { sampler: Some(None), ..Change::default() }).unwrap();
    ring.push(1..101);
    assert_eq!(path.stop().kept, 100);
}

#[test]
fn a_sampler_goes_on_with_the_state_of_its_predecessor() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf);
    let (mut first, mut second) = (keep(1), keep(1));
    (first.0.stateful, second.0.stateful) = (true, true);
    let state = Arc::clone(&second.0.state);
    first.0.state.store(41, SeqCst);
    path.switch(Change { sampler: Some(Some(Box::new(first))), ..Change::default() }).unwrap();
    let switched = path.switch(Change { sampler: Some(Some(Box::new(second))), ..Change::default() }).unwrap();
    assert_eq!(switched.handovers[0].outcome, Outcome::Warm);
    assert_eq!(state.load(SeqCst), 41);
    ring.push([0]);
    path.stop();
    assert_eq!(state.load(SeqCst), 42);
}

/// Switches to a sampler whose handover fails in this step, of the old one or of the new one: checks the outcome and the path after it.
fn handed_over(step: &'static str, kind: FaultKind) {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf);
    let (mut first, mut second) = (keep(1), keep(2));
    for sampler in [&mut first, &mut second] {
        (sampler.0.stateful, sampler.0.faulty_step, sampler.0.kind) = (true, Some(step), kind);
        sampler.0.faulty.store(true, SeqCst);
    }
    let state = Arc::clone(&second.0.state);
    first.0.state.store(41, SeqCst);
    path.switch(Change { sampler: Some(Some(Box::new(first))), ..Change::default() }).unwrap();
    ring.push(0..100);
    let switched = path.switch(Change { sampler: Some(Some(Box::new(second))), ..Change::default() }).unwrap();
    let Outcome::Cold(reason) = &switched.handovers[0].outcome else { panic!("{:?}", switched.handovers) };
    assert!(reason.contains(step) && reason.contains(&kind.to_string()) && reason.contains("as asked"), "{reason}");
    settle(&path, 100);
    let before = state.load(SeqCst);
    ring.push(100..200);
    let ledger = path.stop();
    assert!(ledger.balanced() && ledger.rows == 200, "{ledger:?}");
    assert_eq!(state.load(SeqCst) - before, 100, "it works, and began at nothing");
    assert!(before <= 100, "{before}");
}

#[test]
fn a_state_that_is_not_given_is_a_cold_start_that_says_why() {
    handed_over("export-state", FaultKind::Refused);
    handed_over("export-state", FaultKind::Deadline);
}

#[test]
fn a_state_over_its_cap_is_a_cold_start_that_says_why() {
    handed_over("export-state", FaultKind::Output);
}

#[test]
fn a_state_that_the_successor_refuses_is_a_cold_start_that_says_why() {
    handed_over("import-state", FaultKind::Refused);
}

#[test]
fn a_state_that_crashes_the_successor_is_a_cold_start_and_loses_nothing() {
    handed_over("import-state", FaultKind::Trap);
}

#[test]
fn a_state_goes_only_to_a_plugin_of_the_same_name() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf);
    let (mut first, mut second) = (keep(1), keep(1));
    (first.0.stateful, second.0.stateful) = (true, true);
    (first.0.id.name, second.0.id.name) = ("rate".into(), "ratio".into());
    let state = Arc::clone(&second.0.state);
    first.0.state.store(41, SeqCst);
    path.switch(Change { sampler: Some(Some(Box::new(first))), ..Change::default() }).unwrap();
    let switched = path.switch(Change { sampler: Some(Some(Box::new(second))), ..Change::default() }).unwrap();
    assert_eq!(switched.handovers[0].outcome, Outcome::Cold("ratio does not know the state of rate".into()));
    assert_eq!(state.load(SeqCst), 0);
}

#[test]
fn a_switch_back_hands_the_state_back() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf);
    let mut state = Arc::default();
    for (generation, divisor) in (1..).zip([1, 2, 1]) {
        let mut sampler = keep(divisor);
        sampler.0.stateful = true;
        state = Arc::clone(&sampler.0.state);
        path.switch(Change { sampler: Some(Some(Box::new(sampler))), ..Change::default() }).unwrap();
        ring.push(0..10);
        settle(&path, generation * 10);
    }
    path.stop();
    assert_eq!(state.load(SeqCst), 30);
}

#[test]
fn a_decoder_with_another_schema_is_refused_unless_the_rest_is_bound_anew() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf);
    let refused = path.switch(Change { decoder: Some(Box::new(numbers("b"))), ..Change::default() });
    assert!(matches!(refused, Err(SwitchError::Unbound(_))));
    let whole = Change {
        decoder: Some(Box::new(numbers("b"))),
        sampler: Some(Some(Box::new(keep(1)))),
        enrichers: Some(vec![Box::new(tag("y"))]),
    };
    path.switch(whole).unwrap();
    ring.push(0..10);
    path.stop();
    assert_eq!(shelf.values("b", 1).len(), 10);
}

#[test]
fn enrichers_that_add_the_same_field_are_refused_and_nothing_changes() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf);
    let refused = path.switch(Change { enrichers: Some(vec![Box::new(tag("y")), Box::new(tag("z"))]), ..Change::default() });
    assert!(matches!(refused, Err(SwitchError::Schema(_))));
    ring.push(0..10);
    assert!(path.stop().balanced());
    assert_eq!(shelf.values("a", 1).len(), 10);
}
