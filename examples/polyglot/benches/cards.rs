//! The cost card of the policy in each available language: a table, and `target/polyglot/cards.json`.

#![forbid(unsafe_code)]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may stop where it cannot go on")]

#[path = "../tests/policies/table.rs"]
#[allow(dead_code, reason = "what is decided is tested there")]
mod table;

use std::hint::black_box;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use host_model::{Digest, PluginId, Sampler};
use host_plugin::{Component, Engine, Setup};
use plugin_sdk::{Column, Columns, Config, EventSchema, Field, Sampler as _, Text};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use table::{CONFIG, TABLE, batch, schema};

const ROWS: usize = 1024;
/// Number of rounds, of which the best counts; native and every language take turns.
const ROUNDS: usize = 15;
/// Number of rows of one round of one side.
const ROWS_OF_A_ROUND: usize = 50_000;

/// The measurements of one language, and their limits.
struct Card {
    language: &'static str,
    bytes: usize,
    compile_ms: f64,
    load_ms: f64,
    sampler: Box<dyn Sampler>,
    ns_per_row: f64,
}

fn main() {
    let engine = Engine::new().unwrap();
    let mut cards: Vec<Card> =
        polyglot::policies().into_iter().map(|(language, bytes)| card(&engine, language, &bytes)).collect();
    let batch = batch(ROWS);
    let mut native = native();
    let columns = columns();
    let mut native_ns = f64::MAX;
    for _ in 0..ROUNDS {
        native_ns = native_ns.min(ns_per_row(|| drop(black_box(native.decide(&columns).unwrap()))));
        for card in &mut cards {
            let Card { sampler, ns_per_row: best, .. } = card;
            *best = best.min(ns_per_row(|| drop(black_box(sampler.decide(&batch).unwrap()))));
        }
    }
    println!("| language | component KiB | compile ms | load ms | memory KiB | ns/row | x native |");
    println!("|---|---|---|---|---|---|---|");
    let mut rows = vec![json!({"language": "native", "ns_per_row": round(native_ns)})];
    println!("| native (Rust) | - | - | - | - | {native_ns:.1} | 1.0 |");
    for Card { language, bytes, compile_ms, load_ms, sampler, ns_per_row } in &cards {
        let memory_bytes = sampler.stats().memory_bytes.load(Relaxed);
        let times = ns_per_row / native_ns;
        let (kib, memory) = (*bytes as f64 / 1024.0, memory_bytes / 1024);
        println!("| {language} | {kib:.0} | {compile_ms:.0} | {load_ms:.2} | {memory} | {ns_per_row:.1} | {times:.1} |");
        rows.push(json!({
            "language": language,
            "component_bytes": bytes,
            "compile_ms": round(*compile_ms),
            "load_ms": round(*load_ms),
            "memory_bytes": memory_bytes,
            "rows": ROWS,
            "ns_per_row": round(*ns_per_row),
            "times_native": round(times),
        }));
    }
    let file = host_tests::target_folder().join("polyglot/cards.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, serde_json::to_vec_pretty(&rows).unwrap()).unwrap();
    eprintln!("written to {}", file.display());
}

/// Compiles once, loads three times: the fastest counts.
fn card(engine: &Engine, language: &'static str, bytes: &[u8]) -> Card {
    let start = Instant::now();
    let component = Component::compile(engine, bytes, language).unwrap();
    let compile_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut load_ms = f64::MAX;
    let mut load = || {
        let start = Instant::now();
        let id = PluginId {
            slot: "sampler".into(),
            name: language.into(),
            version: "0.1.0".into(),
            digest: Digest([0; 32]),
            generation: 1,
        };
        let mut sampler = component.sampler(id, &schema(), Setup { config: CONFIG.into(), ..Setup::default() }).unwrap();
        sampler.decide(&batch(1)).unwrap();
        load_ms = load_ms.min(start.elapsed().as_secs_f64() * 1e3);
        sampler
    };
    (0..2).for_each(|_| drop(load()));
    let sampler = load();
    Card { language, bytes: bytes.len(), compile_ms, load_ms, sampler, ns_per_row: f64::MAX }
}

fn ns_per_row(mut call: impl FnMut()) -> f64 {
    let calls = ROWS_OF_A_ROUND / ROWS;
    let start = cpu_ns();
    (0..calls).for_each(|_| call());
    (cpu_ns() - start) as f64 / (calls * ROWS) as f64
}

/// CPU time of this thread only, so that other work of the machine does not count.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// The policy in Rust without the sandbox.
fn native() -> polyglot_rust::Policy {
    let field = |of: &host_model::Field| {
        let (column_type, use_) = match of.name.as_str() {
            "process.pid" => (plugin_sdk::ColumnType::U32, plugin_sdk::FieldUse::Plain),
            "error.type" => (plugin_sdk::ColumnType::Text, plugin_sdk::FieldUse::Error),
            "duration" => (plugin_sdk::ColumnType::U64, plugin_sdk::FieldUse::Duration),
            _ => (plugin_sdk::ColumnType::U64, plugin_sdk::FieldUse::Time),
        };
        Field { use_, ..Field::new(&of.name, column_type) }
    };
    let schema = EventSchema {
        event: "file.open".into(),
        signal: plugin_sdk::Signal::Span,
        fields: schema().fields.iter().map(field).collect(),
        metrics: Vec::new(),
    };
    polyglot_rust::Policy::bind(&schema, Config::new(CONFIG)).unwrap()
}

/// Returns the batch in the types of the policy.
fn columns() -> Columns {
    let cycle = || TABLE.iter().cycle().take(ROWS);
    let mut errors = Text::with_capacity(ROWS, 0);
    cycle().for_each(|row| errors.push(row.error));
    let durations = Column::U64(cycle().map(|row| row.duration_ns).collect());
    Columns::new(ROWS, vec![durations, errors.finish(), Column::U32(cycle().map(|row| row.pid).collect())])
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
