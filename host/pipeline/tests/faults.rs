//! Stages that fail: the effect of their fallback on the batch, the marks of the rows, and that every row is counted.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first wrong answer")]

mod fakes;

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use fakes::{Base, Keep, Numbers, Ring, Shelf, Tag, field, keep, numbers, path, settle, tag, until, watched};
use host_model::{
    ColumnType, Fallback, Fault, FaultKind, FieldUse, Input, Kept, KernelPlan, Ledger, Observer, PointValue, Threshold,
};
use host_pipeline::{Candidate, Change, Stages, StartError, SwitchError};

/// A decoder, a sampler that keeps every tenth, and an enricher.
fn plugins() -> (Numbers, Keep, Tag) {
    (numbers("a"), keep(10), tag("x"))
}

fn stages((decoder, sampler, tag): (Numbers, Keep, Tag)) -> Stages {
    Stages { decoder: Box::new(decoder), sampler: Some(Box::new(sampler)), enrichers: vec![Box::new(tag)] }
}

fn fails(base: &mut Base, step: &'static str, kind: FaultKind, fallback: Fallback) {
    (base.faulty_step, base.kind, base.fallback) = (Some(step), kind, fallback);
    base.faulty.store(true, SeqCst);
}

/// Returns the ledger after 100 records, and the rows that arrived.
fn hundred(plugins: (Numbers, Keep, Tag)) -> (Ledger, Vec<Kept>, Shelf) {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, stages(plugins));
    ring.push(0..100);
    let ledger = path.stop();
    assert!(ledger.balanced(), "{ledger:?}");
    let kept = std::mem::take(&mut *shelf.kept.lock().unwrap());
    (ledger, kept, shelf)
}

/// Returns the marks of the rows of a batch.
fn marks(kept: &Kept) -> Option<Vec<&str>> {
    let field = kept.schema.named("host.fault")?;
    assert_eq!(field, kept.schema.fields.len() - 1, "behind all others");
    assert_eq!(kept.batch.schema().field(field).name(), "host.fault");
    Some(kept.batch.column(field).as_string::<i32>().iter().map(Option::unwrap).collect())
}

#[test]
fn when_the_decoder_faults_every_record_is_kept_as_a_raw_event() {
    let mut plugins = plugins();
    fails(&mut plugins.0.0, "decode", FaultKind::Trap, Fallback::Pass);
    let (ledger, kept, _) = hundred(plugins);
    assert_eq!((ledger.undecodable, ledger.raw, ledger.decoded, ledger.exported), (100, 100, 0, 100));
    let error = kept[0].schema.named("error.type").unwrap();
    assert!(kept.iter().all(|kept| kept.batch.column(error).as_string::<i32>().iter().all(|kind| kind == Some("trap"))));
}

#[test]
fn when_the_decoder_faults_and_its_batches_are_to_be_dropped_they_are_sampled_out() {
    let mut plugins = plugins();
    fails(&mut plugins.0.0, "decode", FaultKind::Deadline, Fallback::Drop);
    let (ledger, kept, _) = hundred(plugins);
    assert_eq!((ledger.undecodable, ledger.raw, ledger.sampled_out, ledger.kept), (100, 100, 100, 0));
    assert!(kept.is_empty());
}

#[test]
fn a_record_that_the_decoder_merely_cannot_read_is_kept_whatever_its_fallback() {
    let mut plugins = plugins();
    plugins.0.0.fallback = Fallback::Drop;
    plugins.0.3.undecodable = |value| value < 5;
    let (ledger, ..) = hundred(plugins);
    assert_eq!((ledger.raw, ledger.kept), (5, 5 + 9));
}

#[test]
fn when_the_sampler_faults_everything_is_kept_and_marked() {
    let mut plugins = plugins();
    fails(&mut plugins.1.0, "decide", FaultKind::Deadline, Fallback::Pass);
    let (ledger, kept, _) = hundred(plugins);
    assert_eq!((ledger.kept, ledger.sampled_out), (100, 0));
    assert!(kept.iter().all(|kept| marks(kept).unwrap().iter().all(|mark| *mark == "sampler: deadline")));
}

#[test]
fn when_the_sampler_faults_and_its_batches_are_to_be_dropped_they_are_counted_but_not_kept() {
    let mut plugins = plugins();
    fails(&mut plugins.1.0, "decide", FaultKind::Trap, Fallback::Drop);
    let (ledger, kept, shelf) = hundred(plugins);
    assert_eq!((ledger.rows, ledger.kept, ledger.sampled_out), (100, 0, 100));
    assert!(kept.is_empty());
    assert_eq!(shelf.metrics.lock().unwrap()[0].points[0].value, PointValue::Sum(100));
}

#[test]
fn when_the_enricher_faults_rows_go_on_without_its_columns_and_marked() {
    let mut plugins = plugins();
    fails(&mut plugins.2.0, "enrich", FaultKind::BackingOff, Fallback::Pass);
    let (ledger, kept, _) = hundred(plugins);
    assert_eq!(ledger.kept, 10);
    assert!(kept.iter().all(|kept| kept.batch.column(2).as_string::<i32>().iter().all(|tag| tag == Some(""))));
    assert!(kept.iter().all(|kept| marks(kept).unwrap().iter().all(|mark| *mark == "enricher.tag: backing-off")));
}

#[test]
fn when_the_enricher_faults_and_its_batches_are_to_be_dropped_they_are_sampled_out() {
    let mut plugins = plugins();
    fails(&mut plugins.2.0, "enrich", FaultKind::Trap, Fallback::Drop);
    let (ledger, kept, _) = hundred(plugins);
    assert_eq!((ledger.rows, ledger.kept, ledger.sampled_out), (100, 0, 100));
    assert!(kept.is_empty());
}

#[test]
fn columns_that_the_decoder_could_not_complete_stay_blank_and_the_rows_are_marked() {
    let mut plugins = plugins();
    fails(&mut plugins.0.0, "complete", FaultKind::Output, Fallback::Pass);
    let (ledger, kept, shelf) = hundred(plugins);
    assert_eq!((ledger.decoded, ledger.kept), (100, 10));
    *shelf.kept.lock().unwrap() = kept.clone();
    assert_eq!((shelf.values("a", 0), shelf.values("a", 1).len()), (vec![0; 10], 10));
    assert!(kept.iter().all(|kept| marks(kept).unwrap().iter().all(|mark| *mark == "decoder.fake: output")));
}

#[test]
fn rows_that_the_decoder_could_not_complete_are_sampled_out_if_its_batches_are_to_be_dropped() {
    let mut plugins = plugins();
    fails(&mut plugins.0.0, "complete", FaultKind::Trap, Fallback::Drop);
    let (ledger, ..) = hundred(plugins);
    assert_eq!((ledger.decoded, ledger.raw, ledger.kept, ledger.sampled_out), (100, 0, 0, 100));
}

#[test]
fn several_faults_of_one_batch_are_all_on_its_rows() {
    let mut plugins = plugins();
    fails(&mut plugins.1.0, "decide", FaultKind::Trap, Fallback::Pass);
    fails(&mut plugins.2.0, "enrich", FaultKind::Quarantined, Fallback::Pass);
    let (_, kept, _) = hundred(plugins);
    assert!(
        kept.iter().all(|kept| marks(kept).unwrap().iter().all(|mark| *mark == "sampler: trap; enricher.tag: quarantined"))
    );
}

#[test]
fn only_batches_with_a_fault_are_marked_and_all_of_them_share_one_schema() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let mut plugins = plugins();
    fails(&mut plugins.1.0, "decide", FaultKind::Trap, Fallback::Pass);
    let faulty = Arc::clone(&plugins.1.0.faulty);
    let path = path(&ring, &shelf, stages(plugins));
    for round in 1..=20u64 {
        faulty.store(round % 2 == 0, SeqCst);
        ring.push(0..10);
        settle(&path, round * 10);
        if round == 10 {
            // A shadow that starts or ends does not change the rows.
            drop(path.shadow(Candidate::Sampler(Box::new(keep(1))), 1.0).unwrap());
        }
    }
    path.stop();
    let kept = shelf.kept.lock().unwrap();
    let (marked, plain): (Vec<&Kept>, Vec<&Kept>) = kept.iter().partition(|kept| marks(kept).is_some());
    assert!(marked.iter().map(|kept| kept.batch.num_rows()).sum::<usize>() == 100 && !plain.is_empty());
    // A sink plans a schema once per address, and caches few plans.
    assert!(marked.iter().all(|kept| Arc::ptr_eq(&kept.schema, &marked[0].schema)));
    assert!(plain.iter().all(|kept| Arc::ptr_eq(&kept.schema, &plain[0].schema)));
}

/// Notes every fault, and the input of the call.
#[derive(Default)]
struct Notebook(Mutex<Vec<String>>);

impl Observer for Notebook {
    fn fault(&self, fault: &Fault, input: Input<'_>) {
        let given = match input {
            Input::Run(run, fields) => format!("{} records, fields {fields:?}", run.records),
            Input::Batch(batch) => format!("{} rows", batch.rows),
            Input::Other => "other".to_owned(),
        };
        self.0.lock().unwrap().push(format!("{} {}: {given}", fault.step, fault.kind));
    }
}

#[test]
fn the_observer_is_told_of_every_fault_with_what_the_call_was_given() {
    let told = |step: &'static str| {
        let (ring, shelf, notebook) = (Ring::default(), Shelf::default(), Arc::new(Notebook::default()));
        let mut plugins = plugins();
        for base in [&mut plugins.0.0, &mut plugins.1.0, &mut plugins.2.0] {
            fails(base, step, FaultKind::Contract, Fallback::Pass);
            base.stateful = true;
        }
        let path = watched(&ring, &shelf, stages(plugins), Arc::<Notebook>::clone(&notebook));
        ring.push(0..50);
        settle(&path, 50);
        path.switch(Change { sampler: Some(Some(Box::new(keep(1)))), ..Change::default() }).unwrap();
        path.stop();
        notebook.0.lock().unwrap().join("; ")
    };
    assert_eq!(told("decode"), "decode contract: 50 records, fields [1]");
    assert_eq!(told("complete"), "complete contract: other");
    assert_eq!(told("decide"), "decide contract: 50 rows");
    assert_eq!(told("enrich"), "enrich contract: 5 rows");
    assert_eq!(told("export-state"), "export-state contract: other");
}

#[test]
fn a_plugin_cannot_claim_that_a_row_is_marked() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, stages(plugins()));
    let mut forger = tag("sampler: trap");
    forger.2 = vec![field("host.fault", ColumnType::Text, FieldUse::Plain)];
    let refused = path.switch(Change { enrichers: Some(vec![Box::new(forger)]), ..Change::default() });
    assert!(matches!(refused, Err(SwitchError::Schema(StartError::Schema { .. }))));
}

#[test]
fn the_ledger_balances_in_a_storm_of_faults_with_every_fallback() {
    for fallback in [Fallback::Pass, Fallback::Drop] {
        let (ring, shelf) = (Ring::default(), Shelf::default());
        let mut plugins = plugins();
        plugins.0.3.undecodable = |value| value % 7 == 0;
        let switches: Vec<_> = [&mut plugins.0.0, &mut plugins.1.0, &mut plugins.2.0]
            .map(|base| {
                base.fallback = fallback;
                Arc::clone(&base.faulty)
            })
            .into();
        let path = path(&ring, &shelf, stages(plugins));
        for round in 0..300u64 {
            // Every combination of faulty stages.
            (0..).zip(&switches).for_each(|(bit, faulty)| faulty.store(round >> bit & 1 == 1, SeqCst));
            ring.push(round * 50..(round + 1) * 50);
            let ledger = path.ledger(std::time::Duration::from_secs(20));
            assert!(ledger.balanced(), "{fallback:?} {ledger:?}");
        }
        let ledger = path.stop();
        assert!(ledger.balanced() && ledger.received == 15_000, "{fallback:?} {ledger:?}");
        let arrived: u64 = shelf.kept.lock().unwrap().iter().map(|kept| kept.batch.num_rows() as u64).sum();
        assert_eq!(arrived, ledger.kept, "{fallback:?}");
    }
}

#[test]
fn the_kernel_plan_of_a_quarantined_sampler_is_taken_back() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let mut plugins = plugins();
    let plan = KernelPlan { default_threshold: Threshold::from_ratio(0.5), ..KernelPlan::default() };
    plugins.1.2 = Some(plan.clone());
    (plugins.1.0.faulty_step, plugins.1.0.kind) = (Some("tune"), FaultKind::Quarantined);
    let faulty = Arc::clone(&plugins.1.0.faulty);
    let path = path(&ring, &shelf, stages(plugins));
    until("the plan is applied", || ring.plan.lock().unwrap().as_ref() == Some(&plan));
    faulty.store(true, SeqCst);
    until("it is taken back", || ring.plan.lock().unwrap().as_ref() == Some(&KernelPlan::default()));
    drop(path);
}
