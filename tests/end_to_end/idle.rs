//! What the host costs when nothing happens.

use std::time::Duration;

use host_tests::daemon::Host;
use host_tests::load::Cgroup;
use host_tests::process;
use host_tests::turn::{measured, turn_as_root};

const WATCHED: Duration = Duration::from_secs(10);

#[test]
fn an_idle_host_of_eleven_paths_needs_less_than_a_fiftieth_of_a_core_and_96_mib_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    // A cgroup that nobody is in: whatever else this machine does, this host sees nothing.
    let cgroup = Cgroup::new("idle");
    // As it is from the second start on: compiling leaves more behind than running takes.
    let state = tempfile::tempdir().unwrap();
    let arguments = ["--cgroup", cgroup.path(), "--output", "none", "--state-dir", state.path().to_str().unwrap()];
    Host::run(&arguments).stop();
    let host = Host::run(&arguments);
    // What starting still costs is not idling.
    std::thread::sleep(Duration::from_secs(1));
    let before = process::cpu_ns(host.pid());
    std::thread::sleep(WATCHED);
    let share = (process::cpu_ns(host.pid()) - before) as f64 / WATCHED.as_nanos() as f64;
    let rss = process::rss_bytes(host.pid());
    measured(&format!("{:.2} % of a core, RSS {:.1} MiB", share * 100.0, rss as f64 / f64::from(1 << 20)));
    assert!(share < 0.02, "{:.2} % of a core", share * 100.0);
    assert!(rss < 96 << 20, "{} MiB", rss >> 20);
    let status = host.status();
    assert!(
        status.process.rss_bytes.abs_diff(rss) < 8 << 20,
        "it tells its own memory as the kernel does: {:?}",
        status.process
    );
}

#[test]
fn a_host_of_eleven_paths_with_a_warm_cache_is_ready_within_two_seconds_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let state = tempfile::tempdir().unwrap();
    let start = || {
        let mut host = Host::run(&["--output", "none", "--state-dir", state.path().to_str().unwrap()]);
        host.stop();
        host.started_in
    };
    let cold = start();
    let mut warm: Vec<Duration> = (0..5).map(|_| start()).collect();
    warm.sort_unstable();
    measured(&format!("first start {cold:.0?}, then {:.0?} to {:.0?}", warm[0], warm[4]));
    assert!(warm[2] < Duration::from_secs(2), "{warm:?}");
}
