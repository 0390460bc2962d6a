//! A path without a kernel and without wasmtime: a ring that is a vector, plugins that are a few lines.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its share")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, StringArray, UInt64Array};
use host_model::stage::Plugin;
use host_model::{
    Added, Batch, CallStats, ColumnType, Decisions, Decoded, Decoder, Digest, Enricher, Fault, FaultKind, Field, FieldUse,
    Instrument, Kept, KernelCounters, KernelPlan, Metric, MetricData, PathCounters, PlanError, PluginId, Run, Sampler, Schema,
    Sensitivity, Signal, Sink, Source, State, Stats, Waker,
};

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

/// Who a fake is. `faulty` makes its calls fail while it is set.
pub struct Base {
    id: PluginId,
    stats: Arc<CallStats>,
    pub faulty: Arc<AtomicBool>,
    pub state: Arc<AtomicU64>,
    pub stateful: bool,
}

impl Base {
    pub fn new(slot: &str) -> Self {
        let id = PluginId { slot: slot.into(), name: slot.into(), version: "1".into(), digest: Digest([0; 32]), generation: 1 };
        Self { id, stats: Arc::default(), faulty: Arc::default(), state: Arc::default(), stateful: false }
    }

    fn check(&self, step: &'static str) -> Result<(), Fault> {
        if self.faulty.load(SeqCst) {
            return Err(Fault { plugin: self.id.clone(), step, kind: FaultKind::Trap, detail: "as asked".into() });
        }
        Ok(())
    }

    fn export_state(&self) -> Option<State> {
        self.stateful.then(|| State { version: 1, bytes: self.state.load(SeqCst).to_le_bytes().to_vec() })
    }

    fn import_state(&self, state: &State) -> bool {
        self.state.store(u64::from_le_bytes(state.bytes.clone().try_into().unwrap()), SeqCst);
        self.stateful
    }
}

macro_rules! plugin {
    ($($fake:ty),*) => { $(impl Plugin for $fake {
        fn id(&self) -> &PluginId { &self.0.id }
        fn stats(&self) -> &Arc<CallStats> { &self.0.stats }
        fn export_state(&mut self) -> Result<Option<State>, Fault> { Ok(self.0.export_state()) }
        fn import_state(&mut self, state: &State) -> Result<bool, Fault> { Ok(self.0.import_state(state)) }
    })* };
}
plugin!(Numbers, Keep, Tag);

pub fn field(name: &str, column_type: ColumnType, field_use: FieldUse) -> Field {
    Field { name: name.into(), column_type, unit: String::new(), field_use, sensitivity: Sensitivity::Public, omit_zero: false }
}

/// Decodes a u64 into the fields `time` and `value`. `event` names its schema.
pub struct Numbers(pub Base, Arc<Schema>, Vec<u64>);

pub fn numbers(event: &str) -> Numbers {
    let schema = Schema {
        event: event.into(),
        signal: Signal::Log,
        fields: vec![field("time", ColumnType::U64, FieldUse::Time), field("value", ColumnType::U64, FieldUse::Plain)],
        metrics: vec![Metric { name: "rows".into(), description: String::new(), instrument: Instrument::Counter, value: 0 }],
    };
    Numbers(Base::new("decoder.fake"), Arc::new(schema), Vec::new())
}

impl Decoder for Numbers {
    fn schema(&self) -> &Arc<Schema> {
        &self.1
    }

    fn decode(&mut self, run: Run<'_>, fields: &[usize]) -> Result<Decoded, Fault> {
        self.0.check("decode")?;
        let values: Vec<u64> = run.iter().map(|record| u64::from_le_bytes(record.try_into().unwrap())).collect();
        let undecodable = (0..).zip(&values).filter(|(_, value)| **value == u64::MAX).map(|(index, _)| index).collect();
        self.2 = values.into_iter().filter(|&value| value != u64::MAX).collect();
        let mut batch = Batch::new(Arc::clone(&self.1), self.2.len());
        let column: ArrayRef = Arc::new(UInt64Array::from(self.2.clone()));
        batch.put(fields, vec![column; fields.len()]);
        Ok(Decoded { batch, undecodable })
    }

    fn complete(&mut self, rows: &[u32], fields: &[usize]) -> Result<Vec<ArrayRef>, Fault> {
        self.0.check("complete")?;
        let column: ArrayRef = Arc::new(UInt64Array::from_iter_values(rows.iter().map(|&row| self.2[row as usize])));
        Ok(vec![column; fields.len()])
    }
}

/// Keeps rows whose value is divisible; counts in its state what it has seen.
pub struct Keep(pub Base, pub u64, pub Option<KernelPlan>);

pub fn keep(divisor: u64) -> Keep {
    Keep(Base::new("sampler"), divisor, None)
}

impl Sampler for Keep {
    fn wanted(&self) -> &[usize] {
        &[1]
    }

    fn decide(&mut self, batch: &Batch) -> Result<Decisions, Fault> {
        self.0.check("decide")?;
        self.0.state.fetch_add(batch.rows as u64, SeqCst);
        let values = batch.column(1).unwrap().as_primitive::<UInt64Type>();
        let thresholds = values.values().iter().map(|value| if value % self.1 == 0 { 0 } else { u64::MAX }).collect();
        Ok(Decisions { thresholds, randomness: Vec::new() })
    }

    fn tune(&mut self, _: &Stats) -> Result<Option<KernelPlan>, Fault> {
        Ok(self.2.take())
    }
}

/// Adds the column `tag`.
pub struct Tag(pub Base, pub &'static str, Vec<Field>);

pub fn tag(name: &'static str) -> Tag {
    Tag(Base::new("enricher.tag"), name, vec![field("tag", ColumnType::Text, FieldUse::Plain)])
}

impl Enricher for Tag {
    fn wanted(&self) -> &[usize] {
        &[]
    }

    fn added(&self) -> &[Field] {
        &self.2
    }

    fn enrich(&mut self, batch: &Batch) -> Result<Added, Fault> {
        self.0.check("enrich")?;
        Ok(vec![Arc::new(StringArray::from(vec![self.1; batch.rows]))])
    }
}

/// Keeps what it is given, and counts it as exported.
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
    /// All values of a column, over all events of this name.
    pub fn values(&self, event: &str, column: usize) -> Vec<u64> {
        let kept = self.kept.lock().unwrap();
        let batches = kept.iter().filter(|kept| kept.schema.event == event);
        batches.flat_map(|kept| kept.batch.column(column).as_primitive::<UInt64Type>().values().to_vec()).collect()
    }
}
