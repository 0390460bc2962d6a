//! A real collector, over both transports, and one that is down for a while.

use std::fs;
use std::time::Duration;

use host_tests::collector::{Collector, Received};
use host_tests::daemon::{Host, Status};
use host_tests::load::{Cgroup, Load};
use host_tests::turn::{measured, turn_as_root};
use host_tests::{process, wait_for};

const SOON: Duration = Duration::from_secs(30);
const OUTAGE: Duration = Duration::from_secs(20);

#[test]
fn a_collector_counts_what_was_exported_over_grpc_needs_root() {
    counts_what_was_exported("grpc");
}

#[test]
fn a_collector_counts_what_was_exported_over_http_needs_root() {
    counts_what_was_exported("http/protobuf");
}

fn counts_what_was_exported(protocol: &str) {
    let Some(_turn) = turn_as_root() else { return };
    let Some(collector) = Collector::start() else { return };
    let cgroup = Cgroup::new("collector");
    let cgroup_word = format!("cgroup={}", cgroup.path());
    let mut load =
        Load::counted(&["opens=20000", "failing=100", "execs=200", "connections=500", "program=/bin/true", &cgroup_word]);
    let endpoint = endpoint(&collector, protocol);
    let mut host = Host::run(&["--cgroup", cgroup.path(), "--otlp-endpoint", &endpoint, "--otlp-protocol", protocol]);
    load.go();
    assert_eq!(load.line(), "done");
    let status = delivered(&host);
    host.stop();

    let exported = |probe: &str| status.ledger(probe).exported;
    assert!(exported("file") >= 20_000 && exported("exec") == 400 && exported("tcp") == 1_000, "{status:#?}");
    // Opens and connections are spans, executed programs are logs; the last metrics are sent at the end.
    let expected = (exported("file") + exported("tcp"), exported("exec"));
    let received = wait_for("the collector's counts", SOON, || {
        let received = collector.received();
        (received.spans >= expected.0 && received.logs >= expected.1 && received.metrics > 0).then_some(received)
    });
    assert_eq!((received.spans, received.logs), expected);
    measured(&format!("{protocol}: {received:?}"));
}

#[test]
fn an_outage_of_the_collector_within_the_byte_cap_loses_nothing_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let Some(mut collector) = Collector::start() else { return };
    let mut load = Load::paced(2_000, 60.0);
    let pid = load.pid().to_string();
    let endpoint = collector.grpc();
    let mut host = Host::run(&["--probe", "file", "--pid", &pid, "--otlp-endpoint", &endpoint, "--otlp-protocol", "grpc"]);
    load.go();
    host.status_when("the first delivery", SOON, |status| status.ledger("file").exported > 0);
    let before = process::rss_bytes(host.pid());

    collector.stop();
    std::thread::sleep(OUTAGE);
    let during = process::rss_bytes(host.pid());
    collector.resume();
    load.go();
    let operations = load.report().operations;
    let status = delivered(&host);
    host.stop();

    let ledger = status.ledger("file");
    assert_eq!((ledger.produced, ledger.exported), (operations, operations), "{ledger:?}");
    assert_eq!((ledger.lost_in_ring, ledger.dropped_at_export), (0, 0), "{ledger:?}");
    // Requests under way when it stopped may arrive twice: the host cannot know that they were accepted.
    let received = collector.received();
    assert!(received.spans >= operations, "{received:?} of {operations}");
    measured(&format!("{operations} spans, {} received, RSS {} -> {} MiB", received.spans, before >> 20, during >> 20));
}

#[test]
fn an_outage_beyond_the_byte_cap_drops_counts_and_stays_within_its_memory_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let Some(mut collector) = Collector::start() else { return };
    let config = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    fs::write(config.path(), "[export]\nqueue_bytes = 4194304\n").unwrap();
    let mut load = Load::paced(20_000, 60.0);
    let (pid, endpoint) = (load.pid().to_string(), collector.http());
    let arguments = ["--probe", "file", "--pid", &pid, "--otlp-endpoint", &endpoint, "--otlp-protocol", "http/protobuf"];
    let mut host = Host::run(&[&arguments[..], &["--config", config.path().to_str().unwrap()]].concat());
    load.go();
    host.status_when("the first delivery", SOON, |status| status.ledger("file").exported > 0);
    let before = process::rss_bytes(host.pid());

    collector.stop();
    let mut most = before;
    let start = std::time::Instant::now();
    while start.elapsed() < OUTAGE {
        most = most.max(process::rss_bytes(host.pid()));
        std::thread::sleep(Duration::from_millis(50));
    }
    collector.resume();
    load.go();
    let operations = load.report().operations;
    let status = delivered(&host);
    host.stop();

    let ledger = status.ledger("file");
    assert!(status.balanced);
    assert_eq!((ledger.produced, ledger.lost_in_ring), (operations, 0), "a stuck exporter must not stop the ring: {ledger:?}");
    assert_eq!(ledger.exported + ledger.dropped_at_export, operations, "{ledger:?}");
    assert!(ledger.dropped_at_export > 0, "20 s at 20,000/s are more than 4 MiB: {ledger:?}");
    assert!(collector.received().spans >= ledger.exported);
    // The queue, and as much again for rows that are being encoded and sent.
    assert!(most - before < 16 << 20, "memory grew by {} MiB with a queue of 4", (most - before) >> 20);
    measured(&format!("{ledger:?}, RSS {} -> at most {} MiB", before >> 20, most >> 20));
}

/// Returns the status once no rows are under way.
fn delivered(host: &Host) -> Status {
    host.status_when("everything to be delivered or dropped", Duration::from_secs(60), |status| {
        let done = |ledger: host_tests::daemon::Ledger| {
            ledger.received + ledger.lost_in_ring == ledger.produced && ledger.in_flight == 0
        };
        status.balanced && status.paths.iter().all(|path| done(path.ledger))
    })
}

fn endpoint(collector: &Collector, protocol: &str) -> String {
    if protocol == "grpc" { collector.grpc() } else { collector.http() }
}

#[test]
fn the_count_of_a_collector_starts_at_nothing() {
    let Some(collector) = Collector::start() else { return };
    assert_eq!(collector.received(), Received::default());
}
