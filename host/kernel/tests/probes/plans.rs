//! A kernel plan drops events before the ring, and the probability of those that pass is in the record.

use std::fs::File;

use host_model::{KernelPlan, NEVER, PlanError, Rule, Subject, Threshold};

use crate::reading::{by_comm, on_thread, start};

fn open(times: usize) {
    on_thread("load-plan", move || (0..times).for_each(|_| drop(File::open("/proc/version").unwrap())));
}

#[test]
fn a_ratio_keeps_about_that_many_and_each_carries_its_threshold_needs_root() {
    needs_root!();
    let mut probe = start("file", &by_comm("load-plan"));
    let half = Threshold::from_ratio(0.5);
    probe.source.apply(&KernelPlan { default_threshold: half, ..KernelPlan::default() }).unwrap();
    let before = probe.source.counters().filtered;
    open(4_000);
    let records = probe.drain();
    assert!((1_800..2_200).contains(&records.len()), "{}", records.len());
    assert!(records.iter().all(|record| record.number("threshold") as u64 == half.get()));
    let counters = probe.counters(records.len());
    assert!(counters.filtered - before >= 4_000 - records.len() as u64);
    probe.source.apply(&KernelPlan::default()).unwrap();
    open(100);
    let records = probe.drain();
    assert!(records.len() == 100 && records.iter().all(|record| record.number("threshold") == 0));
}

#[test]
fn a_rule_outranks_the_default_and_a_new_plan_replaces_the_old_needs_root() {
    needs_root!();
    let mut probe = start("file", &by_comm("load-rules"));
    let open = || on_thread("load-rules", || drop(File::open("/proc/version").unwrap()));
    let rule = |subject, threshold| KernelPlan {
        default_threshold: NEVER,
        rules: vec![Rule { subject, threshold }],
        ..KernelPlan::default()
    };
    let mut passes = |plan: &KernelPlan| {
        probe.source.apply(plan).unwrap();
        open();
        probe.drain().len()
    };
    assert_eq!(passes(&rule(Subject::Pid(std::process::id()), Threshold::ALWAYS)), 1);
    assert_eq!(passes(&rule(Subject::Pid(1), Threshold::ALWAYS)), 0);
    assert_eq!(passes(&rule(Subject::Comm("load-rules".into()), Threshold::ALWAYS)), 1);
    assert_eq!(passes(&rule(Subject::Comm("load-rule".into()), Threshold::ALWAYS)), 0);
    let both = KernelPlan {
        rules: vec![
            Rule { subject: Subject::Comm("load-rules".into()), threshold: Threshold::ALWAYS },
            Rule { subject: Subject::Pid(std::process::id()), threshold: NEVER },
        ],
        ..KernelPlan::default()
    };
    assert_eq!(passes(&both), 0, "pid before comm");
    assert_eq!(passes(&KernelPlan::default()), 1);
}

#[test]
fn short_events_are_dropped_unless_they_failed_needs_root() {
    needs_root!();
    let mut probe = start("file", &by_comm("load-short"));
    probe.source.apply(&KernelPlan { min_duration_ns: 3_600_000_000_000, ..KernelPlan::default() }).unwrap();
    on_thread("load-short", || {
        drop(File::open("/proc/version").unwrap());
        assert!(File::open("/no/such/file").is_err());
    });
    let records = probe.drain();
    assert_eq!(records.iter().map(|record| record.number("ret")).collect::<Vec<_>>(), [-2]);
}

#[test]
fn a_full_plan_fits_twice_over_needs_root() {
    needs_root!();
    let mut probe = start("file", &by_comm("load-full"));
    let plan = |first: u32| KernelPlan {
        rules: (first..first + 1024).map(|pid| Rule { subject: Subject::Pid(pid), threshold: NEVER }).collect(),
        ..KernelPlan::default()
    };
    for round in 0..4 {
        probe.source.apply(&plan(round * 5_000 + 5_000_000)).unwrap();
    }
    let over =
        KernelPlan { rules: (0..1025).map(|pid| Rule { subject: Subject::Pid(pid), threshold: NEVER }).collect(), ..plan(0) };
    assert_eq!(probe.source.apply(&over), Err(PlanError::TooMany(1025)));
}
