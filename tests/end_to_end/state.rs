//! State is handed over at a swap: counts would differ if it were lost.

use std::time::{Duration, Instant};

use host_tests::daemon::Host;
use host_tests::load::Load;
use host_tests::turn::{measured, turn_as_root};
use serde_json::{Value, json};

use crate::guests::{built_in, hostile, variant};

#[test]
fn a_limit_per_second_holds_although_two_hundred_instances_took_turns_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const PER_SECOND: u64 = 100;
    let folder = tempfile::tempdir().unwrap();
    let first = built_in(folder.path(), "sampler-rate");
    let samplers = [variant(&first, 1), variant(&first, 2)];
    let mut load = Load::paced(20_000, 120.0);
    let mut host = Host::run(&["--probe", "file", "--pid", &load.pid().to_string(), "--output", "none"]);
    let mut control = host.control();
    let config = json!({ "per_second": PER_SECOND, "keep_failed": false });
    control.load(&first, "sampler", Some(&config)).unwrap();

    load.go();
    let start = Instant::now();
    let swaps: u32 = 200;
    for swap in 0..swaps {
        let live = control.load(&samplers[swap as usize % 2], "sampler", Some(&config)).unwrap();
        assert_eq!(live["handover"], "warm", "swap {swap}: {live}");
        std::thread::sleep((Duration::from_millis(25) * (swap + 1)).saturating_sub(start.elapsed()));
    }
    load.go();
    let report = load.report();
    let status = host.status_when("the path to run dry", Duration::from_secs(30), |status| {
        status.balanced && status.ledger("file").received == report.operations && status.ledger("file").in_flight == 0
    });
    let seconds = report.wall_ns.div_ceil(1_000_000_000) + 1;
    let kept = status.ledger("file").kept;
    measured(&format!("{swaps} swaps in {:.1?}: {kept} rows kept, {PER_SECOND} a second", start.elapsed()));
    // The selection among the eligible rows is random; four deviations are added.
    let most = seconds * PER_SECOND;
    assert!(kept <= most + 4 * most.isqrt(), "{kept} rows were kept in {seconds} s");
    assert!(kept >= PER_SECOND, "{kept}");
    // Instances that start cold keep their first hundred each.
    assert!(u64::from(swaps) * PER_SECOND > 4 * most, "the test is too slow to tell: {seconds} s");
    host.stop();
}

#[test]
fn a_decoder_that_numbers_its_rows_goes_on_counting_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let first = hostile(folder.path(), "behaves");
    let decoders = [variant(&first, 1), variant(&first, 2)];
    let mut load = Load::paced(5_000, 60.0);
    let mut host = Host::run(&["--probe", "file", "--pid", &load.pid().to_string(), "--output", "jsonl"]);
    let mut control = host.control();
    control.load(&first, "decoder.file", Some(&json!({}))).unwrap();

    load.go();
    for swap in 0..50 {
        let live = control.load(&decoders[swap % 2], "decoder.file", Some(&json!({}))).unwrap();
        assert_eq!(live["handover"], "warm", "swap {swap}: {live}");
        std::thread::sleep(Duration::from_millis(20));
    }
    load.go();
    let operations = load.report().operations;
    host.status_when("the path to run dry", Duration::from_secs(30), |status| {
        status.balanced && status.ledger("file").received == operations && status.ledger("file").in_flight == 0
    });
    let (stdout, _) = host.stop();
    let rows = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let numbers: Vec<u64> = rows.map(|row| row["attributes"]["test.number"].as_u64().unwrap()).collect();
    measured(&format!("50 swaps, {} rows, the last has number {}", numbers.len(), numbers.last().unwrap()));
    assert_eq!(numbers, (1..=operations).collect::<Vec<u64>>());
}
