//! Every hostile guest in every slot, in random order, with good plugins between them: one process survives all of them.
//!
//! `SURVIVE_SECONDS` sets the duration (20 by default; `make survive` takes 600), `SURVIVE_SEED` repeats an order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use host_tests::control::Control;
use host_tests::daemon::Host;
use host_tests::guests::conformance;
use host_tests::load::Load;
use host_tests::process;
use host_tests::turn::{measured, turn_as_root};
use serde_json::{Value, json};

use crate::guests::{built_in, hostile, variant};

const SLOTS: [&str; 3] = ["decoder.file", "sampler", "enricher.process"];
const RATE: u64 = 5_000;
/// Number of swaps of each slot with good plugins before memory is measured. The host keeps the last 256 swaps with their texts, and may
/// use that much memory; no hostile plugin is in a history then.
const ROUNDS: usize = 100;
const SOON: Duration = Duration::from_secs(90);

/// A generator of numbers that a seed repeats (SplitMix64).
struct Dice(u64);

/// The files to load.
struct Shelf {
    /// Two equivalent plugins for each slot.
    good: BTreeMap<&'static str, [PathBuf; 2]>,
    hostile: Vec<PathBuf>,
}

/// Every guest once in every slot, in random order.
struct Deck {
    cards: Vec<(PathBuf, &'static str)>,
    dealt: usize,
}

/// Counts of the moves.
#[derive(Debug, Default)]
struct Done {
    loaded: usize,
    refused: usize,
    good: usize,
    rolled_back: usize,
    unloaded: usize,
    shadows: usize,
}

// === impl Dice ===

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31) % sides
    }
}

// === impl Shelf ===

impl Shelf {
    fn new(folder: &Path) -> Self {
        let good = |name| {
            let first = built_in(folder, name);
            [variant(&first, 1), first]
        };
        let names = ["decoder-file", "sampler-ratio", "enricher-process"];
        Self {
            good: SLOTS.into_iter().zip(names.map(good)).collect(),
            hostile: conformance::names().map(|name| hostile(folder, name)).collect(),
        }
    }

    /// Loads good plugins into all slots, often enough that no history has another.
    fn settle(&self, control: &mut Control) {
        for round in 0..ROUNDS {
            for slot in SLOTS {
                let loaded = control.load(&self.good[slot][round % 2], slot, Some(&json!({})));
                assert!(loaded.is_ok(), "a good plugin for `{slot}`: {loaded:?}");
            }
        }
    }
}

// === impl Deck ===

impl Deck {
    fn new(shelf: &Shelf) -> Self {
        let cards = shelf.hostile.iter().flat_map(|file| SLOTS.map(|slot| (file.clone(), slot))).collect();
        Self { cards, dealt: 0 }
    }

    fn deal(&mut self, dice: &mut Dice) -> (PathBuf, &'static str) {
        let place = self.dealt % self.cards.len();
        let other = place + dice.roll((self.cards.len() - place) as u64) as usize;
        self.cards.swap(place, other);
        self.dealt += 1;
        self.cards[place].clone()
    }
}

/// Makes one move.
fn act(shelf: &Shelf, deck: &mut Deck, dice: &mut Dice, control: &mut Control, done: &mut Done) {
    let slot = SLOTS[dice.roll(3) as usize];
    match dice.roll(16) {
        0 => done.rolled_back += usize::from(control.rollback(slot).is_ok()),
        1 => done.unloaded += usize::from(control.unload("enricher.process").is_ok()),
        2 => {
            let (file, slot) = deck.deal(dice);
            let shadow = json!({ "path": file, "slot": slot, "config": {} });
            done.shadows += usize::from(control.post("/v1/plugins/shadow", &shadow).is_ok());
        }
        3 => drop(control.post("/v1/plugins/discard", &json!({ "slot": slot }))),
        4..=6 => {
            let good = &shelf.good[slot][dice.roll(2) as usize];
            done.good += usize::from(control.load(good, slot, Some(&json!({}))).is_ok());
        }
        _ => {
            let (file, slot) = deck.deal(dice);
            match control.load(&file, slot, Some(&config(dice))) {
                Ok(_) => done.loaded += 1,
                Err(refusal) => {
                    assert!(!refusal.chars().any(char::is_control), "{refusal:?}");
                    done.refused += 1;
                }
            }
        }
    }
}

fn config(dice: &mut Dice) -> Value {
    match dice.roll(4) {
        0 => json!({ "do": "trap", "\u{1b}[31m": [[[[]]], null, -0.0, u64::MAX] }),
        1 => json!({ "k": "v".repeat(dice.roll(100_000) as usize) }),
        _ => json!({}),
    }
}

fn settings() -> String {
    let slot = |slot: &str, component: &str| {
        format!(
            "[plugins.{slot:?}]\ncomponent = {component:?}\ngrants = [\"tables\", \"clock\", \"random\", \"maps:rates:rw\", \"maps:secrets\"]\n\
             limits = {{ deadline = \"50ms\", memory_bytes = \"16MiB\", deadlines = {{ bind = \"300ms\", handover = \"100ms\" }} }}\n"
        )
    };
    let names = ["decoder-file", "sampler-ratio", "enricher-process"];
    SLOTS.iter().zip(names).map(|(name, component)| slot(name, component)).collect()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn one_process_survives_every_hostile_guest_in_every_slot_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let lasting = Duration::from_secs(number("SURVIVE_SECONDS").unwrap_or(20));
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number("SURVIVE_SEED").unwrap_or_else(now);
    measured(&format!("SURVIVE_SEED={seed} SURVIVE_SECONDS={}", lasting.as_secs()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.toml");
    fs::write(&path, settings()).unwrap();
    let shelf = Shelf::new(folder.path());
    let mut load = Load::paced(RATE, lasting.as_secs_f64() * 2.0 + 600.0);
    let pid = load.pid().to_string();
    let mut host = Host::run(&["--probe", "file", "--pid", &pid, "--output", "none", "--config", path.to_str().unwrap()]);
    let mut control = host.control();
    load.go();
    shelf.settle(&mut control);
    host.status_when("the first rows", SOON, |status| status.ledger("file").kept > 10 * RATE);
    let pid = host.pid();
    let before = (process::rss_bytes(pid), process::descriptors(pid), process::threads(pid));

    let (mut dice, mut deck, mut done, start) = (Dice(seed), Deck::new(&shelf), Done::default(), Instant::now());
    let (mut most, mut moves) = (0, 0_u32);
    while start.elapsed() < lasting {
        act(&shelf, &mut deck, &mut dice, &mut control, &mut done);
        most = most.max(process::rss_bytes(pid));
        moves += 1;
        if moves % 16 == 0 {
            assert_eq!(control.get("/v1/status")["mode"], "live", "it answers");
        }
        std::thread::sleep(Duration::from_millis(dice.roll(80)));
    }
    SLOTS.iter().for_each(|slot| drop(control.post("/v1/plugins/discard", &json!({ "slot": slot }))));
    shelf.settle(&mut control);
    let hostile = host.status();
    let kept = hostile.ledger("file").kept;
    let back = host.status_when("the good plugins to keep rows", SOON, |status| status.ledger("file").kept > kept + RATE);
    SLOTS.iter().for_each(|slot| assert_eq!(back.plugin("file", slot).state, "live", "{back:#?}"));
    load.go();
    let operations = load.report().operations;
    let status = host.status_when("the path to run dry", SOON, |status| {
        let ledger = status.ledger("file");
        status.balanced && ledger.received + ledger.lost_in_ring == ledger.produced && ledger.in_flight == 0
    });
    let ledger = status.ledger("file");
    let settled = Instant::now();
    let allowed = before.0 + before.0 / 10;
    let after = loop {
        let after = (process::rss_bytes(pid), process::descriptors(pid), process::threads(pid));
        let is_back = after.0 <= allowed && after.1 <= before.1 && after.2 <= before.2;
        if is_back || settled.elapsed() > SOON {
            break after;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    measured(&format!(
        "{moves} moves in {:.0?}, {} of {} cards: {done:?}; RSS {} -> at most {} -> {} KiB after {:.1?}, descriptors {} -> {}, threads {} -> {}; \
         {} produced, {} undecodable, {} filtered, {} lost",
        start.elapsed(),
        deck.dealt,
        deck.cards.len(),
        before.0 >> 10,
        most >> 10,
        after.0 >> 10,
        settled.elapsed(),
        before.1,
        after.1,
        before.2,
        after.2,
        ledger.produced,
        ledger.undecodable,
        ledger.filtered_in_kernel,
        ledger.lost_in_ring
    ));
    assert_eq!((ledger.lost_in_ring, ledger.dropped_at_export), (0, 0), "{ledger:?}");
    // One of them has the kernel drop everything while it is live; opens of other processes are among the filtered.
    assert!(
        ledger.produced <= operations && operations <= ledger.produced + ledger.filtered_in_kernel,
        "{operations}: {ledger:?}"
    );
    assert!(done.loaded > 0 && done.refused > 0 && done.good > 0, "{done:?}");
    assert!(after.0 <= allowed, "RSS {} -> {} KiB", before.0 >> 10, after.0 >> 10);
    assert!(after.1 <= before.1 && after.2 <= before.2, "descriptors and threads {before:?} -> {after:?}");
    let (_, said) = host.stop();
    assert!(!said.contains("panicked") && !said.contains("UNBALANCED"), "{said}");
}
