//! The whole path: the pipeline as the daemon runs it, from a ring that is a tape to a sink that counts.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use host_model::{DeliveryCounters, Kept, MetricData, PathCounters, Sink};
use host_pipeline::{BatchLimits, Blueprint, Stages, start};
use rustix::time::ClockId;

use crate::tape::Tape;
use crate::{Pair, ROUNDS, Workshop, cpu_ns};

/// Records of one pass.
const RECORDS: usize = 400_000;

/// Takes kept rows and counts them as delivered.
struct Counting(Arc<DeliveryCounters>);

/// The path at a batch size and under a sampler's configuration.
pub(crate) fn measure(workshop: &Workshop, size: usize, config: &str) -> Pair {
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
    for _ in 0..ROUNDS.div_ceil(2) {
        best.native = best.native.min(pass(native(), tape, size));
        best.wasm = best.wasm.min(pass(wasm(), tape, size));
    }
    best
}

/// Nanoseconds of CPU time per record of one pass, everything that helps included: the worker, and the ticker of deadlines.
fn pass(stages: Stages, tape: &'static [u8], size: usize) -> f64 {
    let laps = RECORDS / size;
    let counters = Arc::new(PathCounters::default());
    let blueprint = Blueprint {
        name: "file".into(),
        source: Box::new(Tape::new(tape, laps)),
        stages,
        sink: Box::new(Counting(Arc::clone(&counters.delivery))),
        counters,
        limits: BatchLimits { rows: size, bytes: usize::MAX, ..BatchLimits::default() },
    };
    let before = cpu_ns(ClockId::ProcessCPUTime);
    let running = start(blueprint).unwrap();
    while !running.finished() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let ledger = running.stop();
    let spent = cpu_ns(ClockId::ProcessCPUTime) - before;
    assert!(ledger.balanced() && ledger.received == (laps * size) as u64 && ledger.undecodable == 0, "{ledger:?}");
    spent as f64 / (laps * size) as f64
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
