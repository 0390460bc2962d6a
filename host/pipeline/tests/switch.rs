//! Plugins replaced while records flow: nothing lost, nothing twice, state handed over, and all or nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first wrong answer")]

mod fakes;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use fakes::{Ring, Shelf, keep, numbers, tag};
use host_pipeline::{BatchLimits, Blueprint, Change, Outcome, Running, Stages, SwitchError, start};

fn path(ring: &Ring, shelf: &Shelf) -> Running {
    start(Blueprint {
        name: "fake".into(),
        source: ring.source(),
        stages: Stages {
            decoder: Box::new(numbers("a")),
            sampler: Some(Box::new(keep(1))),
            enrichers: vec![Box::new(tag("x"))],
        },
        sink: Box::new(shelf.clone()),
        observer: Arc::new(()),
        counters: Arc::clone(&shelf.counters),
        limits: BatchLimits { age: Duration::from_millis(1), rows: 64, ..BatchLimits::default() },
    })
    .unwrap()
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
