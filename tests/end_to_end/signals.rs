//! After any end of the host, the kernel is as it was before.

use std::time::{Duration, Instant};

use host_tests::daemon::Host;
use host_tests::load::Load;
use host_tests::turn::{measured, turn_as_root};
use host_tests::{kernel, wait_for};
use rustix::process::Signal;

const ROUNDS: u32 = 50;

#[test]
fn fifty_kills_at_random_moments_leave_nothing_behind_needs_root() {
    ends_at_random_moments(Signal::KILL);
}

#[test]
fn fifty_terminations_at_random_moments_leave_nothing_behind_needs_root() {
    ends_at_random_moments(Signal::TERM);
}

fn ends_at_random_moments(signal: Signal) {
    let Some(_turn) = turn_as_root() else { return };
    let mut load = Load::paced(20_000, 600.0);
    load.go();
    let before = kernel::held();
    let mut random = Random::new();
    let mut ready = 0;
    // Moments before anything is loaded, during the attachment, and while events flow, on a slow machine too.
    let mut first = Host::run(&["--output", "none"]);
    first.stop();
    let latest = 2 * first.started_in.as_millis() as u64;
    for round in 0..ROUNDS {
        let mut host = Host::spawn(&["--output", "none"], |_, _| {});
        let moment = Duration::from_millis(random.below(latest));
        let start = Instant::now();
        while start.elapsed() < moment {
            std::thread::sleep(Duration::from_millis(1));
        }
        let was_ready = host.path("ready").exists();
        ready += u32::from(was_ready);
        host.signal(signal);
        let ended = host.wait();
        if signal == Signal::TERM && was_ready {
            assert!(ended.success(), "round {round}, after {moment:?}: {ended}\n{}", host.stderr());
        }
        // The kernel frees unreferenced objects with a delay.
        wait_for("the kernel to let go", Duration::from_secs(10), || {
            kernel::left_behind(&before, &kernel::held()).is_empty().then_some(())
        });
    }
    // The next start is clean.
    let mut host = Host::run(&["--output", "none"]);
    host.status_when("events", Duration::from_secs(10), |status| status.ledger("file").received > 0);
    host.stop();
    measured(&format!("{ROUNDS} ends, {ready} of them after it was ready"));
    assert!(ready >= ROUNDS / 5, "only {ready} of {ROUNDS} rounds got as far as ready");
}

#[test]
fn an_interrupt_drains_prints_the_ledger_and_ends_well_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let mut load = Load::counted(&["opens=5000"]);
    let mut host = Host::run(&["--probe", "file", "--pid", &load.pid().to_string(), "--output", "jsonl"]);
    load.go();
    assert_eq!(load.line(), "done");
    // Immediately: records that wait in the ring must still come out.
    host.signal(Signal::INT);
    let ended = host.wait();
    assert!(ended.success(), "{ended}: {}", host.stderr());
    assert_eq!(host.stdout().lines().count(), 5_000, "every open is a line");
    let said = host.stderr();
    assert!(said.contains("produced") && said.contains("5000") || said.contains("5,000"), "the ledger is printed: {said}");
    assert!(!host.path("ready").exists() && !host.path("socket").exists(), "it takes its files away");
}

#[test]
fn a_given_duration_is_kept_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let start = Instant::now();
    let mut host = Host::run(&["--probe", "exec", "--duration", "1s", "--output", "none"]);
    let ended = host.wait();
    assert!(ended.success(), "{}", host.stderr());
    let lasted = start.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&lasted), "{lasted:?}");
}

/// Enough randomness to choose a moment; the seed is the time, so that runs differ.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Self(now.as_nanos() as u64 | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
