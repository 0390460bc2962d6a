//! Candidates beside live plugins: what is compared, what is reported, and that the live path is not affected.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first wrong answer")]

mod fakes;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use fakes::{Keep, Numbers, Ring, Shelf, Tag, field, keep, numbers, path, settle, tag, texts, thresholds, until};
use host_model::{ColumnType, Comparison, FieldUse, KernelPlan, Sensitivity, Threshold};
use host_pipeline::{Candidate, Change, Running, Shadow, ShadowError, Stages};

fn live() -> Stages {
    Stages { decoder: Box::new(numbers("a")), sampler: Some(Box::new(keep(1))), enrichers: vec![Box::new(tag("x"))] }
}

fn decoder(decoder: Numbers) -> Candidate {
    Candidate::Decoder(Box::new(decoder))
}

fn sampler(sampler: Keep) -> Candidate {
    Candidate::Sampler(Box::new(sampler))
}

fn enricher(enricher: Tag) -> Candidate {
    Candidate::Enricher(Box::new(enricher))
}

/// Sends this many records along, slowly enough that none is dropped, and waits until all have been compared.
fn send(ring: &Ring, path: &Running, shadow: &Shadow, records: u64) -> Comparison {
    let (received, rows) = (path.ledger(Duration::from_secs(20)).received, shadow.comparison().rows);
    for to in (500..records + 500).step_by(500) {
        ring.push(to - 500..to.min(records));
        settle(path, received + to.min(records));
        let comparison = compared(shadow, rows + to.min(records));
        assert_eq!(comparison.dropped, 0, "{comparison:?}");
    }
    shadow.comparison()
}

/// Waits until this many rows were compared.
fn compared(shadow: &Shadow, rows: u64) -> Comparison {
    until("the rows have been compared", || shadow.comparison().rows >= rows);
    shadow.comparison()
}

/// Returns the comparison after `records` records along `stages` with a candidate beside them.
fn compare(stages: Stages, candidate: Candidate, records: u64) -> Comparison {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, stages);
    let shadow = path.shadow(candidate, 1.0).unwrap();
    send(&ring, &path, &shadow, records)
}

#[test]
fn a_sampler_that_disagrees_on_one_row_in_a_hundred_is_reported_as_one_percent() {
    let candidate = thresholds(|value| if value % 100 == 0 { u64::MAX } else { 0 });
    let comparison = compare(live(), sampler(candidate), 20_000);
    assert_eq!((comparison.rows, comparison.differing), (20_000, 200));
    assert_eq!((comparison.live_rows, comparison.candidate_rows), (20_000, 19_800));
    assert_eq!(comparison.disagreement(), 0.01);
    let (low, high) = comparison.interval();
    assert!(low < 0.01 && 0.01 < high);
    assert_eq!(comparison.examples.len(), Comparison::EXAMPLES);
    let example = &comparison.examples[0];
    assert_eq!((example.live.as_str(), example.candidate.as_str()), ("keep (th 0)", "drop (th never)"));
    assert_eq!(example.row["value"].parse::<u64>().unwrap() % 100, 0);
}

#[test]
fn verdicts_are_compared_under_the_same_randomness() {
    let half = |ratio: f64| thresholds(move |_| Threshold::from_ratio(ratio).get());
    let stages = || Stages { sampler: Some(Box::new(half(0.5))), ..live() };
    let same = compare(stages(), sampler(half(0.5)), 10_000);
    assert_eq!((same.rows, same.differing), (10_000, 0));
    // A sampler that keeps more keeps at least the same rows: 10 % of all are between the two.
    let more = compare(stages(), sampler(half(0.6)), 10_000);
    assert_eq!(more.differing, more.candidate_rows - more.live_rows);
    assert!((800..1200).contains(&more.differing), "{more:?}");
}

#[test]
fn the_cost_is_that_of_the_control_on_the_same_thread_where_there_is_one() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let sampler_of = |cost_ns| {
        let mut kept = keep(2);
        kept.0.cost_ns = cost_ns;
        kept
    };
    let path = path(&ring, &shelf, Stages { sampler: Some(Box::new(sampler_of(90_000))), ..live() });
    let control = Some(sampler(sampler_of(2_000)));
    let shadow = path.shadow_with_control(sampler(sampler_of(3_000)), control, 1.0).unwrap();
    let mut comparison = shadow.comparison();
    for batch in 0..20 {
        ring.push(batch * 100..(batch + 1) * 100);
        until("the batch was compared", || {
            comparison = shadow.comparison();
            comparison.batches > batch
        });
    }
    // The control works on one batch in eight, so that it costs the machine little.
    assert_eq!((comparison.cost, comparison.live_ns * 3), (1.5, comparison.candidate_ns * 2));
    assert_eq!(comparison.live_ns, 2_000 * comparison.batches.div_ceil(8));
    assert!(comparison.timed_rows > 0 && comparison.timed_rows < comparison.rows / 4, "{comparison:?}");
    assert_eq!(comparison.differing, 0);
}

#[test]
fn a_blocked_candidate_delays_nothing_and_what_it_misses_is_dropped_and_counted() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let live_sampler = keep(2);
    let calls = Arc::clone(&live_sampler.0.stats);
    let path = path(&ring, &shelf, Stages { sampler: Some(Box::new(live_sampler)), ..live() });
    let candidate = keep(2);
    let blocked = Arc::clone(&candidate.0.blocked);
    blocked.store(true, SeqCst);
    let shadow = path.shadow(sampler(candidate), 1.0).unwrap();
    ring.push(0..50_000);
    // The path ends while the candidate is still within its first call.
    let ledger = path.stop();
    assert!(ledger.balanced() && ledger.kept == 25_000, "{ledger:?}");
    let comparison = shadow.comparison();
    assert_eq!((comparison.batches, comparison.left_out), (0, 0));
    assert!(comparison.dropped > 400, "{comparison:?}");
    // The candidate finishes the waiting samples, and every batch is accounted for.
    blocked.store(false, SeqCst);
    let batches = calls.calls.load(SeqCst);
    until("every batch was compared or dropped", || {
        let comparison = shadow.comparison();
        comparison.batches + comparison.dropped == batches
    });
    assert_eq!(shadow.comparison().differing, 0);
}

#[test]
fn a_shadow_ends_with_its_handle_even_while_its_candidate_is_blocked() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, live());
    let candidate = keep(1);
    let (blocked, alive) = (Arc::clone(&candidate.0.blocked), Arc::downgrade(&candidate.0.faulty));
    blocked.store(true, SeqCst);
    let shadow = path.shadow(sampler(candidate), 1.0).unwrap();
    ring.push(0..100);
    settle(&path, 100);
    drop(shadow);
    ring.push(0..100);
    settle(&path, 200);
    blocked.store(false, SeqCst);
    until("the candidate is gone", || alive.strong_count() == 0);
    // The slot is free for the next candidate.
    let shadow = path.shadow(sampler(keep(1)), 1.0).unwrap();
    assert_eq!(send(&ring, &path, &shadow, 100).faults, 0);
}

#[test]
fn a_share_of_the_batches_is_compared_and_the_others_are_counted() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, live());
    let shadow = path.shadow(sampler(keep(1)), 0.1).unwrap();
    for round in 1..=100 {
        ring.push(0..10);
        settle(&path, round * 10);
    }
    until("a tenth was compared", || shadow.comparison().batches >= shadow.comparison().left_out / 9);
    let comparison = shadow.comparison();
    assert!(comparison.left_out >= 90 && comparison.dropped == 0, "{comparison:?}");
    assert_eq!(comparison.batches, (comparison.batches + comparison.left_out).div_ceil(10), "{comparison:?}");
}

#[test]
fn faults_of_a_candidate_are_counted_and_end_in_nothing_else() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, live());
    let candidate = keep(1);
    candidate.0.faulty.store(true, SeqCst);
    let shadow = path.shadow(sampler(candidate), 1.0).unwrap();
    ring.push(0..1000);
    until("the candidate has failed on all batches", || shadow.comparison().faults >= 10);
    let comparison = shadow.comparison();
    assert_eq!((comparison.batches, comparison.rows, shadow.ended()), (0, 0, None));
    let ledger = path.stop();
    assert!(ledger.balanced() && ledger.kept == 1000, "{ledger:?}");
    assert!(shelf.kept.lock().unwrap().iter().all(|kept| kept.schema.named("host.fault").is_none()));
}

#[test]
fn batches_that_the_live_plugin_failed_on_are_not_compared() {
    for step in ["decode", "complete", "decide", "enrich"] {
        let (ring, shelf) = (Ring::default(), Shelf::default());
        let mut plugins = (numbers("a"), keep(1), tag("x"));
        for base in [&mut plugins.0.0, &mut plugins.1.0, &mut plugins.2.0] {
            base.faulty_step = Some(step);
            base.faulty.store(true, SeqCst);
        }
        let faulty = [&plugins.0.0, &plugins.1.0, &plugins.2.0].map(|base| Arc::clone(&base.faulty));
        let (live_decoder, live_sampler, live_enricher) = plugins;
        let stages = Stages {
            decoder: Box::new(live_decoder),
            sampler: Some(Box::new(live_sampler)),
            enrichers: vec![Box::new(live_enricher)],
        };
        let path = path(&ring, &shelf, stages);
        let candidates = [decoder(numbers("a")), sampler(keep(1)), enricher(tag("x"))];
        let shadows = candidates.map(|candidate| path.shadow(candidate, 1.0).unwrap());
        ring.push(0..100);
        settle(&path, 100);
        // From here on no stage fails.
        faulty.iter().for_each(|faulty| faulty.store(false, SeqCst));
        ring.push(0..50);
        settle(&path, 150);
        let failing = match step {
            "decode" | "complete" => 0,
            "decide" => 1,
            _ => 2,
        };
        until("what could be compared was", || shadows.iter().all(|shadow| shadow.comparison().rows >= 50));
        path.stop();
        until("the rest has been compared", || shadows.iter().all(|shadow| shadow.ended().is_some()));
        let comparison = shadows[failing].comparison();
        assert_eq!((comparison.rows, comparison.differing, comparison.faults), (50, 0, 0), "{step}");
    }
}

#[test]
fn the_thread_of_a_candidate_yields_to_others() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, live());
    let _shadow = path.shadow(sampler(keep(1)), 1.0).unwrap();
    until("a thread of that name is nice", || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        let stats = tasks.filter_map(|task| std::fs::read_to_string(task.join("stat")).ok());
        // `pid (comm) state ppid ...`: nice is the 19th word, the 17th behind the name.
        let nice = |stat: &str| stat.split_once(") ")?.1.split(' ').nth(16)?.parse::<i32>().ok();
        stats.filter(|stat| stat.contains("(shadow-sampler)")).any(|stat| nice(&stat) == Some(10))
    });
}

#[test]
fn the_cost_is_that_of_the_candidate_over_that_of_the_live_plugin() {
    let mut candidate = keep(1);
    candidate.0.cost_ns = 1500;
    let comparison = compare(live(), sampler(candidate), 1000);
    assert_eq!(comparison.cost, 1.5);
    assert_eq!(comparison.candidate_ns * 2, comparison.live_ns * 3);
}

#[test]
fn what_a_candidate_reads_is_decoded_before_the_sampler_only_while_it_is_there() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let live_decoder = numbers("a");
    let asked = Arc::clone(&live_decoder.3.asked);
    let path = path(&ring, &shelf, Stages { decoder: Box::new(live_decoder), ..live() });
    let mut candidate = keep(1);
    // The fake requires all columns that it wants.
    candidate.3 = vec![0, 1];
    let shadow = path.shadow(sampler(candidate), 1.0).unwrap();
    assert_eq!(send(&ring, &path, &shadow, 100).faults, 0);
    assert_eq!(asked.lock().unwrap().last(), Some(&vec![0, 1]));
    drop(shadow);
    ring.push(0..100);
    settle(&path, 200);
    assert_eq!(asked.lock().unwrap().last(), Some(&vec![1]));

    // Batches that the shadow does not see need no additional fields.
    let mut candidate = keep(1);
    candidate.3 = vec![0, 1];
    let shadow = path.shadow(sampler(candidate), 0.5).unwrap();
    asked.lock().unwrap().clear();
    for round in 1..=10 {
        ring.push(0..10);
        settle(&path, 200 + round * 10);
    }
    let (wide, plain): (Vec<_>, Vec<_>) = asked.lock().unwrap().iter().cloned().partition(|asked| asked == &[0, 1]);
    assert!(wide.len().abs_diff(plain.len()) <= 1 && !plain.is_empty(), "{wide:?} {plain:?}");
    until("the share was compared", || shadow.comparison().batches == wide.len() as u64);
    assert_eq!((shadow.comparison().faults, path.stop().kept), (0, 300));
}

#[test]
fn a_candidate_is_told_what_the_sampler_is_told_and_has_no_say_in_the_kernel() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, live());
    let mut candidate = keep(1);
    candidate.2 = Some(KernelPlan { default_threshold: Threshold::from_ratio(0.5), ..KernelPlan::default() });
    let stats = Arc::clone(&candidate.0.stats);
    let _shadow = path.shadow(sampler(candidate), 1.0).unwrap();
    until("it was told twice", || stats.calls.load(SeqCst) >= 2);
    assert_eq!(*ring.plan.lock().unwrap(), None);
}

// === Decoders ===

#[test]
fn a_decoder_that_reads_one_row_in_a_hundred_otherwise_is_reported_as_one_percent() {
    let mut candidate = numbers("b");
    candidate.3.value = |name, value| if name == "value" && value % 100 == 0 { value + 1 } else { value };
    let comparison = compare(live(), decoder(candidate), 10_000);
    assert_eq!((comparison.rows, comparison.differing), (10_000, 100));
    let example = &comparison.examples[0];
    assert_eq!(example.live, format!("value={}", example.row["value"]));
    assert_ne!(example.candidate, example.live);
}

#[test]
fn fields_that_are_decoded_for_kept_rows_only_are_compared_too() {
    let mut candidate = numbers("a");
    candidate.3.value = |name, value| if name == "time" { value + 1 } else { value };
    // One row of ten is kept, and `time` is decoded only after that.
    let stages = Stages { sampler: Some(Box::new(keep(10))), ..live() };
    let comparison = compare(stages, decoder(candidate), 1000);
    assert_eq!((comparison.rows, comparison.differing), (1000, 100));
    assert!(comparison.examples[0].candidate.starts_with("time="), "{comparison:?}");
}

#[test]
fn records_that_only_one_decoder_can_read_differ_and_the_others_are_still_paired() {
    let mut candidate = numbers("a");
    candidate.3.undecodable = |value| value % 50 == 0;
    let mut live_decoder = numbers("a");
    live_decoder.3.undecodable = |value| value % 50 == 1;
    let stages = Stages { decoder: Box::new(live_decoder), ..live() };
    let comparison = compare(stages, decoder(candidate), 1000);
    assert_eq!((comparison.rows, comparison.differing), (1000, 40));
    assert_eq!((comparison.live_rows, comparison.candidate_rows), (980, 980));
    let one_sided: Vec<_> = comparison.examples.iter().map(|example| (&*example.live, &*example.candidate)).collect();
    assert!(one_sided.contains(&("a row", "no row")) && one_sided.contains(&("no row", "a row")), "{one_sided:?}");
}

#[test]
fn a_decoder_that_makes_other_numbers_of_rows_differs_in_those() {
    let mut candidate = numbers("a");
    candidate.3.rows = 2;
    candidate.3.value = |_, _| 7;
    let mut live_decoder = numbers("a");
    live_decoder.3.value = |_, _| 7;
    let stages = Stages { decoder: Box::new(live_decoder), ..live() };
    let comparison = compare(stages, decoder(candidate), 100);
    assert_eq!((comparison.live_rows, comparison.candidate_rows), (100, 200));
    assert_eq!((comparison.rows, comparison.differing), (200, 100));
}

#[test]
fn fields_that_only_one_decoder_has_are_named_and_secrets_are_not_shown() {
    let mut secret = field("secret", ColumnType::U64, FieldUse::Plain);
    secret.sensitivity = Sensitivity::Payload;
    let time = || field("time", ColumnType::U64, FieldUse::Time);
    let value = |name: &str| field(name, ColumnType::U64, FieldUse::Plain);
    let live_decoder = numbers("a").with(vec![time(), value("value"), value("old"), secret.clone()]);
    let mut candidate = numbers("a").with(vec![value("new"), secret, time(), value("value")]);
    candidate.3.value = |name, value| if name == "secret" { value + 1 } else { value };
    let stages = Stages { decoder: Box::new(live_decoder), ..live() };
    let comparison = compare(stages, decoder(candidate), 100);
    assert_eq!((comparison.missing_fields, comparison.added_fields), (vec!["old".to_owned()], vec!["new".to_owned()]));
    assert_eq!((comparison.rows, comparison.differing), (100, 100));
    let example = &comparison.examples[0];
    assert!(example.live == "secret (not shown)" && example.candidate == "secret (not shown)", "{example:?}");
    assert!(!example.row.contains_key("secret") && example.row.contains_key("old"), "{example:?}");
}

// === Enrichers ===

#[test]
fn columns_of_enrichers_are_compared_by_name() {
    let words = |odd: &'static str| texts(move |value| if value % 100 == 0 { odd.to_owned() } else { "same".to_owned() });
    let mut live_enricher = words("live");
    let text = |name: &str| field(name, ColumnType::Text, FieldUse::Plain);
    live_enricher.2 = vec![text("tag"), text("gone")];
    let mut candidate = words("candidate");
    candidate.2 = vec![text("fresh"), text("tag")];
    let stages = Stages { enrichers: vec![Box::new(live_enricher)], ..live() };
    let comparison = compare(stages, enricher(candidate), 10_000);
    assert_eq!((comparison.rows, comparison.differing), (10_000, 100));
    assert_eq!((&*comparison.missing_fields, &*comparison.added_fields), (&["gone".to_owned()][..], &["fresh".to_owned()][..]));
    let example = &comparison.examples[0];
    assert_eq!((example.live.as_str(), example.candidate.as_str()), ("tag=live", "tag=candidate"));
    assert_eq!(example.row["value"].parse::<u64>().unwrap() % 100, 0);
}

// === Beginning and end ===

#[test]
fn a_shadow_needs_a_live_plugin_and_a_slot_of_its_own() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, live());
    let mut stranger = tag("x");
    stranger.0.id.slot = "enricher.other".into();
    assert!(matches!(path.shadow(enricher(stranger), 1.0), Err(ShadowError::Alone { .. })));
    let _first = path.shadow(sampler(keep(1)), 1.0).unwrap();
    assert!(matches!(path.shadow(sampler(keep(1)), 1.0), Err(ShadowError::Shadowed { .. })));
    let mut elsewhere = keep(1);
    elsewhere.3 = vec![17];
    drop(_first);
    assert!(matches!(path.shadow(sampler(elsewhere), 1.0), Err(ShadowError::Misfit { .. })));
    // A candidate of each role may run beside the others.
    let _all = (path.shadow(sampler(keep(1)), 1.0).unwrap(), path.shadow(decoder(numbers("a")), 1.0).unwrap());
    let shadow = path.shadow(enricher(tag("x")), 1.0).unwrap();
    assert_eq!(send(&ring, &path, &shadow, 1000).differing, 0);
}

#[test]
fn a_shadow_ends_when_its_live_plugin_is_replaced() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, live());
    let candidate = keep(1);
    let alive = Arc::downgrade(&candidate.0.faulty);
    let shadow = path.shadow(sampler(candidate), 1.0).unwrap();
    let mut next = keep(1);
    next.0.id.generation = 2;
    path.switch(Change { sampler: Some(Some(Box::new(next))), ..Change::default() }).unwrap();
    assert!(shadow.ended().unwrap().contains("generation 2"), "{:?}", shadow.ended());
    until("the candidate is gone", || alive.strong_count() == 0);
    let shadow = path.shadow(sampler(keep(1)), 1.0).unwrap();
    path.switch(Change { sampler: Some(None), ..Change::default() }).unwrap();
    assert_eq!(shadow.ended().unwrap(), "slot sampler was emptied");
}

#[test]
fn a_shadow_goes_on_when_another_plugin_is_replaced() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, live());
    let beside_sampler = path.shadow(sampler(keep(1)), 1.0).unwrap();
    let beside_enricher = path.shadow(enricher(tag("x")), 1.0).unwrap();
    // A new decoder of the same schema; and another enricher in front of the present one, which is bound anew.
    path.switch(Change { decoder: Some(Box::new(numbers("a"))), ..Change::default() }).unwrap();
    assert_eq!(send(&ring, &path, &beside_sampler, 100).faults, 0);
    compared(&beside_enricher, 100);
    assert_eq!((beside_sampler.ended(), beside_enricher.ended()), (None, None));
    let mut other = tag("y");
    other.0.id.slot = "enricher.other".into();
    other.2 = vec![field("other", ColumnType::Text, FieldUse::Plain)];
    path.switch(Change { enrichers: Some(vec![Box::new(other), Box::new(tag("x"))]), ..Change::default() }).unwrap();
    assert_eq!(beside_sampler.ended(), None);
    assert_eq!(beside_enricher.ended().unwrap(), "the rows in front of slot enricher.tag mean something else now");
}

#[test]
fn a_shadow_ends_when_the_rows_mean_something_else() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, live());
    let shadow = path.shadow(sampler(keep(1)), 1.0).unwrap();
    let whole = Change {
        decoder: Some(Box::new(numbers("b"))),
        sampler: Some(Some(Box::new(keep(1)))),
        enrichers: Some(vec![Box::new(tag("y"))]),
    };
    path.switch(whole).unwrap();
    assert_eq!(shadow.ended().unwrap(), "the rows in front of slot sampler mean something else now");
}

#[test]
fn a_shadow_ends_with_its_path() {
    let (ring, shelf) = (Ring::default(), Shelf::default());
    let path = path(&ring, &shelf, live());
    let shadow = path.shadow(decoder(numbers("a")), 1.0).unwrap();
    assert_eq!(shadow.ended(), None);
    ring.push(0..100);
    path.stop();
    until("it has ended", || shadow.ended().is_some());
    assert_eq!((shadow.ended().unwrap().as_str(), shadow.comparison().rows), ("the path has stopped", 100));
}
