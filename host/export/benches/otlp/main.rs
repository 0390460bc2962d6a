//! The cost of encoding and sending a row: this exporter beside the reference implementation's own ways, in one run against the same sink.
//! Rows have eight attributes, requests 512 rows; the figure is CPU time of this process per row (the sink is another process), the median
//! of interleaved rounds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    unreachable_pub,
    reason = "a bench may stop at the first wrong answer"
)]

mod contenders;
mod rows;
mod sink;

use std::path::PathBuf;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

/// Number of rounds; their median counts.
const ROUNDS: usize = 7;
/// Number of rows of a round.
const ROWS: u64 = 512 * 400;

type Contender = (&'static str, fn(&str, u64));

const CONTENDERS: [Contender; 7] = [
    ("host, requests of 512 rows", contenders::host_512),
    ("host, as configured by default", contenders::host),
    ("host, encode only", contenders::host_encode),
    ("ready bytes, POST only", contenders::ready_bytes),
    ("opentelemetry-proto structs + prost + POST", contenders::structs),
    ("SDK BatchSpanProcessor, http/protobuf", contenders::sdk_spans),
    ("SDK BatchLogProcessor, http/protobuf", contenders::sdk_logs),
];

fn main() {
    if sink::is_asked_for() {
        return sink::run();
    }
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let contenders: Vec<Contender> = CONTENDERS.into_iter().filter(|(name, _)| name.contains(&wanted)).collect();
    let sink = sink::Sink::start();
    let mut figures: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    for (_, run) in &contenders {
        run(&sink.url, 512 * 20);
    }
    for _ in 0..ROUNDS {
        for ((_, run), figures) in contenders.iter().zip(&mut figures) {
            let before = cpu();
            run(&sink.url, ROWS);
            figures.push((cpu() - before).as_nanos() as f64 / ROWS as f64);
        }
    }
    let medians: Vec<f64> = figures.iter_mut().map(|figures| median(figures)).collect();
    println!("{:<46} {:>10} {:>10} {:>8}", "spans of 8 attributes", "ns CPU/row", "min-max", "x host");
    let mut entries = Vec::new();
    for (((name, _), figures), median) in contenders.iter().zip(&figures).zip(&medians) {
        let (least, most) = (figures[0], figures[figures.len() - 1]);
        let ratio = median / medians[0];
        println!("{name:<46} {median:>10.0} {:>10} {ratio:>8.2}", format!("{least:.0}-{most:.0}"));
        entries.push(json!({"contender": name, "rows": ROWS, "ns_per_row": median, "min": least, "max": most, "ratio": ratio}));
    }
    let path = target().join("bench/otlp.json");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, serde_json::to_string_pretty(&entries).unwrap()).unwrap();
    println!("written to {}", path.display());
}

/// Returns the CPU time of all threads of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn target() -> PathBuf {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(default, PathBuf::from)
}
