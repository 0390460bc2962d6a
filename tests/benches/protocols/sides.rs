//! The two sides: a component in its sandbox, and its code compiled into this program.

use std::sync::Arc;

use arrow_array::types::{Float64Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, BinaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use host_model::{Digest, FieldUse, Layout, Member, MemberKind, PluginId, Run};
use host_plugin::{Component, Engine, Setup};
use plugin_sdk::conversation::{Conversations, Protocol};
use plugin_sdk::testing::decoder;
use plugin_sdk::{Column, Decoder as _, RecordLayout, Values};

use crate::ONE_IN;

/// One side.
pub(crate) trait Side {
    /// Decodes all columns of all rows of a run.
    fn all(&mut self, run: Run<'_>) -> Vec<ArrayRef>;
    /// Does the path's work on a run.
    fn turn(&mut self, run: Run<'_>);
}

struct Native<P: Protocol> {
    decoder: Conversations<P>,
    wanted: Vec<u32>,
    others: Vec<u32>,
}

struct Sandboxed {
    decoder: Box<dyn host_model::Decoder>,
    wanted: Vec<usize>,
    others: Vec<usize>,
}

/// Creates the decoder of a protocol, natively.
pub(crate) fn native(protocol: &str) -> Box<dyn Side> {
    match protocol {
        "http" => of::<decoder_http::Http>(),
        "http2" => of::<decoder_http2::Http2>(),
        "redis" => of::<decoder_redis::Redis>(),
        "memcached" => of::<decoder_memcached::Memcached>(),
        "dns" => of::<decoder_dns::Dns>(),
        "postgresql" => of::<decoder_postgresql::PostgreSql>(),
        "mysql" => of::<decoder_mysql::MySql>(),
        other => panic!("nobody decodes {other}"),
    }
}

/// Creates its component.
pub(crate) fn sandboxed(engine: &Engine, protocol: &str) -> Box<dyn Side> {
    let name = format!("decoder-{protocol}");
    // Components of another build, for a comparison.
    let component = match std::env::var("PROTOCOLS_FROM") {
        Ok(folder) => Component::compile(engine, &std::fs::read(format!("{folder}/{name}.wasm")).unwrap(), &name).unwrap(),
        Err(_) => Component::compile(engine, plugins::component(&name).unwrap().bytes, &name).unwrap(),
    };
    let id = PluginId {
        slot: name.as_str().into(),
        name: name.as_str().into(),
        version: "0.1.0".into(),
        digest: Digest([0; 32]),
        generation: 1,
    };
    let layout = layout(&<Conversations<decoder_http::Http> as plugin_sdk::Decoder>::expects("l7").unwrap());
    let decoder = component.decoder(id, "l7", &layout, Setup::default()).unwrap();
    let fields = &decoder.schema().fields;
    let is_wanted = |field: &host_model::Field| is_wanted(field.field_use);
    let wanted = (0..fields.len()).filter(|&field| is_wanted(&fields[field])).collect();
    let others = (0..fields.len()).filter(|&field| !is_wanted(&fields[field])).collect();
    Box::new(Sandboxed { decoder, wanted, others })
}

/// Whether metrics or the sampler read the field.
fn is_wanted(field_use: FieldUse) -> bool {
    use FieldUse::{Correlation, Dimension, Duration, Error, Kind, Time, TraceParent};
    matches!(field_use, Time | Duration | Kind | Error | Dimension | Correlation | TraceParent)
}

fn of<P: Protocol>() -> Box<dyn Side> {
    use plugin_sdk::FieldUse::{Correlation, Dimension, Duration, Error, Kind, Time, TraceParent};
    let decoder = decoder::<P>("{}");
    let is_wanted = |field: &plugin_sdk::Field| {
        matches!(field.use_, Time | Duration | Kind | Error | Dimension | Correlation | TraceParent)
    };
    let fields = &decoder.schema().fields;
    let places = |is: bool| (0..).zip(fields).filter(|(_, field)| is_wanted(field) == is).map(|(place, _)| place).collect();
    let (wanted, others) = (places(true), places(false));
    Box::new(Native { decoder, wanted, others })
}

/// Returns one row in ten.
fn kept(rows: usize) -> Vec<u32> {
    (0..rows as u32).step_by(ONE_IN).collect()
}

// === impl Side ===

impl<P: Protocol> Side for Native<P> {
    fn all(&mut self, run: Run<'_>) -> Vec<ArrayRef> {
        let fields: Vec<u32> = (0..self.decoder.schema().fields.len() as u32).collect();
        self.decoder.decode(run.bytes, &fields).unwrap().columns.into_iter().map(array).collect()
    }

    fn turn(&mut self, run: Run<'_>) {
        let decoded = self.decoder.decode(run.bytes, &self.wanted).unwrap();
        let others = self.decoder.complete(run.bytes, &kept(decoded.rows as usize), &self.others).unwrap();
        let arrays: Vec<_> = decoded.columns.into_iter().chain(others).map(array).collect();
        drop(std::hint::black_box(arrays));
    }
}

impl Side for Sandboxed {
    fn all(&mut self, run: Run<'_>) -> Vec<ArrayRef> {
        let fields: Vec<usize> = (0..self.decoder.schema().fields.len()).collect();
        let batch = self.decoder.decode(run, &fields).unwrap().batch;
        fields.into_iter().map(|field| Arc::clone(batch.column(field).unwrap())).collect()
    }

    fn turn(&mut self, run: Run<'_>) {
        let decoded = self.decoder.decode(run, &self.wanted).unwrap();
        let others = self.decoder.complete(&kept(decoded.batch.rows), &self.others).unwrap();
        drop(std::hint::black_box((decoded, others)));
    }
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

/// Converts a layout to the host's type.
fn layout(layout: &RecordLayout) -> Layout {
    let kind = |kind| match kind {
        plugin_sdk::MemberKind::Unsigned => MemberKind::Unsigned,
        plugin_sdk::MemberKind::Signed => MemberKind::Signed,
        plugin_sdk::MemberKind::Chars => MemberKind::Chars,
        plugin_sdk::MemberKind::Bytes => MemberKind::Bytes,
    };
    let member = |member: &plugin_sdk::Member| Member {
        name: member.name.clone(),
        offset: member.offset,
        size: member.size,
        kind: kind(member.kind),
    };
    Layout { name: layout.name.clone(), size: layout.size, members: layout.members.iter().map(member).collect() }
}
