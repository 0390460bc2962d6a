//! The cost of a decoder of a protocol: the component in its sandbox beside the same code compiled natively, on the same records, in one
//! run. Writes a table, and `target/bench/protocols.json`.
//!
//! A turn is the path's work on a batch: `decode` with the columns that metrics and the sampler read, `complete` with the others for one
//! row in ten. Both sides end with Arrow arrays, which were compared. Times are CPU times of the thread; the two sides take turns, and the
//! best round of each counts. `cargo bench --workspace --bench protocols -- http` measures one protocol.

mod sides;
mod talks;

use host_model::Run;
use host_plugin::Engine;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use sides::{Side, native, sandboxed};
use talks::TALKS;

/// Number of rounds, of which the best counts.
const ROUNDS: usize = 15;
/// Approximate number of records that a round decodes.
const RECORDS: usize = 200_000;
/// One in this many rows is kept.
const ONE_IN: usize = 10;

/// Maximum ratio of Wasm to native.
const ALLOWED: f64 = 1.4;

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let engine = Engine::new().unwrap();
    let mut lines = Vec::new();
    println!(
        "| protocol | conversation | records | rows | native ns/row | Wasm ns/row | ratio | Wasm rows/s | Wasm records/s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for talk in TALKS.iter().filter(|talk| wanted.as_ref().is_none_or(|wanted| talk.protocol == wanted)) {
        let run = talks::run(talk);
        // The ring's reader counts records while it looks for the end of a run; it is not part of decoding on either side.
        let run = Run::parse(&run).unwrap();
        let mut sides = [native(talk.protocol), sandboxed(&engine, talk.protocol)];
        let (records, rows) = alike(&mut sides, run);
        let [native, wasm] = in_turns(records, run, &mut sides);
        let per_row = |turn_ns: f64| turn_ns / rows as f64;
        let per_second = |count: usize| count as f64 / wasm * 1e9;
        let ratio = wasm / native;
        let mark = if ratio > ALLOWED { " (!)" } else { "" };
        println!(
            "| {} | {} | {records} | {rows} | {:.0} | {:.0} | {ratio:.2}{mark} | {:.0} | {:.0} |",
            talk.protocol,
            talk.what,
            per_row(native),
            per_row(wasm),
            per_second(rows),
            per_second(records)
        );
        let tenth = |value: f64| (value * 100.0).round() / 100.0;
        lines.push(json!({
            "protocol": talk.protocol, "conversation": talk.what, "records": records, "rows": rows,
            "native_ns": tenth(per_row(native)), "wasm_ns": tenth(per_row(wasm)), "ratio": tenth(ratio),
            "rows_per_second": per_second(rows).round(), "records_per_second": per_second(records).round(),
        }));
    }
    let file = host_tests::target_folder().join("bench/protocols.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, serde_json::to_vec_pretty(&lines).unwrap()).unwrap();
    eprintln!("written to {}", file.display());
}

/// Returns the number of records and rows of a run, and checks that both sides decode the same.
fn alike(sides: &mut [Box<dyn Side>; 2], run: Run<'_>) -> (usize, usize) {
    let [native, wasm] = sides.each_mut().map(|side| side.all(run));
    assert_eq!(native, wasm, "both sides make the same rows");
    let records = run.records as usize;
    let rows = native.first().map_or(0, |column| column.len());
    assert!(rows > 0, "a conversation becomes rows");
    (records, rows)
}

/// Returns nanoseconds of CPU time that a turn of each side takes, the best of several rounds.
fn in_turns(records: usize, run: Run<'_>, sides: &mut [Box<dyn Side>; 2]) -> [f64; 2] {
    let turns = (RECORDS / records).max(1);
    let mut best = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        for (best, side) in best.iter_mut().zip(&mut *sides) {
            let start = cpu_ns();
            (0..turns).for_each(|_| side.turn(run));
            *best = best.min((cpu_ns() - start) as f64 / turns as f64);
        }
    }
    best
}

/// Returns the CPU time of this thread.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
