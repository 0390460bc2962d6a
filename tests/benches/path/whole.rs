//! The whole path: the pipeline as in the daemon, from a ring that is a tape to a sink that counts, or to a collector.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use host_export::{Explicit, ExportSettings, Exporter, Output};
use host_model::{DeliveryCounters, Kept, MetricData, PathCounters, Seed, Sink};
use host_pipeline::{BatchLimits, Blueprint, Stages, start};
use rustix::time::ClockId;
use tokio::runtime::{Builder, Runtime};

use crate::tape::Tape;
use crate::{Pair, Workshop, cpu_ns};

/// Number of records of one pass.
const RECORDS: usize = 400_000;
/// Number of passes of each side, in turns; the best counts.
const PASSES: usize = 8;
/// The argument that makes the benchmark the collector: its time must not be among ours.
pub(crate) const COLLECT: &str = "--collect";

/// The destination of kept rows.
pub(crate) enum WayOut {
    /// They are counted as delivered.
    Counted,
    /// Sent as OTLP over HTTP to a process that drops them.
    Otlp(Box<Collector>),
}

/// A process that accepts everything. Killed when dropped.
pub(crate) struct Collector {
    child: Child,
    endpoint: String,
    runtime: Runtime,
}

struct Counting(Arc<DeliveryCounters>);

/// Measures the path at a batch size and under a sampler's configuration.
pub(crate) fn measure(workshop: &Workshop, size: usize, config: &str, way_out: &WayOut) -> Pair {
    let tape = workshop.tape(size);
    let schema = Arc::clone(workshop.decoder().schema());
    let wasm = || Stages {
        decoder: workshop.decoder(),
        sampler: Some(workshop.sampler(&schema, config)),
        enrichers: vec![workshop.enricher(&schema)],
    };
    let native = || Stages {
        decoder: workshop.native_decoder(tape, &schema),
        sampler: Some(workshop.native_sampler(config)),
        enrichers: vec![workshop.native_enricher(&*workshop.enricher(&schema))],
    };
    let mut best = Pair { native: f64::MAX, wasm: f64::MAX };
    for _ in 0..PASSES {
        best.native = best.native.min(pass(native(), tape, size, way_out));
        best.wasm = best.wasm.min(pass(wasm(), tape, size, way_out));
    }
    best
}

/// Returns nanoseconds of CPU time per record of one pass, including all helpers: the worker, the ticker of deadlines, and the threads that
/// send.
pub(crate) fn pass(stages: Stages, tape: &'static [u8], size: usize, way_out: &WayOut) -> f64 {
    let laps = RECORDS / size;
    let counters = Arc::new(PathCounters::default());
    let delivery = Arc::clone(&counters.delivery);
    let exporter = way_out.exporter();
    let sink: Box<dyn Sink> = match &exporter {
        None => Box::new(Counting(delivery)),
        Some(exporter) => exporter.sink("file", delivery),
    };
    let blueprint = Blueprint {
        name: "file".into(),
        source: Box::new(Tape::new(tape, laps)),
        stages,
        sink,
        observer: Arc::new(()),
        counters: Arc::clone(&counters),
        limits: BatchLimits { rows: size, bytes: usize::MAX, ..BatchLimits::default() },
        seed: Seed::system(),
    };
    let before = cpu_ns(ClockId::ProcessCPUTime);
    let running = start(blueprint).unwrap();
    while !running.finished() {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.stop();
    if let (Some(exporter), WayOut::Otlp(collector)) = (exporter, way_out) {
        collector.runtime.block_on(exporter.drain(Duration::from_secs(60)));
    }
    let spent = cpu_ns(ClockId::ProcessCPUTime) - before;
    let ledger = counters.ledger();
    assert!(ledger.received == (laps * size) as u64 && ledger.undecodable == 0, "{ledger:?}");
    assert_eq!(ledger.kept, ledger.exported, "{ledger:?}");
    spent as f64 / (laps * size) as f64
}

// === impl WayOut ===

impl WayOut {
    /// Sends to a collector in a process of its own.
    pub(crate) fn otlp() -> Self {
        let own = std::env::current_exe().unwrap();
        let mut child = Command::new(own).arg(COLLECT).stdout(Stdio::piped()).spawn().unwrap();
        let mut endpoint = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut endpoint).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self::Otlp(Box::new(Collector { child, endpoint: endpoint.trim().to_owned(), runtime }))
    }

    fn exporter(&self) -> Option<Exporter> {
        let Self::Otlp(collector) = self else { return None };
        let explicit = Explicit {
            endpoint: Some(collector.endpoint.clone()),
            protocol: Some("http/protobuf".into()),
            // No row may be dropped: the tape is faster than any kernel.
            queue_bytes: Some(1 << 30),
            ..Explicit::default()
        };
        let settings = ExportSettings::merge(&|_| None, &explicit).unwrap();
        Some(Exporter::start(settings, Output::None, collector.runtime.handle()).unwrap())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Counting ===

impl Sink for Counting {
    fn write(&mut self, kept: &Kept) {
        self.0.exported.fetch_add(kept.batch.num_rows() as u64, Relaxed);
    }

    fn metrics(&mut self, _: &[MetricData]) {}

    fn flush(&mut self) {}

    fn queue(&self) -> (u64, u64) {
        (0, 1)
    }
}
