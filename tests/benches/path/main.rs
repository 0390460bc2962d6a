//! The cost of the sandbox: every stage of the path and the whole path, native Rust beside Wasm, at several batch sizes, in one run. Writes
//! a table, and `target/bench/path.json`.
//!
//! Native is the plugins' own code (or, if that only calls the host, the host's answer) behind the same stage traits, compiled into the
//! host. Both sides end with Arrow arrays that were checked alike. The whole path is `host-pipeline` on its thread: drain, decode, metrics,
//! sample, complete, enrich, and a sink that counts or sends OTLP; its time is CPU time of the whole process.

mod enriching;
mod limits;
mod native;
mod ring;
mod shadowed;
mod tape;
mod whole;

use std::sync::Arc;

use host_model::{Batch, Decoder, Digest, Enricher, Layout, PluginId, Run, Sampler, Schema, Source};
use host_plugin::{Component, Engine, Grants, Host, Setup};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use enriching::{Census, NativeEnricher};
use native::{NativeDecoder, NativeSampler};
use tape::Tape;
use whole::WayOut;

const SIZES: [usize; 4] = [64, 256, 1024, 4096];
/// Number of rounds, of which the best counts; the two sides take turns.
pub(crate) const ROUNDS: usize = 15;
/// Configuration of the sampler on the whole path: keeps failed and slow rows, and one in ten of the others.
pub(crate) const ONE_IN_TEN: &str = r#"{"ratio": 0.1, "slow_ms": 100}"#;
/// Configuration that looks at every row as above, and then keeps it.
pub(crate) const ALL: &str = r#"{"ratio": 0.9999999, "slow_ms": 100}"#;

/// The parts that both sides are built from.
pub(crate) struct Workshop {
    engine: Engine,
    layout: Layout,
    records: Vec<u8>,
    census: Arc<Census>,
}

/// Nanoseconds per record.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) native: f64,
    pub(crate) wasm: f64,
}

fn main() {
    if std::env::args().any(|argument| argument == whole::COLLECT) {
        let sink = host_tests::sink::Sink::start();
        println!("{}", sink.endpoint());
        loop {
            std::thread::park();
        }
    }
    let workshop = Workshop::new();
    if std::env::args().any(|argument| argument == "--shadow") {
        shadowed::measure(&workshop);
        return;
    }
    if std::env::args().any(|argument| argument == "--limits") {
        limits::measure(&workshop);
        return;
    }
    let mut rows = Vec::new();
    println!("| stage | rows | native ns | Wasm ns | ratio |");
    println!("|---|---|---|---|---|");
    for (stage, measure) in STAGES {
        for size in SIZES {
            let Pair { native, wasm } = measure(&workshop, size);
            let ratio = wasm / native;
            println!("| {stage} | {size} | {native:.1} | {wasm:.1} | {ratio:.2} |");
            let tenth = |value: f64| (value * 100.0).round() / 100.0;
            rows.push(json!({"stage": stage, "rows": size, "native_ns": tenth(native), "wasm_ns": tenth(wasm), "ratio": tenth(ratio)}));
        }
    }
    rows.extend(shadowed::measure(&workshop));
    rows.extend(limits::measure(&workshop));
    let file = host_tests::target_folder().join("bench/path.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, serde_json::to_vec_pretty(&rows).unwrap()).unwrap();
    eprintln!("written to {}", file.display());
}

type Measure = fn(&Workshop, usize) -> Pair;

const STAGES: [(&str, Measure); 7] = [
    ("ring drain", ring::drain),
    ("decode", decode),
    ("sample", sample),
    ("enrich", enrich),
    ("whole path", |workshop, size| whole::measure(workshop, size, ONE_IN_TEN, &WayOut::Counted)),
    ("whole path, all kept", |workshop, size| whole::measure(workshop, size, ALL, &WayOut::Counted)),
    ("whole path, all kept, sent as OTLP", |workshop, size| whole::measure(workshop, size, ALL, &WayOut::otlp())),
];

// === Stages ===

/// Measures decoding of all columns of every row.
fn decode(workshop: &Workshop, size: usize) -> Pair {
    let tape = workshop.tape(size);
    let run = Run::parse(tape).unwrap();
    let mut wasm = workshop.decoder();
    let mut native = workshop.native_decoder(tape, wasm.schema());
    let fields: Vec<usize> = (0..wasm.schema().fields.len()).collect();
    let decoded = [native.decode(run, &fields).unwrap(), wasm.decode(run, &fields).unwrap()];
    assert_eq!(decoded[0].batch.columns, decoded[1].batch.columns, "both sides make the same rows");
    in_turns(
        size,
        || drop(std::hint::black_box(native.decode(run, &fields).unwrap())),
        || drop(std::hint::black_box(wasm.decode(run, &fields).unwrap())),
    )
}

/// Measures a threshold for every row, which looks for failed and slow ones.
fn sample(workshop: &Workshop, size: usize) -> Pair {
    let batch = workshop.batch(size);
    let mut wasm = workshop.sampler(&batch.schema, ONE_IN_TEN);
    let mut native = workshop.native_sampler(ONE_IN_TEN);
    assert_eq!(native.decide(&batch).unwrap(), wasm.decide(&batch).unwrap(), "both sides decide alike");
    in_turns(
        size,
        || drop(std::hint::black_box(native.decide(&batch).unwrap())),
        || drop(std::hint::black_box(wasm.decide(&batch).unwrap())),
    )
}

/// Measures adding six columns about the process of every row.
fn enrich(workshop: &Workshop, size: usize) -> Pair {
    let batch = workshop.batch(size);
    let mut wasm = workshop.enricher(&batch.schema);
    let mut native = workshop.native_enricher(&*wasm);
    assert_eq!(native.enrich(&batch).unwrap(), wasm.enrich(&batch).unwrap(), "both sides add the same");
    in_turns(
        size,
        || drop(std::hint::black_box(native.enrich(&batch).unwrap())),
        || drop(std::hint::black_box(wasm.enrich(&batch).unwrap())),
    )
}

// === Time ===

/// Returns the best of several rounds of each side.
fn in_turns(size: usize, mut native: impl FnMut(), mut wasm: impl FnMut()) -> Pair {
    let mut best = Pair { native: f64::MAX, wasm: f64::MAX };
    for _ in 0..ROUNDS {
        best.native = best.native.min(per_row(size, &mut native));
        best.wasm = best.wasm.min(per_row(size, &mut wasm));
    }
    best
}

/// Returns nanoseconds of this thread's CPU time per row, over about 100,000 rows.
pub(crate) fn per_row(size: usize, call: &mut impl FnMut()) -> f64 {
    let calls = 100_000 / size;
    let start = cpu_ns(ClockId::ThreadCPUTime);
    (0..calls).for_each(|_| call());
    (cpu_ns(ClockId::ThreadCPUTime) - start) as f64 / (calls * size) as f64
}

pub(crate) fn cpu_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

// === impl Workshop ===

impl Workshop {
    fn new() -> Self {
        let layout = plugin_sdk::testing::header_layout(include_str!("../../../bpf/file/record.h"), "file_record").unwrap();
        let records = tape::records(&layout, *SIZES.last().unwrap());
        Self { engine: Engine::new().unwrap(), layout: native::model_layout(&layout), records, census: Arc::new(Census::new()) }
    }

    /// Returns the same workshop with another engine.
    pub(crate) fn with(&self, engine: Engine) -> Self {
        Self { engine, layout: self.layout.clone(), records: self.records.clone(), census: Arc::clone(&self.census) }
    }

    /// Returns runs of `size` records that live as long as the process: the native decoder reads them in place.
    pub(crate) fn tape(&self, size: usize) -> &'static [u8] {
        let mut tape = Tape::new(self.records.clone().leak(), 1);
        tape.run(size, usize::MAX).bytes.to_vec().leak()
    }

    pub(crate) fn decoder(&self) -> Box<dyn Decoder> {
        self.component("decoder-file").decoder(id("decoder.file"), "file", &self.layout, Setup::default()).unwrap()
    }

    pub(crate) fn native_decoder(&self, tape: &'static [u8], schema: &Arc<Schema>) -> Box<dyn Decoder> {
        Box::new(NativeDecoder::new(&self.layout, Arc::clone(schema), tape))
    }

    pub(crate) fn sampler(&self, schema: &Arc<Schema>, config: &str) -> Box<dyn Sampler> {
        let setup = Setup { config: config.into(), ..Setup::default() };
        self.component("sampler-ratio").sampler(id("sampler"), schema, setup).unwrap()
    }

    pub(crate) fn native_sampler(&self, config: &str) -> Box<dyn Sampler> {
        let layout = native::sdk_layout(&self.layout);
        let decoder =
            <decoder_file::Decoder as plugin_sdk::Decoder>::bind("file", &layout, plugin_sdk::Config::new("{}")).unwrap();
        Box::new(NativeSampler::<sampler_ratio::Ratio>::bind(plugin_sdk::Decoder::schema(&decoder), config))
    }

    pub(crate) fn enricher(&self, schema: &Arc<Schema>) -> Box<dyn Enricher> {
        let host = Host { tables: self.census.clone(), ..Host::default() };
        let setup = Setup { grants: Grants::parse(&["tables"]).unwrap(), host, ..Setup::default() };
        self.component("enricher-process").enricher(id("enricher.process"), schema, setup).unwrap()
    }

    pub(crate) fn native_enricher(&self, sandboxed: &dyn Enricher) -> Box<dyn Enricher> {
        let columns = ["executable.path", "command_line", "parent_pid", "cgroup", "container.id", "user.name"];
        Box::new(NativeEnricher::like(sandboxed, self.census.clone(), &columns))
    }

    /// Returns decoded rows with all their columns.
    fn batch(&self, size: usize) -> Batch {
        let mut decoder = self.decoder();
        let fields: Vec<usize> = (0..decoder.schema().fields.len()).collect();
        decoder.decode(Run::parse(self.tape(size)).unwrap(), &fields).unwrap().batch
    }

    fn component(&self, name: &str) -> Component {
        Component::compile(&self.engine, plugins::component(name).unwrap().bytes, name).unwrap()
    }
}

fn id(slot: &str) -> PluginId {
    PluginId { slot: slot.into(), name: slot.into(), version: "0.1.0".into(), digest: Digest([0; 32]), generation: 1 }
}
