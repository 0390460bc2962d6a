//! Requests of real clients to real servers: the host's counts against the clients'.

mod dns;
mod grpc;
mod hostile;
mod http;
mod memcached;
mod mysql;
mod postgresql;
mod redis;
mod swap;
mod terminal;
mod tls;

use std::time::Duration;

use host_tests::daemon::{Host, Status};
use host_tests::requests::{Requests, client, number_after};
use host_tests::turn::measured;

/// Starts a host that sees the requests of this machine.
fn host() -> Host {
    Host::run(&["--probe", "l7", "--output", "none"])
}

/// Compares the host's counts with the number that a client sent. Only losses in the ledger may be missing; without losses the counts are
/// equal.
fn exact(host: &Host, what: &str, counted: &Requests, sent: u64) {
    exact_by(host, what, counted, sent, 1);
}

/// The same if one record may carry this many requests.
fn exact_by(host: &Host, what: &str, counted: &Requests, sent: u64, per_record: u64) {
    let status = host.status();
    let lost: u64 = status.paths.iter().map(|path| path.ledger.lost_in_ring).sum();
    measured(&format!("{what}: {} of {sent} counted, {lost} records lost, p50 {:.0?}", counted.count(), counted.median()));
    if lost == 0 {
        assert_eq!(counted.count(), sent, "{what}: {:#?}\n{}", counted.0, host.stderr());
    } else {
        let missing = sent.abs_diff(counted.count());
        assert!(missing <= lost * per_record, "{what}: {missing} requests are missing, and only {lost} records were lost");
    }
}

/// Compares the median that the host saw at the client's end with the client's own: within a tenth, or 50 us.
fn close(what: &str, ours: &Requests, theirs: Duration) {
    let ours = ours.median();
    measured(&format!("{what}: median {theirs:?}, as the host has it {ours:?}"));
    assert!(ours.abs_diff(theirs) <= Duration::from_micros(50).max(theirs / 10), "{what}: {theirs:?}, and not {ours:?}");
}

/// Returns the median of durations in microseconds, one per line in this column.
fn median_of(lines: &str, place: usize) -> Duration {
    let mut all: Vec<u64> = lines.lines().map(|line| line.split_whitespace().nth(place).unwrap().parse().unwrap()).collect();
    all.sort_unstable();
    Duration::from_micros(all[all.len() / 2])
}

/// The report of wrk on its requests.
struct Wrk {
    requests: u64,
    median: Duration,
}

impl Wrk {
    /// Runs it with four connections for this many seconds. It stops abruptly at the end: requests under way then are answered, but not
    /// counted.
    fn run(url: &str, seconds: u32) -> Self {
        let said = client("wrk", &["-t1", "-c4", &format!("-d{seconds}"), "--latency", url]);
        let line = said.lines().find(|line| line.trim_start().starts_with("50%")).unwrap();
        let median = number_after(line, "50%") * if line.contains("us") { 1e-6 } else { 1e-3 };
        let requests = said.lines().find(|line| line.contains(" requests in ")).unwrap();
        let requests = requests.split_whitespace().next().unwrap().parse().unwrap();
        Self { requests, median: Duration::from_secs_f64(median) }
    }

    /// Whether this number fits its requests: those that it counts, and at most two more of each connection.
    fn has_made(&self, requests: u64) -> bool {
        (self.requests..=self.requests + 8).contains(&requests)
    }
}

/// Returns the faults of all plugins.
fn faults(status: &Status) -> u64 {
    status.paths.iter().flat_map(|path| &path.plugins).map(|plugin| plugin.traps).sum()
}
