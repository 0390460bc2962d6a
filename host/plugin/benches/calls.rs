//! What a call costs: the sampler of `tests/guests/faulty` beside the same policy as native code, at several batch sizes, and
//! what the process costs with nine instances, idle and ticking.
//!
//!     cargo bench -p host-plugin --profile release

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a bench may stop at the first wrong answer")]

#[path = "../tests/guests/build.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod build;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, UInt64Array};
use host_model::{Batch, ColumnType, Field, FieldUse, Sampler, Schema, Sensitivity, Signal};
use host_plugin::{Component, Engine, Setup};

fn main() {
    let start = Instant::now();
    let engine = Engine::new().unwrap();
    let started = start.elapsed();
    let bytes = build::faulty();
    let start = Instant::now();
    let component = Component::compile(&engine, bytes, "faulty").unwrap();
    println!("engine {started:?}, compile {} KiB {:?}, RSS {} MiB", bytes.len() >> 10, start.elapsed(), rss_mib());
    let bind = || component.sampler(component.inspection().id("sampler", 1), &schema(), Setup::default()).unwrap();
    let start = Instant::now();
    let mut samplers: Vec<Box<dyn Sampler>> = (0..9).map(|_| bind()).collect();
    println!("instantiate and bind {:?}, RSS with nine {} MiB", start.elapsed() / 9, rss_mib());

    println!("{:>6} {:>10} {:>10} {:>9} {:>7}", "rows", "native ns", "wasm ns", "ns/row", "ratio");
    for rows in [1, 64, 256, 1024, 4096, 8192] {
        let batch = batch(rows);
        let native = fastest(|| std::hint::black_box(native(&batch)).len());
        let wasm = fastest(|| samplers[0].decide(&batch).unwrap().thresholds.len());
        println!("{rows:>6} {native:>10.0} {wasm:>10.0} {:>9.2} {:>7.2}", wasm / rows as f64, wasm / native);
    }

    let one = batch(1);
    for (what, every) in [("a call every 50 ms", Some(Duration::from_millis(50))), ("ticking without a call", None)] {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        while start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(every.unwrap_or(Duration::from_secs(5)));
            if every.is_some() {
                samplers[0].decide(&one).unwrap();
            }
        }
        println!("{what}: {:.3} % of a core", (cpu_seconds() - cpu) / start.elapsed().as_secs_f64() * 100.0);
    }
}

/// The policy of the guest.
fn native(batch: &Batch) -> Vec<u64> {
    let column = |index| batch.column(index).unwrap().as_primitive::<UInt64Type>().values();
    let keep = |(&duration, &hash): (&u64, &u64)| if duration > 1_000_000 || hash % 10 == 0 { 0 } else { 1 << 56 };
    column(0).iter().zip(column(1).iter()).map(keep).collect()
}

/// The second best of many short samples, nanoseconds a call: short enough to fall between two time slices of a busy machine.
fn fastest(mut call: impl FnMut() -> usize) -> f64 {
    let end = Instant::now() + Duration::from_millis(500);
    let mut samples = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        (0..16).for_each(|_| {
            std::hint::black_box(call());
        });
        samples.push(start.elapsed().as_nanos() as f64 / 16.0);
    }
    samples.sort_by(f64::total_cmp);
    samples[1]
}

fn batch(rows: u64) -> Batch {
    let column = |values: Vec<u64>| Arc::new(UInt64Array::from(values)) as ArrayRef;
    let mut batch = Batch::new(schema(), rows as usize);
    batch.put(&[0, 1], vec![column((0..rows).collect()), column((0..rows).map(|row| row * 7).collect())]);
    batch
}

fn schema() -> Arc<Schema> {
    let field = |name: &str, field_use| Field {
        name: name.into(),
        column_type: ColumnType::U64,
        unit: String::new(),
        field_use,
        sensitivity: Sensitivity::Public,
        omit_zero: false,
    };
    let fields = vec![field("time", FieldUse::Time), field("hash", FieldUse::Plain)];
    Arc::new(Schema { event: "test.event".into(), signal: Signal::Span, fields, metrics: Vec::new() })
}

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
