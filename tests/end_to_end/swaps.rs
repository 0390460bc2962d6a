//! The sampler is replaced while events flow, and no row is lost.

use std::time::{Duration, Instant};

use host_tests::daemon::{Host, stderr};
use host_tests::load::Load;
use host_tests::turn::{measured, turn_as_root};

use crate::guests::{built_in, faulty};

const SWAPS: usize = 100;
const RATE: u64 = 60_000;

#[test]
fn a_hundred_swaps_of_the_sampler_under_load_lose_nothing_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sampler = built_in(folder.path(), "sampler-ratio");
    let mut load = Load::paced(RATE, 300.0);
    let mut host = Host::run(&["--probe", "file", "--pid", &load.pid().to_string(), "--output", "none"]);
    let first = host.status().plugin("file", "sampler").generation;

    load.go();
    let start = Instant::now();
    for swap in 0..SWAPS {
        // A different policy each time, so that a swap without effect would show in the kept rows.
        let config = format!("{{\"ratio\": {}, \"slow_ms\": 0}}", if swap % 2 == 0 { 0.5 } else { 0.25 });
        let loaded = host.load(&sampler, "sampler", Some(&config));
        assert!(loaded.status.success(), "swap {swap}: {}", stderr(&loaded));
        // Each policy gets at least a second batch.
        std::thread::sleep(Duration::from_millis(40));
    }
    let lasted = start.elapsed();
    load.go();
    let report = load.report();
    let rate = report.operations as f64 * 1e9 / report.wall_ns as f64;
    assert!(rate >= 50_000.0, "the load reached only {rate:.0}/s");

    let status = host.status_when("the path to run dry", Duration::from_secs(30), |status| {
        let ledger = status.ledger("file");
        status.balanced && ledger.received + ledger.lost_in_ring == ledger.produced && ledger.in_flight == 0
    });
    let ledger = status.ledger("file");
    assert_eq!(ledger.produced, report.operations);
    assert_eq!((ledger.lost_in_ring, ledger.undecodable, ledger.dropped_at_export), (0, 0, 0), "{ledger:?}");
    assert_eq!(ledger.received, ledger.kept + ledger.sampled_out, "{ledger:?}");
    assert!(ledger.kept > 0 && ledger.sampled_out > 0, "both policies were at work: {ledger:?}");
    assert_eq!(status.plugin("file", "sampler").generation, first + SWAPS as u64);
    assert_eq!(status.plugin("file", "sampler").traps, 0);

    let mut pauses: Vec<u64> = status.swaps.iter().filter(|swap| swap.slot == "sampler").map(|swap| swap.pause_ns).collect();
    assert_eq!(pauses.len(), SWAPS);
    pauses.sort_unstable();
    let at = |share: f64| pauses[((pauses.len() - 1) as f64 * share).round() as usize];
    measured(&format!(
        "{SWAPS} swaps in {lasted:.1?} at {rate:.0} records/s: pause p50 {} ns, p99 {} ns, longest {} ns",
        at(0.5),
        at(0.99),
        at(1.0)
    ));
    assert!(at(0.99) < 20_000_000, "a pause must be short beside a batch's age of 50 ms: {pauses:?}");
    host.stop();
}

#[test]
fn a_rollback_brings_the_policy_before_back_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sampler = built_in(folder.path(), "sampler-ratio");
    let mut load = Load::paced(5_000, 60.0);
    let host = Host::run(&["--probe", "file", "--pid", &load.pid().to_string(), "--output", "none"]);
    load.go();
    let within = Duration::from_secs(10);
    host.status_when("rows kept by the first policy", within, |status| status.ledger("file").kept > 0);

    assert!(host.load(&sampler, "sampler", Some("{\"ratio\": 0, \"slow_ms\": 0}")).status.success());
    let dropping = host.status_when("rows dropped by the second", within, |status| status.ledger("file").sampled_out > 5_000);

    let rolled_back = host.ask(&["plugin", "rollback", "sampler"]);
    assert!(rolled_back.status.success(), "{}", stderr(&rolled_back));
    let before = dropping.ledger("file").kept;
    host.status_when("rows kept again", within, |status| status.ledger("file").kept > before + 5_000);
}

#[test]
fn a_sampler_that_traps_keeps_everything_and_is_counted_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut load = Load::paced(5_000, 60.0);
    let host = Host::run(&["--probe", "file", "--pid", &load.pid().to_string(), "--output", "none"]);
    let loaded = host.load(&faulty(folder.path()), "sampler", Some("{\"do\": \"trap\"}"));
    assert!(loaded.status.success(), "{}", stderr(&loaded));
    load.go();
    host.status_when("a trap", Duration::from_secs(10), |status| {
        status.ledger("file").received > 5_000 && status.plugin("file", "sampler").traps > 0
    });
    load.go();
    let operations = load.report().operations;
    let status = host.status_when("the path to run dry", Duration::from_secs(10), |status| {
        status.balanced && status.ledger("file").received == operations && status.ledger("file").in_flight == 0
    });
    let ledger = status.ledger("file");
    assert_eq!((ledger.kept, ledger.exported, ledger.sampled_out), (operations, operations, 0), "{ledger:?}");
}
