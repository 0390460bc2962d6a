//! A path without a kernel and without wasmtime: a ring that is a vector, plugins of a few lines.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its share")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, StringArray, UInt64Array};
use host_model::stage::Plugin;
use host_model::{
    Added, Batch, CallStats, ColumnType, Decisions, Decoded, Decoder, Digest, Enricher, Fallback, Fault, FaultKind, Field,
    FieldUse, Instrument, Kept, KernelCounters, KernelPlan, Metric, MetricData, Observer, PathCounters, PlanError, PluginId,
    Run, Sampler, Schema, Seed, Sensitivity, Signal, Sink, Source, State, Stats, Waker,
};
use host_pipeline::{BatchLimits, Blueprint, Running, Stages, start};

/// A ring that a test fills. Records are one u64 each; `u64::MAX` cannot be decoded.
#[derive(Clone, Default)]
pub struct Ring {
    inner: Arc<Mutex<Inner>>,
    filled: Arc<Condvar>,
    pub ended: Arc<AtomicBool>,
    pub plan: Arc<Mutex<Option<KernelPlan>>>,
    pub refuse_plan: Arc<AtomicBool>,
}

#[derive(Default)]
struct Inner {
    records: VecDeque<u64>,
    produced: u64,
    lost: u64,
    woken: bool,
}

pub struct RingSource {
    ring: Ring,
    run: Vec<u8>,
    taken: usize,
}

impl Ring {
    pub fn push(&self, values: impl IntoIterator<Item = u64>) {
        let mut inner = self.inner.lock().unwrap();
        for value in values {
            inner.records.push_back(value);
            inner.produced += 1;
        }
        self.filled.notify_all();
    }

    pub fn lose(&self, count: u64) {
        let mut inner = self.inner.lock().unwrap();
        inner.produced += count;
        inner.lost += count;
    }

    pub fn source(&self) -> Box<dyn Source> {
        Box::new(RingSource { ring: self.clone(), run: Vec::new(), taken: 0 })
    }
}

impl Waker for Ring {
    fn wake(&self) {
        self.inner.lock().unwrap().woken = true;
        self.filled.notify_all();
    }
}

impl Source for RingSource {
    fn wait(&mut self, ready_bytes: usize, timeout: Duration) {
        let inner = self.ring.inner.lock().unwrap();
        let idle = |inner: &mut Inner| !inner.woken && inner.records.len() * 16 < ready_bytes;
        let (mut inner, _) = self.ring.filled.wait_timeout_while(inner, timeout, idle).unwrap();
        inner.woken = false;
    }

    fn waiting_bytes(&self) -> usize {
        self.ring.inner.lock().unwrap().records.len() * 16
    }

    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_> {
        let inner = self.ring.inner.lock().unwrap();
        self.run.clear();
        self.taken = inner.records.len().min(max_records).min((max_bytes / 16).max(1));
        for value in inner.records.iter().take(self.taken) {
            Run::push(&mut self.run, &value.to_le_bytes());
        }
        drop(inner);
        Run::parse(&self.run).unwrap()
    }

    fn release(&mut self) {
        self.ring.inner.lock().unwrap().records.drain(..self.taken);
    }

    fn waiting_records(&mut self) -> u64 {
        self.ring.inner.lock().unwrap().records.len() as u64
    }

    fn counters(&mut self) -> KernelCounters {
        let inner = self.ring.inner.lock().unwrap();
        KernelCounters { produced: inner.produced, lost: inner.lost, ..KernelCounters::default() }
    }

    fn apply(&mut self, plan: &KernelPlan) -> Result<(), PlanError> {
        if self.ring.refuse_plan.load(SeqCst) {
            return Err(PlanError::Unsupported { probe: "fake".into(), reason: "it is a vector".into() });
        }
        *self.ring.plan.lock().unwrap() = Some(plan.clone());
        Ok(())
    }

    fn ended(&self) -> bool {
        self.ring.ended.load(SeqCst)
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::new(self.ring.clone())
    }

    fn unix_offset_ns(&self) -> u64 {
        0
    }
}

/// The identity of a fake, and how it misbehaves.
pub struct Base {
    pub id: PluginId,
    pub stats: Arc<CallStats>,
    /// Its calls fail while this is set.
    pub faulty: Arc<AtomicBool>,
    /// Only calls of this name fail; all calls, if None.
    pub faulty_step: Option<&'static str>,
    pub kind: FaultKind,
    pub fallback: Fallback,
    /// Its calls do not return while this is set.
    pub blocked: Arc<AtomicBool>,
    /// The reported cost of a call.
    pub cost_ns: u64,
    pub state: Arc<AtomicU64>,
    pub stateful: bool,
}

impl Base {
    pub fn new(slot: &str) -> Self {
        let id = PluginId { slot: slot.into(), name: slot.into(), version: "1".into(), digest: Digest([0; 32]), generation: 1 };
        Self {
            id,
            stats: Arc::default(),
            faulty: Arc::default(),
            faulty_step: None,
            kind: FaultKind::Trap,
            fallback: Fallback::Pass,
            blocked: Arc::default(),
            cost_ns: 1000,
            state: Arc::default(),
            stateful: false,
        }
    }

    fn check(&self, step: &'static str) -> Result<(), Fault> {
        while self.blocked.load(SeqCst) {
            std::thread::yield_now();
        }
        self.stats.record(0, self.cost_ns);
        if self.faulty.load(SeqCst) && self.faulty_step.is_none_or(|faulty| faulty == step) {
            return Err(Fault { plugin: self.id.clone(), step, kind: self.kind, detail: "as asked".into() });
        }
        Ok(())
    }

    fn export_state(&self) -> Result<Option<State>, Fault> {
        self.check("export-state")?;
        Ok(self.stateful.then(|| State { version: 1, bytes: self.state.load(SeqCst).to_le_bytes().to_vec() }))
    }

    fn import_state(&self, state: &State) -> Result<bool, Fault> {
        self.check("import-state")?;
        self.state.store(u64::from_le_bytes(state.bytes.clone().try_into().unwrap()), SeqCst);
        Ok(self.stateful)
    }
}

macro_rules! plugin {
    ($($fake:ty),*) => { $(impl Plugin for $fake {
        fn id(&self) -> &PluginId { &self.0.id }
        fn stats(&self) -> &Arc<CallStats> { &self.0.stats }
        fn fallback(&self) -> Fallback { self.0.fallback }
        fn export_state(&mut self) -> Result<Option<State>, Fault> { self.0.export_state() }
        fn import_state(&mut self, state: &State) -> Result<bool, Fault> { self.0.import_state(state) }
    })* };
}
plugin!(Numbers, Keep, Tag);

pub fn field(name: &str, column_type: ColumnType, field_use: FieldUse) -> Field {
    Field { name: name.into(), column_type, unit: String::new(), field_use, sensitivity: Sensitivity::Public, omit_zero: false }
}

/// Decodes a u64 into the fields `time` and `value`. `event` names its schema.
pub struct Numbers(pub Base, pub Arc<Schema>, Vec<u64>, pub Quirks);

/// How a decoder differs from the default.
pub struct Quirks {
    /// Returns the value of a field from its name and the record.
    pub value: fn(&str, u64) -> u64,
    /// Whether a record cannot be read.
    pub undecodable: fn(u64) -> bool,
    /// Rows per record.
    pub rows: usize,
    /// The fields that each `decode` was asked for.
    pub asked: Arc<Mutex<Vec<Vec<usize>>>>,
}

pub fn numbers(event: &str) -> Numbers {
    let schema = Schema {
        event: event.into(),
        signal: Signal::Log,
        fields: vec![field("time", ColumnType::U64, FieldUse::Time), field("value", ColumnType::U64, FieldUse::Plain)],
        metrics: vec![Metric {
            name: "rows".into(),
            description: String::new(),
            instrument: Instrument::Counter,
            value: 0,
            only: Vec::new(),
        }],
    };
    let quirks = Quirks { value: |_, value| value, undecodable: |value| value == u64::MAX, rows: 1, asked: Arc::default() };
    Numbers(Base::new("decoder.fake"), Arc::new(schema), Vec::new(), quirks)
}

impl Numbers {
    /// Another schema of the same event.
    pub fn with(mut self, fields: Vec<Field>) -> Self {
        Arc::make_mut(&mut self.1).fields = fields;
        self
    }

    fn column(&self, field: usize, values: impl Iterator<Item = u64>) -> ArrayRef {
        let name = self.1.fields[field].name.as_str();
        Arc::new(UInt64Array::from_iter_values(values.map(|value| (self.3.value)(name, value))))
    }
}

impl Decoder for Numbers {
    fn schema(&self) -> &Arc<Schema> {
        &self.1
    }

    fn decode(&mut self, run: Run<'_>, fields: &[usize]) -> Result<Decoded, Fault> {
        self.3.asked.lock().unwrap().push(fields.to_vec());
        self.0.check("decode")?;
        let values: Vec<u64> = run.iter().map(|record| u64::from_le_bytes(record.try_into().unwrap())).collect();
        let bad = |value: &u64| (self.3.undecodable)(*value);
        let undecodable = (0..).zip(&values).filter(|(_, value)| bad(value)).map(|(index, _)| index).collect();
        let good = values.iter().filter(|value| !bad(value));
        self.2 = good.flat_map(|&value| std::iter::repeat_n(value, self.3.rows)).collect();
        let mut batch = Batch::new(Arc::clone(&self.1), self.2.len());
        batch.put(fields, fields.iter().map(|&field| self.column(field, self.2.iter().copied())).collect());
        Ok(Decoded { batch, undecodable })
    }

    fn complete(&mut self, rows: &[u32], fields: &[usize]) -> Result<Vec<ArrayRef>, Fault> {
        self.0.check("complete")?;
        let values = || rows.iter().map(|&row| self.2[row as usize]);
        Ok(fields.iter().map(|&field| self.column(field, values())).collect())
    }
}

/// A sampler with a threshold by value; its state is the number of rows it has seen.
pub struct Keep(pub Base, Box<dyn Fn(u64) -> u64 + Send>, pub Option<KernelPlan>, pub Vec<usize>);

/// Keeps rows whose value is divisible by `divisor`.
pub fn keep(divisor: u64) -> Keep {
    thresholds(move |value| if value % divisor == 0 { 0 } else { u64::MAX })
}

pub fn thresholds(rule: impl Fn(u64) -> u64 + Send + 'static) -> Keep {
    Keep(Base::new("sampler"), Box::new(rule), None, vec![1])
}

impl Sampler for Keep {
    fn wanted(&self) -> &[usize] {
        &self.3
    }

    fn decide(&mut self, batch: &Batch) -> Result<Decisions, Fault> {
        self.0.check("decide")?;
        self.0.state.fetch_add(batch.rows as u64, SeqCst);
        for &field in &self.3 {
            assert!(batch.column(field).is_some(), "field {field} was wanted");
        }
        let values = batch.column(1).unwrap().as_primitive::<UInt64Type>();
        Ok(Decisions { thresholds: values.values().iter().map(|&value| (self.1)(value)).collect(), randomness: Vec::new() })
    }

    fn tune(&mut self, _: &Stats) -> Result<Option<KernelPlan>, Fault> {
        self.0.check("tune")?;
        Ok(self.2.take())
    }
}

/// An enricher that adds a column of text by value; `tag`, unless its fields are replaced.
pub struct Tag(pub Base, Box<dyn Fn(u64) -> String + Send>, pub Vec<Field>);

pub fn tag(name: &'static str) -> Tag {
    texts(move |_| name.to_owned())
}

pub fn texts(rule: impl Fn(u64) -> String + Send + 'static) -> Tag {
    Tag(Base::new("enricher.tag"), Box::new(rule), vec![field("tag", ColumnType::Text, FieldUse::Plain)])
}

impl Enricher for Tag {
    fn wanted(&self) -> &[usize] {
        &[1]
    }

    fn added(&self) -> &[Field] {
        &self.2
    }

    fn enrich(&mut self, batch: &Batch) -> Result<Added, Fault> {
        self.0.check("enrich")?;
        let values = batch.column(1).unwrap().as_primitive::<UInt64Type>().values();
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(values.iter().map(|&value| (self.1)(value))));
        Ok(vec![column; self.2.len()])
    }
}

/// Starts a path of these stages whose batches are small and close soon.
pub fn path(ring: &Ring, shelf: &Shelf, stages: Stages) -> Running {
    watched(ring, shelf, stages, Arc::new(()))
}

/// The same, with an observer of faults.
pub fn watched(ring: &Ring, shelf: &Shelf, stages: Stages, observer: Arc<dyn Observer>) -> Running {
    start(Blueprint {
        name: "fake".into(),
        source: ring.source(),
        stages,
        sink: Box::new(shelf.clone()),
        observer,
        counters: Arc::clone(&shelf.counters),
        limits: BatchLimits { age: Duration::from_millis(1), rows: 100, ..BatchLimits::default() },
        seed: Seed::system(),
    })
    .unwrap()
}

/// Waits until this many records have passed along the path.
pub fn settle(path: &Running, records: u64) {
    until("all records have been received", || path.ledger(Duration::from_secs(20)).received == records);
}

/// Waits until a condition holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::yield_now();
    }
}

/// A sink that stores all rows, and counts them as exported.
#[derive(Clone, Default)]
pub struct Shelf {
    pub kept: Arc<Mutex<Vec<Kept>>>,
    pub metrics: Arc<Mutex<Vec<MetricData>>>,
    pub counters: Arc<PathCounters>,
}

impl Sink for Shelf {
    fn write(&mut self, kept: &Kept) {
        PathCounters::add(&self.counters.delivery.exported, kept.batch.num_rows() as u64);
        self.kept.lock().unwrap().push(kept.clone());
    }

    fn metrics(&mut self, metrics: &[MetricData]) {
        *self.metrics.lock().unwrap() = metrics.to_vec();
    }

    fn flush(&mut self) {}

    fn queue(&self) -> (u64, u64) {
        (0, 0)
    }
}

impl Shelf {
    /// Returns all values of a column, over all events of this name.
    pub fn values(&self, event: &str, column: usize) -> Vec<u64> {
        let kept = self.kept.lock().unwrap();
        let batches = kept.iter().filter(|kept| kept.schema.event == event);
        batches.flat_map(|kept| kept.batch.column(column).as_primitive::<UInt64Type>().values().to_vec()).collect()
    }
}
