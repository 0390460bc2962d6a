//! The whole host on one machine: default probes, a collector, and a sampler that is replaced while events flow.

use std::fs;
use std::path::Path;
use std::time::Instant;

use host_tests::collector::{Collector, Received};
use host_tests::daemon::{Host, PathStatus, Status, stderr};
use host_tests::load::{Cgroup, Load};
use host_tests::{process, wait_for};
use serde_json::{Value, json};

use crate::{SOON, talk};

const SWAPS: u64 = 20;
/// Number of opens per second.
const RATE: u64 = 500;
/// The sampler, whose compiled code is in the cache.
const SAMPLER: &str = "/plugins/sampler-ratio.wasm";
/// The same with another digest: this machine has to compile it.
const STRANGER: &str = "/plugins/stranger/sampler-ratio.wasm";

/// Runs all of it; returns figures, and each side's counts of the events.
pub(crate) fn measure() -> Value {
    let begun = Instant::now();
    let collector = Collector::start().expect("the collector is on the disk");
    let collector_ms = milliseconds(begun);
    let cgroup = Cgroup::new("swaps");
    let endpoint = collector.grpc();
    let to = ["--otlp-endpoint", &endpoint, "--otlp-protocol", "grpc", "--state-dir", "/state"];
    let mut host = Host::run(&[&["--cgroup", cgroup.path()], &to[..]].concat());
    let mut load = Load::paced(RATE, 600.0);
    fs::write(format!("{}/cgroup.procs", cgroup.path()), load.pid().to_string()).unwrap();
    load.go();
    host.status_when("the first rows", SOON, |status| status.ledger("file").exported > 0);

    let compiled = Instant::now();
    swap(&host, Path::new(STRANGER), 0);
    let compiled_ms = milliseconds(compiled);
    let swapped = Instant::now();
    for number in 1..=SWAPS {
        let before = host.status().ledger("file").received;
        swap(&host, Path::new(SAMPLER), number);
        // Each policy gets at least one batch.
        host.status_when("rows under the new policy", SOON, |status| status.ledger("file").received > before + RATE / 10);
    }
    let swapped_ms = milliseconds(swapped);
    load.go();
    let report = load.report();
    others(&cgroup);

    let status = host.status_when("all rows delivered", SOON, |status| {
        let talked = status.paths.iter().any(|path| path.probe == "dns" && path.ledger.received > 0);
        let file = status.ledger("file");
        // The kernel skips the program while another is running on the processor, and counts that.
        let seen = file.produced + file.missed_in_kernel >= report.operations;
        status.balanced && talked && seen && status.paths.iter().all(delivered)
    });
    let rss_bytes = process::rss_bytes(host.pid());
    let started_in = host.started_in;
    // The host exits with 0 only if its ledger balances.
    host.stop();
    let expected = exported(&status);
    let received = wait_for("the collector's counts", SOON, || {
        let received = collector.received();
        (received.spans >= expected.spans && received.logs >= expected.logs && received.metrics > 0).then_some(received)
    });
    let file = status.ledger("file");
    let mut pauses: Vec<u64> = status.swaps.iter().map(|swap| swap.pause_ns).collect();
    pauses.sort_unstable();
    json!({
        "operations": report.operations,
        "produced": file.produced,
        "lost": status.paths.iter().map(|path| path.ledger.lost_in_ring).sum::<u64>(),
        "missed": status.paths.iter().map(|path| path.ledger.missed_in_kernel).sum::<u64>(),
        "undecodable": status.paths.iter().map(|path| path.ledger.undecodable).sum::<u64>(),
        "kept": file.kept,
        "sampled_out": file.sampled_out,
        "balanced": status.balanced,
        "exported": { "spans": expected.spans, "logs": expected.logs },
        "received": { "spans": received.spans, "logs": received.logs, "metrics": received.metrics },
        "paths": status.paths.iter().map(|path| path.probe.as_str()).collect::<Vec<_>>(),
        "generation": status.plugin("file", "sampler").generation,
        "traps": status.paths.iter().flat_map(|path| &path.plugins).map(|plugin| plugin.traps).sum::<u64>(),
        "pauses_ns": pauses,
        "swapped_ms": swapped_ms,
        "compiled_ms": compiled_ms,
        "collector_ms": collector_ms,
        "ready_ms": u64::try_from(started_in.as_millis()).unwrap_or(u64::MAX),
        "rss_bytes": rss_bytes,
    })
}

/// Loads a different policy each time, so that a swap without effect would show in the kept rows.
fn swap(host: &Host, sampler: &Path, number: u64) {
    let ratio = if number.is_multiple_of(2) { 0.5 } else { 0.25 };
    let loaded = host.load(sampler, "sampler", Some(&format!("{{\"ratio\": {ratio}, \"slow_ms\": 0}}")));
    assert!(loaded.status.success(), "swap {number}: {}", stderr(&loaded));
}

/// Makes events of the other probes.
fn others(cgroup: &Cgroup) {
    let place = format!("cgroup={}", cgroup.path());
    let mut load = Load::counted(&["execs=20", "connections=20", "program=/bin/true", &place]);
    load.go();
    assert_eq!(load.line(), "done");
    talk::apart(cgroup.path());
}

/// Whether no rows are under way.
fn delivered(path: &PathStatus) -> bool {
    let ledger = &path.ledger;
    ledger.produced == ledger.received + ledger.lost_in_ring && ledger.in_flight == 0 && ledger.kept == ledger.exported
}

/// Returns the exported rows: executed programs are logs, all else is spans.
fn exported(status: &Status) -> Received {
    let mut sent = Received::default();
    for path in &status.paths {
        *if path.probe == "exec" { &mut sent.logs } else { &mut sent.spans } += path.ledger.exported;
    }
    sent
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
