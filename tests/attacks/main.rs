//! All attacks on a host, in random order, against one process; and its end, requested at random moments during the worst of them.
//!
//! `ATTACK_SECONDS` is the duration of the first test (15 by default; `make attack` takes 600), `ATTACK_ROUNDS` the number of times that
//! the second ends a host (6 by default; `make attack` takes 100), `ATTACK_SEED` repeats an order.

mod collector;
mod moves;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use host_tests::daemon::Host;
use host_tests::process;
use host_tests::turn::{measured, turn_as_root};
use rustix::process::Signal;

use crate::collector::BadCollector;
use crate::moves::{Arsenal, Attack};

/// Maximum time for the host to deliver the remaining rows at its end.
const DRAIN: Duration = Duration::from_secs(1);
/// Maximum additional time of its end, even if something hangs.
const BEYOND: Duration = Duration::from_secs(2);
/// Maximum time for this machine to start a process, and to notice that one has ended.
const SLACK: Duration = Duration::from_millis(500);
/// Number of times that every move is made before memory is measured: the host keeps its records of them for good.
const WARM: usize = 2;
/// Duration of the attacks before that in a run of at least [`LONG`]: histories of slots, routes and series are full then.
const FILLING: Duration = Duration::from_secs(60);
/// Number of programs that are run after that: the table of processes is full then.
const PROCESSES: usize = 16_384;
const LONG: Duration = Duration::from_secs(120);
/// Duration of the measurement of memory after the attacks.
const SETTLING: Duration = Duration::from_secs(12);
const SOON: Duration = Duration::from_secs(90);

/// A generator of numbers that a seed repeats (SplitMix64).
struct Dice(u64);

// === impl Dice ===

impl Dice {
    /// Creates it from `ATTACK_SEED`, or from the time.
    fn new() -> Self {
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = number("ATTACK_SEED").unwrap_or_else(now);
        measured(&format!("ATTACK_SEED={seed}"));
        Self(seed)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ word >> 31) % sides as u64) as usize
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Writes a configuration with a short drain; returns its file.
fn settings(folder: &Path) -> PathBuf {
    let path = folder.join("host.toml");
    let slot =
        "limits = { deadline = \"50ms\", memory_bytes = \"16MiB\", deadlines = { bind = \"300ms\", handover = \"100ms\" } }";
    let text = format!(
        "[export]\ndrain = \"{}s\"\n[telemetry]\ninterval = \"1s\"\n[plugins.sampler]\n{slot}\n[plugins.\"enricher.process\"]\n{slot}\n",
        DRAIN.as_secs()
    );
    fs::write(&path, text).unwrap();
    path
}

fn start(folder: &Path, collector: &BadCollector) -> Host {
    let config = settings(folder);
    let endpoint = collector.endpoint();
    let arguments = ["--otlp-endpoint", &endpoint, "--otlp-protocol", "http/protobuf", "--output", "none"];
    Host::spawn(&[&arguments[..], &["--format", "json", "--config", config.to_str().unwrap()]].concat(), |_, _| {})
}

#[test]
fn one_process_lives_through_every_attack_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let lasting = Duration::from_secs(number("ATTACK_SECONDS").unwrap_or(15));
    let mut dice = Dice::new();
    let folder = tempfile::tempdir().unwrap();
    let collector = BadCollector::start();
    let mut host = start(folder.path(), &collector).ready().unwrap();
    let arsenal = Arsenal::new(folder.path());
    // The state of a host at work: every kind of move, and the records that it keeps of them.
    for attack in Attack::ALL.repeat(WARM) {
        arsenal.make(attack, &host, &mut dice);
    }
    let is_long = lasting >= LONG;
    let filled = Instant::now();
    while is_long && filled.elapsed() < FILLING {
        arsenal.make(Attack::ALL[dice.roll(Attack::ALL.len())], &host, &mut dice);
    }
    for _ in 0..if is_long { PROCESSES } else { 0 } {
        assert!(Command::new("true").status().unwrap().success());
    }
    let before = at_rest(&host, &arsenal, &collector, u64::MAX);

    collector.behave(false);
    let (start, mut made, mut most) = (Instant::now(), [0_u32; Attack::ALL.len()], 0);
    while start.elapsed() < lasting {
        let attack = dice.roll(Attack::ALL.len());
        arsenal.make(Attack::ALL[attack], &host, &mut dice);
        made[attack] += 1;
        most = most.max(process::rss_bytes(host.pid()));
    }
    // A short run is measured while all that fills up.
    let allowed = if is_long { before + before / 10 } else { before + before / 2 };
    let after = at_rest(&host, &arsenal, &collector, allowed);
    let status = host.status_when("the ledgers to balance", SOON, |status| status.balanced);
    measured(&format!(
        "{:.0?}: {made:?} of {:?}; RSS {} -> at most {} -> {} KiB",
        start.elapsed(),
        Attack::ALL,
        before >> 10,
        most >> 10,
        after >> 10
    ));
    assert!(after <= allowed, "RSS {} -> {} KiB\n{status:#?}", before >> 10, after >> 10);
    let (ended, lasted) = end(&mut host);
    assert!(ended.code().is_some_and(|code| code <= 1), "{ended}: {}", host.stderr());
    assert!(lasted <= DRAIN + BEYOND + SLACK, "it ended after {lasted:?}: {}", host.stderr());
    let said = host.stderr();
    assert!(!said.contains("panicked") && !said.contains("UNBALANCED"), "{said}");
    settled_in(&report(&host).unwrap());
}

#[test]
fn whatever_hangs_a_termination_ends_it_in_time_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let rounds = number("ATTACK_ROUNDS").unwrap_or(6);
    let mut dice = Dice::new();
    let folder = tempfile::tempdir().unwrap();
    let collector = BadCollector::start();
    let arsenal = Arsenal::new(folder.path());
    let (mut longest, mut failed) = (Duration::ZERO, 0);
    for round in 0..rounds {
        let host = start(folder.path(), &collector);
        // Some ends come before the host is ready.
        let mut host = if round % 4 == 3 { host } else { host.ready().unwrap() };
        let mut held = Vec::new();
        if host.path("socket").exists() {
            for attack in [Attack::SilentClients, Attack::CompileBomb, Attack::Fifo, Attack::Requests] {
                if dice.roll(3) > 0 {
                    held.push(arsenal.begin(attack, &host, &mut dice));
                }
            }
        }
        std::thread::sleep(Duration::from_millis(dice.roll(700) as u64));
        let (ended, lasted) = end(&mut host);
        longest = longest.max(lasted);
        assert!(lasted <= DRAIN + BEYOND + SLACK, "round {round}: it ended after {lasted:?}: {}", host.stderr());
        assert!(ended.code().is_some_and(|code| code <= 1), "round {round}: {ended}: {}", host.stderr());
        failed += u32::from(!ended.success());
        drop(held);
        let Some(report) = report(&host) else { continue };
        let paths = settled_in(&report);
        let undelivered: u64 = paths.iter().filter_map(|path| path["ledger"]["dropped_at_shutdown"].as_u64()).sum();
        assert_eq!(ended.success(), undelivered == 0, "round {round}: {report:#}\n{}", host.stderr());
    }
    measured(&format!("{rounds} ends, {failed} of them with rows that were not delivered; the longest took {longest:.2?}"));
}

/// Returns the paths of a last report, which balances and has no rows in flight.
fn settled_in(report: &serde_json::Value) -> &Vec<serde_json::Value> {
    assert_eq!(report["balanced"], true, "{report:#}");
    let paths = report["paths"].as_array().unwrap();
    assert!(paths.iter().all(|path| path["ledger"]["in_flight"] == 0), "{report:#}");
    paths
}

/// Asks the host to end; returns how it ended, and after how long.
fn end(host: &mut Host) -> (std::process::ExitStatus, Duration) {
    let asked = Instant::now();
    host.signal(Signal::TERM);
    let ended = host.wait();
    (ended, asked.elapsed())
}

/// Returns the ledger at the end, if the host wrote one.
fn report(host: &Host) -> Option<serde_json::Value> {
    serde_json::from_str(&host.stdout()).ok()
}

/// Returns the resident memory of a host without attacks that has delivered all rows; see [`settled`].
fn at_rest(host: &Host, arsenal: &Arsenal, collector: &BadCollector, allowed: u64) -> u64 {
    collector.behave(true);
    arsenal.calm(host);
    host.status_when("the rows to be delivered", SOON, |status| status.export.queue_bytes < 1 << 20);
    settled(host, allowed)
}

/// Returns the resident memory once it is at most `allowed`; else its minimum over a time in which the host frees memory more than once.
fn settled(host: &Host, allowed: u64) -> u64 {
    let start = Instant::now();
    let mut least = u64::MAX;
    while start.elapsed() < SETTLING && (allowed == u64::MAX || least > allowed) {
        least = least.min(process::rss_bytes(host.pid()));
        std::thread::sleep(Duration::from_millis(200));
    }
    least
}
