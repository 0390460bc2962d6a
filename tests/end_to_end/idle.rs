//! The cost of an idle host: with the three default probes, and with a path for every protocol.

use std::time::Duration;

use host_tests::daemon::Host;
use host_tests::load::Cgroup;
use host_tests::process;
use host_tests::turn::{measured, turn_as_root};

const WATCHED: Duration = Duration::from_secs(10);

/// Maximum resources of a host with these probes.
struct Allowance {
    probes: &'static [&'static str],
    /// Share of a core.
    share: f64,
    rss_bytes: u64,
    /// Maximum time from start to ready, with a warm cache.
    start: Duration,
}

const THREE_PROBES: Allowance = Allowance {
    probes: &["--probe", "exec", "--probe", "file", "--probe", "tcp"],
    share: 0.01,
    rss_bytes: 64 << 20,
    start: Duration::from_secs(1),
};

/// All probes, and with `l7` a path for each protocol: eleven.
const DEFAULT: Allowance = Allowance { probes: &[], share: 0.02, rss_bytes: 96 << 20, start: Duration::from_secs(2) };

#[test]
fn an_idle_host_of_three_probes_needs_less_than_a_hundredth_of_a_core_and_64_mib_needs_root() {
    idles_within(&THREE_PROBES);
}

#[test]
fn an_idle_host_of_eleven_paths_needs_less_than_a_fiftieth_of_a_core_and_96_mib_needs_root() {
    idles_within(&DEFAULT);
}

#[test]
fn a_host_of_three_probes_with_a_warm_cache_is_ready_within_a_second_needs_root() {
    is_ready_within(&THREE_PROBES);
}

#[test]
fn a_host_of_eleven_paths_with_a_warm_cache_is_ready_within_two_seconds_needs_root() {
    is_ready_within(&DEFAULT);
}

fn idles_within(allowed: &Allowance) {
    let Some(_turn) = turn_as_root() else { return };
    // An empty cgroup: the host sees no event, however busy this machine is.
    let cgroup = Cgroup::new("idle");
    // The usual state from the second start on: compiling leaves more memory behind than running takes.
    let state = tempfile::tempdir().unwrap();
    let arguments = ["--cgroup", cgroup.path(), "--output", "none", "--state-dir", state.path().to_str().unwrap()];
    let arguments = [allowed.probes, &arguments].concat();
    Host::run(&arguments).stop();
    let host = Host::run(&arguments);
    // The rest of the start does not count as idle.
    std::thread::sleep(Duration::from_secs(1));
    let before = process::cpu_ns(host.pid());
    std::thread::sleep(WATCHED);
    let share = (process::cpu_ns(host.pid()) - before) as f64 / WATCHED.as_nanos() as f64;
    let rss = process::rss_bytes(host.pid());
    measured(&format!("{:.2} % of a core, RSS {:.1} MiB", share * 100.0, rss as f64 / f64::from(1 << 20)));
    assert!(share < allowed.share, "{:.2} % of a core", share * 100.0);
    assert!(rss < allowed.rss_bytes, "{} MiB", rss >> 20);
    let said = std::fs::read_to_string(format!("/proc/{}/status", host.pid())).unwrap();
    assert!(!said.contains("THP_enabled:\t1"), "where huge pages are for everybody, it would take four times as much:\n{said}");
    let status = host.status();
    assert_eq!(status.paths.len(), if allowed.probes.is_empty() { 11 } else { 3 }, "{:#?}", status.paths);
    assert!(
        status.process.rss_bytes.abs_diff(rss) < 8 << 20,
        "it tells its own memory as the kernel does: {:?}",
        status.process
    );
}

fn is_ready_within(allowed: &Allowance) {
    let Some(_turn) = turn_as_root() else { return };
    let state = tempfile::tempdir().unwrap();
    let arguments = [allowed.probes, &["--output", "none", "--state-dir", state.path().to_str().unwrap()]].concat();
    let start = || {
        let mut host = Host::run(&arguments);
        host.stop();
        host.started_in
    };
    let cold = start();
    let mut warm: Vec<Duration> = (0..5).map(|_| start()).collect();
    warm.sort_unstable();
    measured(&format!("first start {cold:.0?}, then {:.0?} to {:.0?}", warm[0], warm[4]));
    assert!(warm[2] < allowed.start, "{warm:?}");
}
