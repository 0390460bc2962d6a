//! A thousand swaps of all kinds, a tenth of them faulty, while events flow as fast as the machine can.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host_tests::control::Control;
use host_tests::daemon::Host;
use host_tests::load::Load;
use host_tests::process;
use host_tests::turn::{measured, turn_as_root};
use serde_json::{Value, json};

use crate::guests::{built_in, hostile, variant};

const SWAPS: usize = 1_000;
const RATE: u64 = 100_000;
/// Time between two swaps: about 3,000 records meet each plugin.
const PACE: Duration = Duration::from_millis(30);
/// Three seconds of records: two processors are shared by the load, the compiler and the path.
const RING: &str = "[probes.file]\nenabled = true\nring_bytes = \"32MiB\"\n";

/// The components to load.
struct Shelf {
    samplers: [PathBuf; 2],
    rates: [PathBuf; 2],
    decoders: [PathBuf; 3],
    enrichers: [PathBuf; 4],
    /// Each with its slot; refused, or live until the next swap of that slot.
    faulty: Vec<(PathBuf, &'static str)>,
}

/// The outcomes, swap by swap.
#[derive(Default)]
struct Record {
    pauses: Vec<u64>,
    refused: usize,
    unchanged: usize,
}

/// The resources that the process holds.
#[derive(Debug, Clone, Copy)]
struct Holding {
    rss_bytes: u64,
    descriptors: usize,
    threads: usize,
}

// === impl Shelf ===

impl Shelf {
    fn new(folder: &Path) -> Self {
        let variants = |name| {
            let first = built_in(folder, name);
            [variant(&first, 1), variant(&first, 2), variant(&first, 3), first]
        };
        let two = |name| {
            let [one, two, ..] = variants(name);
            [one, two]
        };
        let faulty = [
            ("traps_in_bind", "sampler"),
            ("traps_in_enrich", "enricher.process"),
            ("duplicate_fields", "decoder.file"),
            ("traps_on_every_third_call", "sampler"),
            ("cut_in_half", "sampler"),
            ("traps_in_decode", "decoder.file"),
            ("adds_a_time", "enricher.process"),
            ("hoards_in_bind", "sampler"),
            ("notes_of_another_length", "enricher.process"),
            ("thresholds_of_another_length", "sampler"),
        ];
        Self {
            samplers: two("sampler-ratio"),
            rates: two("sampler-rate"),
            decoders: {
                let [one, two, three, _] = variants("decoder-file");
                [one, two, three]
            },
            enrichers: variants("enricher-process"),
            faulty: faulty.into_iter().map(|(name, slot)| (hostile(folder, name), slot)).collect(),
        }
    }

    fn swap(&self, control: &mut Control, swap: usize) -> Result<Value, String> {
        let round = swap / 10;
        let ratio = json!({ "ratio": 0.25 + 0.01 * (swap % 7) as f64, "slow_ms": 0 });
        match swap % 10 {
            0 => {
                let (file, slot) = &self.faulty[round % self.faulty.len()];
                control.load(file, slot, Some(&json!({})))
            }
            1 => control.load(&self.decoders[round % 3], "decoder.file", None),
            2 => control.load(&self.enrichers[round % 3], "enricher.process", None),
            3 | 6 => control.load(&self.samplers[round % 2], "sampler", Some(&ratio)),
            4 => control.rollback("sampler"),
            5 => control.load(&self.rates[round % 2], "sampler", Some(&json!({ "per_second": 1000 + round }))),
            7 => control.load(&self.decoders[(round + 2) % 3], "decoder.file", None),
            8 if round.is_multiple_of(2) => control.rollback("enricher.process"),
            8 => control.load(&self.enrichers[3], "enricher.process", None),
            _ => control.load(&self.samplers[(round + 1) % 2], "sampler", Some(&ratio)),
        }
    }
}

// === impl Record ===

impl Record {
    fn take(&mut self, swap: usize, answer: Result<Value, String>) {
        match answer {
            Ok(live) if live["unchanged"] == true => self.unchanged += 1,
            Ok(live) => self.pauses.push(live["pause_ns"].as_u64().unwrap()),
            Err(refusal) => {
                assert!(swap.is_multiple_of(10), "swap {swap}: {refusal}");
                self.refused += 1;
            }
        }
    }

    fn at(&mut self, share: f64) -> u64 {
        self.pauses.sort_unstable();
        self.pauses[((self.pauses.len() - 1) as f64 * share).round() as usize]
    }
}

// === impl Holding ===

impl Holding {
    fn of(host: &Host) -> Self {
        let pid = host.pid();
        Self { rss_bytes: process::rss_bytes(pid), descriptors: process::descriptors(pid), threads: process::threads(pid) }
    }
}

#[test]
fn a_thousand_swaps_of_all_kinds_lose_nothing_pause_briefly_and_leave_nothing_behind_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(folder.path());
    let config = folder.path().join("host.toml");
    fs::write(&config, RING).unwrap();
    let mut load = Load::paced(RATE, 600.0);
    let pid = load.pid().to_string();
    let mut host = Host::run(&["--probe", "file", "--pid", &pid, "--output", "none", "--config", config.to_str().unwrap()]);
    let mut control = host.control();

    load.go();
    let start = Instant::now();
    let (mut record, mut held) = (Record::default(), Vec::new());
    for swap in 0..SWAPS {
        record.take(swap, shelf.swap(&mut control, swap));
        if swap % 100 == 99 {
            held.push(Holding::of(&host));
        }
        std::thread::sleep((PACE * (swap as u32 + 1)).saturating_sub(start.elapsed()).min(PACE));
    }
    let (early, late) = (held[0], held[held.len() - 1]);
    let lasted = start.elapsed();
    load.go();
    let report = load.report();
    let rate = report.operations as f64 * 1e9 / report.wall_ns as f64;

    let status = host.status_when("the path to run dry", Duration::from_secs(60), |status| {
        let ledger = status.ledger("file");
        status.balanced && ledger.received + ledger.lost_in_ring == ledger.produced && ledger.in_flight == 0
    });
    let ledger = status.ledger("file");
    let (p50, p99, longest) = (record.at(0.5), record.at(0.99), record.at(1.0));
    measured(&format!(
        "{SWAPS} swaps in {lasted:.1?} at {rate:.0} records/s, {} live, {} refused, {} unchanged: pause p50 {p50} ns, p99 {p99} ns, \
         longest {longest} ns; {} undecodable, {} lost; RSS in KiB every 100 swaps {:?}, descriptors {:?}, threads {:?}",
        record.pauses.len(),
        record.refused,
        record.unchanged,
        ledger.undecodable,
        ledger.lost_in_ring,
        held.iter().map(|held| held.rss_bytes >> 10).collect::<Vec<_>>(),
        held.iter().map(|held| held.descriptors).collect::<Vec<_>>(),
        held.iter().map(|held| held.threads).collect::<Vec<_>>()
    ));
    assert!(rate >= 50_000.0, "the load reached only {rate:.0}/s");
    assert_eq!(ledger.produced, report.operations);
    assert_eq!((ledger.lost_in_ring, ledger.dropped_at_export), (0, 0), "{ledger:?}");
    assert_eq!(ledger.received, ledger.kept + ledger.sampled_out, "{ledger:?}");
    assert!(
        record.pauses.len() >= SWAPS * 8 / 10 && record.refused >= SWAPS / 20,
        "{} {}",
        record.pauses.len(),
        record.refused
    );
    assert!(
        p99 <= 1_000_000,
        "the pause of 99 in 100 swaps is at most a millisecond: {:?}",
        &record.pauses[record.pauses.len() - 20..]
    );
    assert!(late.rss_bytes <= early.rss_bytes + early.rss_bytes / 20, "{early:?} {late:?}");
    assert_eq!(late.descriptors, early.descriptors);
    // Threads for blocking calls come and go.
    assert!(late.threads <= early.threads + 2, "{early:?} {late:?}");
    host.stop();
}
