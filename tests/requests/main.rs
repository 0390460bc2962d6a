//! Requests of real clients to real servers, as the host counts them and as the clients do.

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
use host_tests::requests::Requests;
use host_tests::turn::measured;

/// A host that sees the requests of this machine.
fn host() -> Host {
    Host::run(&["--probe", "l7", "--output", "none"])
}

/// Holds what the host counted against what a client did. Nothing may be missing but what the ledger says was lost; with nothing
/// lost the counts are equal.
fn exact(host: &Host, what: &str, counted: &Requests, sent: u64) {
    let status = host.status();
    let lost: u64 = status.paths.iter().map(|path| path.ledger.lost_in_ring).sum();
    measured(&format!("{what}: {} of {sent} counted, {lost} records lost, p50 {:.0?}", counted.count(), counted.median()));
    if lost == 0 {
        assert_eq!(counted.count(), sent, "{what}: {:#?}\n{}", counted.0, host.stderr());
    } else {
        let missing = sent.abs_diff(counted.count());
        assert!(missing <= lost, "{what}: {missing} requests are missing, and only {lost} records were lost");
    }
}

/// Whether a median is a client's own, within a tenth or 50 us.
fn close(ours: Duration, theirs: Duration) -> bool {
    ours.abs_diff(theirs) <= Duration::from_micros(50).max(theirs / 10)
}

/// Faults of all plugins.
fn faults(status: &Status) -> u64 {
    status.paths.iter().flat_map(|path| &path.plugins).map(|plugin| plugin.traps).sum()
}
