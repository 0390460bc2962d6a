//! The plugins' own code without the sandbox: compiled natively into the host, behind the same stage traits. It shows the cost of a host
//! with built-in policies.

use std::cell::RefCell;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;
use host_model::{
    Batch, CallStats, Decisions, Decoded, Decoder, Fault, KernelPlan, Plugin, PluginId, Run, Sampler, Schema, State, Stats,
};
use plugin_sdk::{Column, Columns, Config, Decoder as _, EventSchema, RecordLayout, Values};

/// The identity and the cost of the calls, which every stage has.
pub(crate) struct Identity {
    id: PluginId,
    stats: Arc<CallStats>,
}

thread_local! {
    /// The decoder of this thread: plugins are single-threaded, so it is created on the thread that uses it.
    static DECODER: RefCell<Option<decoder_file::Decoder>> = const { RefCell::new(None) };
}

/// `decoder-file` without the sandbox.
pub(crate) struct NativeDecoder {
    identity: Identity,
    layout: RecordLayout,
    schema: Arc<Schema>,
    /// All runs of the benchmark. `complete` reads the last one in place: natively, nothing needs to be copied.
    tape: &'static [u8],
    run: &'static [u8],
}

/// A sampler without the sandbox.
pub(crate) struct NativeSampler<S> {
    identity: Identity,
    sampler: S,
    wanted: Vec<usize>,
}

// === impl NativeDecoder ===

impl NativeDecoder {
    pub(crate) fn new(layout: &host_model::Layout, schema: Arc<Schema>, tape: &'static [u8]) -> Self {
        Self { identity: Identity::new("decoder.file"), layout: sdk_layout(layout), schema, tape, run: &[] }
    }

    fn with<T>(&self, call: impl FnOnce(&mut decoder_file::Decoder) -> T) -> T {
        DECODER.with_borrow_mut(|decoder| {
            let bind = || plugin_sdk::Decoder::bind("file", &self.layout, Config::new("{}")).unwrap();
            call(decoder.get_or_insert_with(bind))
        })
    }
}

impl Decoder for NativeDecoder {
    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn decode(&mut self, run: Run<'_>, fields: &[usize]) -> Result<Decoded, Fault> {
        let start = run.bytes.as_ptr().addr() - self.tape.as_ptr().addr();
        self.run = &self.tape[start..start + run.bytes.len()];
        let decoded = self.with(|decoder| decoder.decode(self.run, &indices(fields)).unwrap());
        let mut batch = Batch::new(Arc::clone(&self.schema), decoded.rows as usize);
        batch.put(fields, decoded.columns.into_iter().map(array).collect());
        Ok(Decoded { batch, undecodable: decoded.undecodable })
    }

    fn complete(&mut self, rows: &[u32], fields: &[usize]) -> Result<Vec<ArrayRef>, Fault> {
        let columns = self.with(|decoder| decoder.complete(self.run, rows, &indices(fields)).unwrap());
        Ok(columns.into_iter().map(array).collect())
    }
}

impl Plugin for NativeDecoder {
    fn id(&self) -> &PluginId {
        &self.identity.id
    }
    fn stats(&self) -> &Arc<CallStats> {
        &self.identity.stats
    }
    fn export_state(&mut self) -> Result<Option<State>, Fault> {
        Ok(None)
    }
    fn import_state(&mut self, _: &State) -> Result<bool, Fault> {
        Ok(false)
    }
}

// === impl NativeSampler ===

impl<S: plugin_sdk::Sampler> NativeSampler<S> {
    pub(crate) fn bind(schema: &EventSchema, config: &str) -> Self {
        let sampler = S::bind(schema, Config::new(config)).unwrap();
        let wanted = sampler.wanted().into_iter().map(|field| field as usize).collect();
        Self { identity: Identity::new("sampler"), sampler, wanted }
    }
}

impl<S: plugin_sdk::Sampler + Send> Sampler for NativeSampler<S> {
    fn wanted(&self) -> &[usize] {
        &self.wanted
    }

    fn decide(&mut self, batch: &Batch) -> Result<Decisions, Fault> {
        let columns = self.wanted.iter().map(|&field| column(batch.column(field).unwrap())).collect();
        let decisions = self.sampler.decide(&Columns::new(batch.rows, columns)).unwrap();
        Ok(Decisions { thresholds: decisions.thresholds, randomness: decisions.randomness })
    }

    fn tune(&mut self, _: &Stats) -> Result<Option<KernelPlan>, Fault> {
        Ok(None)
    }
}

impl<S: Send> Plugin for NativeSampler<S> {
    fn id(&self) -> &PluginId {
        &self.identity.id
    }
    fn stats(&self) -> &Arc<CallStats> {
        &self.identity.stats
    }
    fn export_state(&mut self) -> Result<Option<State>, Fault> {
        Ok(None)
    }
    fn import_state(&mut self, _: &State) -> Result<bool, Fault> {
        Ok(false)
    }
}

// === impl Identity ===

impl Identity {
    pub(crate) fn new(slot: &str) -> Self {
        let digest = host_model::Digest([0; 32]);
        let id = PluginId { slot: slot.into(), name: "native".into(), version: "0.1.0".into(), digest, generation: 1 };
        Self { id, stats: Arc::default() }
    }

    pub(crate) const fn id(&self) -> &PluginId {
        &self.id
    }

    pub(crate) const fn stats(&self) -> &Arc<CallStats> {
        &self.stats
    }
}

fn indices(fields: &[usize]) -> Vec<u32> {
    fields.iter().map(|&field| u32::try_from(field).unwrap()).collect()
}

/// Makes an array of the vectors; offsets and text are checked as Arrow always checks them.
fn array(column: Column) -> ArrayRef {
    fn parts(values: Values) -> (OffsetBuffer<i32>, Buffer) {
        (OffsetBuffer::new(ScalarBuffer::from(Buffer::from_vec(values.offsets))), Buffer::from_vec(values.bytes))
    }
    match column {
        Column::Boolean(values) => Arc::new(PrimitiveArray::<UInt8Type>::new(ScalarBuffer::from(values), None)),
        Column::U32(values) => Arc::new(PrimitiveArray::<UInt32Type>::new(ScalarBuffer::from(values), None)),
        Column::U64(values) => Arc::new(PrimitiveArray::<UInt64Type>::new(ScalarBuffer::from(values), None)),
        Column::I64(values) => Arc::new(PrimitiveArray::<Int64Type>::new(ScalarBuffer::from(values), None)),
        Column::F64(values) => Arc::new(PrimitiveArray::<Float64Type>::new(ScalarBuffer::from(values), None)),
        Column::Text(values) => {
            let (offsets, bytes) = parts(values);
            Arc::new(StringArray::try_new(offsets, bytes, None).unwrap())
        }
        Column::Bytes(values) => {
            let (offsets, bytes) = parts(values);
            Arc::new(BinaryArray::try_new(offsets, bytes, None).unwrap())
        }
    }
}

/// Copies an array into the type of the plugins' code.
fn column(array: &ArrayRef) -> Column {
    match array.data_type() {
        DataType::UInt32 => Column::U32(array.as_primitive::<UInt32Type>().values().to_vec()),
        DataType::UInt64 => Column::U64(array.as_primitive::<UInt64Type>().values().to_vec()),
        DataType::Utf8 => {
            let text = array.as_string::<i32>();
            let offsets = text.offsets().inner().inner().typed_data::<u32>().to_vec();
            let bytes = text.values()[..*offsets.last().unwrap() as usize].to_vec();
            Column::Text(Values { offsets, bytes })
        }
        other => panic!("no plugin here reads {other}"),
    }
}

/// Converts a layout to the type of the plugins.
pub(crate) fn sdk_layout(layout: &host_model::Layout) -> RecordLayout {
    let kind = |kind| match kind {
        host_model::MemberKind::Unsigned => plugin_sdk::MemberKind::Unsigned,
        host_model::MemberKind::Signed => plugin_sdk::MemberKind::Signed,
        host_model::MemberKind::Chars => plugin_sdk::MemberKind::Chars,
        host_model::MemberKind::Bytes => plugin_sdk::MemberKind::Bytes,
    };
    let member = |member: &host_model::Member| plugin_sdk::Member {
        name: member.name.clone(),
        offset: member.offset,
        size: member.size,
        kind: kind(member.kind),
    };
    RecordLayout { name: layout.name.clone(), size: layout.size, members: layout.members.iter().map(member).collect() }
}

/// Converts a layout back.
pub(crate) fn model_layout(layout: &RecordLayout) -> host_model::Layout {
    let kind = |kind| match kind {
        plugin_sdk::MemberKind::Unsigned => host_model::MemberKind::Unsigned,
        plugin_sdk::MemberKind::Signed => host_model::MemberKind::Signed,
        plugin_sdk::MemberKind::Chars => host_model::MemberKind::Chars,
        plugin_sdk::MemberKind::Bytes => host_model::MemberKind::Bytes,
    };
    let member = |member: &plugin_sdk::Member| host_model::Member {
        name: member.name.clone(),
        offset: member.offset,
        size: member.size,
        kind: kind(member.kind),
    };
    host_model::Layout { name: layout.name.clone(), size: layout.size, members: layout.members.iter().map(member).collect() }
}
