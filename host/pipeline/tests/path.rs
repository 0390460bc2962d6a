//! A fake ring through all stages to a fake sink: the rows that arrive, the counts, the effect of a fault.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first wrong answer")]

mod fakes;

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use arrow_array::cast::AsArray;
use fakes::{Ring, Shelf, keep, numbers, path, tag, until};
use host_model::{KernelPlan, Ledger, PointValue, Threshold};
use host_pipeline::{Change, Stages};

fn stages() -> Stages {
    Stages { decoder: Box::new(numbers("a")), sampler: Some(Box::new(keep(10))), enrichers: vec![Box::new(tag("x"))] }
}

fn assert_balanced(ledger: &Ledger) {
    assert!(ledger.balanced(), "{ledger:?}");
}

#[test]
fn kept_rows_arrive_with_all_columns_and_the_ledger_balances() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, stages());
    ring.push(0..5000);
    ring.lose(7);
    let ledger = path.stop();
    assert_balanced(&ledger);
    assert_eq!((ledger.produced, ledger.lost_in_ring, ledger.received, ledger.decoded), (5007, 7, 5000, 5000));
    assert_eq!((ledger.kept, ledger.sampled_out, ledger.exported), (500, 4500, 500));
    let expected: Vec<u64> = (0..5000).step_by(10).collect();
    assert_eq!(shelf.values("a", 1), expected, "the sampled column");
    assert_eq!(shelf.values("a", 0), expected, "the column that only kept rows were asked for");
    let kept = shelf.kept.lock().unwrap();
    assert!(kept.iter().all(|kept| kept.batch.column(2).as_string::<i32>().iter().all(|tag| tag == Some("x"))));
}

#[test]
fn metrics_count_what_the_sampler_drops() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, stages());
    ring.push(0..5000);
    path.stop();
    assert_eq!(shelf.metrics.lock().unwrap()[0].points[0].value, PointValue::Sum(5000));
}

#[test]
fn a_record_that_cannot_be_decoded_is_kept_as_a_raw_event() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, stages());
    ring.push([10, u64::MAX, 20, u64::MAX]);
    let ledger = path.stop();
    assert_balanced(&ledger);
    assert_eq!((ledger.undecodable, ledger.raw, ledger.decoded, ledger.kept), (2, 2, 2, 4));
    let kept = shelf.kept.lock().unwrap();
    assert_eq!(
        kept.iter().filter(|kept| kept.schema.event == "host.undecodable").map(|kept| kept.batch.num_rows()).sum::<usize>(),
        2
    );
}

#[test]
fn one_event_is_seen_within_the_age_of_a_batch() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, stages());
    ring.push([0]);
    until("one event on the shelf", || !shelf.kept.lock().unwrap().is_empty());
    drop(path);
}

#[test]
fn the_ledger_balances_while_records_flow() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, stages());
    std::thread::scope(|scope| {
        scope.spawn(|| (0..2000u64).for_each(|block| ring.push(block..block + 50)));
        for _ in 0..50 {
            assert_balanced(&path.ledger(Duration::from_secs(20)));
        }
    });
    assert_eq!(path.stop().received, 100_000);
}

#[test]
fn a_capture_that_has_ended_is_finished_and_still_answers() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    ring.push(0..100);
    ring.ended.store(true, SeqCst);
    let path = path(&ring, &shelf, stages());
    until("the path has finished", || path.finished());
    assert_eq!(path.ledger(Duration::from_secs(20)).kept, 10);
}

#[test]
fn a_plan_reaches_the_kernel_and_ends_with_its_sampler() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let mut sampler = keep(10);
    let plan = KernelPlan { default_threshold: Threshold::from_ratio(0.5), ..KernelPlan::default() };
    sampler.2 = Some(plan.clone());
    let path = path(&ring, &shelf, Stages { sampler: Some(Box::new(sampler)), ..stages() });
    until("the plan is applied", || ring.plan.lock().unwrap().as_ref() == Some(&plan));

    // The plan ends with the sampler that made it.
    path.switch(Change { sampler: Some(Some(Box::new(keep(10)))), ..Change::default() }).unwrap();
    assert_eq!(ring.plan.lock().unwrap().as_ref(), Some(&KernelPlan::default()));
}
