//! The cost of a shadow run on the live path: CPU time of the worker's own thread per record, with a candidate beside a stage and without.
//! The tape is paced, so that the candidate keeps up: a dropped batch costs nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use host_model::{Kept, KernelCounters, KernelPlan, MetricData, PathCounters, PlanError, Run, Seed, Sink, Source, Waker};
use host_pipeline::{BatchLimits, Blueprint, Candidate, Running, Shadow, Stages, start};
use rustix::time::ClockId;
use serde_json::{Value, json};

use crate::tape::Tape;
use crate::{Workshop, cpu_ns};

/// Records of a batch, batches of one pass, and the time between two of them: a third of a processor's time.
const SIZE: usize = 1024;
const BATCHES: usize = 800;
const PACE: Duration = Duration::from_micros(600);
/// Number of passes of each side, in turns; the best counts.
const PASSES: usize = 9;

/// Keeps failed and slow rows, and one in ten of the others.
const POLICY: &str = r#"{"ratio": 0.1, "slow_ms": 100}"#;

type Shadows = fn(&Workshop, &Running) -> Vec<Shadow>;

const SIDES: [(&str, Shadows); 5] = [
    ("no shadow", |_, _| Vec::new()),
    ("sampler", |workshop, path| vec![sampler(workshop, path, 1.0)]),
    ("decoder", |workshop, path| vec![decoder(workshop, path, 1.0)]),
    ("enricher", |workshop, path| vec![enricher(workshop, path, 1.0)]),
    ("all three, a tenth", |workshop, path| {
        vec![sampler(workshop, path, 0.1), decoder(workshop, path, 0.1), enricher(workshop, path, 0.1)]
    }),
];

/// A tape that delivers one batch at a time, from its start on.
struct Paced {
    tape: Tape,
    started: Arc<AtomicBool>,
    due: bool,
}

/// The CPU time of the worker's thread when it wrote its first and its latest batch.
struct Meter {
    counters: Arc<PathCounters>,
    first: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
}

/// Prints the table; returns the rows for the file.
pub(crate) fn measure(workshop: &Workshop) -> Vec<Value> {
    let mut best = [(f64::MAX, 0, 0); SIDES.len()];
    for _ in 0..PASSES {
        for (best, (_, shadows)) in best.iter_mut().zip(SIDES) {
            let measured = pass(workshop, shadows);
            if measured.0 < best.0 {
                *best = measured;
            }
        }
    }
    println!("\n| shadow beside | worker ns per record | ratio | batches compared | dropped |");
    println!("|---|---|---|---|---|");
    let mut rows = Vec::new();
    for ((side, _), (ns, compared, dropped)) in SIDES.iter().zip(best) {
        let ratio = ns / best[0].0;
        println!("| {side} | {ns:.1} | {ratio:.3} | {compared} | {dropped} |");
        rows.push(json!({"shadow": side, "worker_ns": ns, "ratio": ratio, "compared": compared, "dropped": dropped}));
    }
    rows
}

/// Returns nanoseconds of the worker's thread per record, and the number of compared and of dropped batches.
fn pass(workshop: &Workshop, shadows: Shadows) -> (f64, u64, u64) {
    let decoder = workshop.decoder();
    let schema = Arc::clone(decoder.schema());
    let stages =
        Stages { decoder, sampler: Some(workshop.sampler(&schema, POLICY)), enrichers: vec![workshop.enricher(&schema)] };
    let counters = Arc::new(PathCounters::default());
    let started = Arc::new(AtomicBool::new(false));
    let (first, last) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let path = start(Blueprint {
        name: "file".into(),
        source: Box::new(Paced { tape: Tape::new(workshop.tape(SIZE), BATCHES), started: Arc::clone(&started), due: false }),
        stages,
        sink: Box::new(Meter { counters: Arc::clone(&counters), first: Arc::clone(&first), last: Arc::clone(&last) }),
        observer: Arc::new(()),
        counters: Arc::clone(&counters),
        limits: BatchLimits { rows: SIZE, bytes: usize::MAX, ..BatchLimits::default() },
        seed: Seed::system(),
    })
    .unwrap();
    let shadows = shadows(workshop, &path);
    started.store(true, Relaxed);
    while !path.finished() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let compared = shadows.iter().map(|shadow| shadow.comparison().batches).sum();
    let dropped = shadows.iter().map(|shadow| shadow.comparison().dropped).sum();
    path.stop();
    assert!(shadows.iter().all(|shadow| shadow.comparison().differing == 0), "a plugin agrees with itself");
    let spent = last.load(Relaxed) - first.load(Relaxed);
    (spent as f64 / ((BATCHES - 1) * SIZE) as f64, compared, dropped)
}

fn sampler(workshop: &Workshop, path: &Running, share: f64) -> Shadow {
    let schema = Arc::clone(workshop.decoder().schema());
    path.shadow(Candidate::Sampler(workshop.sampler(&schema, POLICY)), share).unwrap()
}

fn decoder(workshop: &Workshop, path: &Running, share: f64) -> Shadow {
    path.shadow(Candidate::Decoder(workshop.decoder()), share).unwrap()
}

fn enricher(workshop: &Workshop, path: &Running, share: f64) -> Shadow {
    let schema = Arc::clone(workshop.decoder().schema());
    path.shadow(Candidate::Enricher(workshop.enricher(&schema)), share).unwrap()
}

// === impl Paced ===

impl Source for Paced {
    fn wait(&mut self, _: usize, _: Duration) {
        std::thread::sleep(PACE);
        self.due = self.started.load(Relaxed);
    }

    fn waiting_bytes(&self) -> usize {
        if self.due { self.tape.waiting_bytes().min(1) } else { 0 }
    }

    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_> {
        self.tape.run(max_records, max_bytes)
    }

    fn release(&mut self) {
        self.tape.release();
        self.due = false;
    }

    fn waiting_records(&mut self) -> u64 {
        0
    }

    fn counters(&mut self) -> KernelCounters {
        self.tape.counters()
    }

    fn apply(&mut self, plan: &KernelPlan) -> Result<(), PlanError> {
        self.tape.apply(plan)
    }

    fn ended(&self) -> bool {
        self.tape.ended()
    }

    fn waker(&self) -> Arc<dyn Waker> {
        self.tape.waker()
    }

    fn unix_offset_ns(&self) -> u64 {
        self.tape.unix_offset_ns()
    }
}

// === impl Meter ===

impl Sink for Meter {
    fn write(&mut self, kept: &Kept) {
        self.counters.delivery.exported.fetch_add(kept.batch.num_rows() as u64, Relaxed);
        let now = cpu_ns(ClockId::ThreadCPUTime);
        let _ = self.first.compare_exchange(0, now, Relaxed, Relaxed);
        self.last.store(now, Relaxed);
    }

    fn metrics(&mut self, _: &[MetricData]) {}

    fn flush(&mut self) {}

    fn queue(&self) -> (u64, u64) {
        (0, 1)
    }
}
