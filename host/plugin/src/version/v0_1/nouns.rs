//! Converts the types of `wit/v0.1` to the host's, and back. Text of guests is made printable here.

use host_model::{
    ColumnType, Condition, Description, Field, FieldUse, Instrument, KernelPlan, Layout, Member, MemberKind, Metric, Rule,
    Schema, Sender, Sensitivity, Signal, Signature, Stats, Subject, Threshold, Transport, printable,
};

use super::exports::probe::plugin::{protocol, sampler};
use super::probe::plugin::{columns, layout, schema};

/// Maximum length of a description or a unit, in bytes; the rest is cut.
const TEXT: usize = 256;

/// Converts two enums with the same cases, both ways.
macro_rules! same {
    ($ours:ident, $theirs:path, $into:ident, $from:ident, $($case:ident),+) => {
        pub(crate) const fn $into(value: $ours) -> $theirs {
            use $theirs as Theirs;
            match value {
                $($ours::$case => Theirs::$case,)+
            }
        }

        pub(crate) const fn $from(value: $theirs) -> $ours {
            use $theirs as Theirs;
            match value {
                $(Theirs::$case => $ours::$case,)+
            }
        }
    };
}

same!(ColumnType, columns::ColumnType, column_type_out, column_type, Boolean, U32, U64, I64, F64, Text, Bytes);
same!(
    FieldUse,
    schema::FieldUse,
    field_use_out,
    field_use,
    Plain,
    Time,
    Duration,
    Dimension,
    Body,
    Name,
    Kind,
    Error,
    TraceParent,
    Threshold,
    Correlation
);
same!(Sensitivity, schema::Sensitivity, sensitivity_out, sensitivity, Public, Payload, Identity);
same!(Instrument, schema::Instrument, instrument_out, instrument, Counter, Sum, Histogram);
same!(Signal, schema::Signal, signal_out, signal, Span, Log, None);
same!(MemberKind, layout::MemberKind, member_kind_out, member_kind, Unsigned, Signed, Chars, Bytes);

/// Converts the description of a protocol; not checked yet.
pub(crate) fn description(described: protocol::Description) -> Description {
    let protocol::Description { name, signatures, ports, capture_bytes } = described;
    Description { name, signatures: signatures.into_iter().map(signature).collect(), ports, capture_bytes }
}

fn signature(signature: protocol::Signature) -> Signature {
    let protocol::Signature { sender, transport, offset, bytes, mask, port, certain } = signature;
    let sender = match sender {
        protocol::Sender::Either => Sender::Either,
        protocol::Sender::Client => Sender::Client,
        protocol::Sender::Server => Sender::Server,
    };
    let transport = match transport {
        protocol::Transport::Either => Transport::Either,
        protocol::Transport::Tcp => Transport::Tcp,
        protocol::Transport::Udp => Transport::Udp,
    };
    Signature { sender, transport, offset, bytes, mask, port, certain }
}

/// Converts a layout's members for `bind`.
pub(crate) fn members(layout: &Layout) -> Vec<layout::MemberParam<'_>> {
    layout
        .members
        .iter()
        .map(|of| layout::MemberParam { name: &of.name, offset: of.offset, size: of.size, kind: member_kind_out(of.kind) })
        .collect()
}

/// Converts the layout that a decoder expects.
pub(crate) fn layout(layout: layout::RecordLayoutResult) -> Layout {
    let member = |member: layout::MemberResult| Member {
        name: printable(&member.name, TEXT),
        offset: member.offset,
        size: member.size,
        kind: member_kind(member.kind),
    };
    Layout { name: printable(&layout.name, TEXT), size: layout.size, members: layout.members.into_iter().map(member).collect() }
}

/// Converts the schema that a decoder declares; not checked yet.
pub(crate) fn schema(schema: schema::EventSchemaResult) -> Schema {
    let condition = |of: schema::Condition| Condition { field: of.field as usize, equals: of.equals };
    let metric = |metric: schema::MetricResult| Metric {
        name: metric.name,
        description: printable(&metric.description, TEXT),
        instrument: instrument(metric.instrument),
        value: metric.value as usize,
        only: metric.only.into_iter().map(condition).collect(),
    };
    Schema {
        event: schema.event,
        signal: signal(schema.signal),
        fields: schema.fields.into_iter().map(field).collect(),
        metrics: schema.metrics.into_iter().map(metric).collect(),
    }
}

/// Converts a field that a guest declares; not checked yet.
pub(crate) fn field(field: schema::FieldResult) -> Field {
    Field {
        name: field.name,
        column_type: column_type(field.column_type),
        unit: printable(&field.unit, TEXT),
        field_use: field_use(field.use_),
        sensitivity: sensitivity(field.sensitivity),
        omit_zero: field.omit_zero,
    }
}

/// Converts a schema's fields for `bind`.
pub(crate) fn fields(schema: &Schema) -> Vec<schema::FieldParam<'_>> {
    schema
        .fields
        .iter()
        .map(|of| schema::FieldParam {
            name: &of.name,
            column_type: column_type_out(of.column_type),
            unit: &of.unit,
            use_: field_use_out(of.field_use),
            sensitivity: sensitivity_out(of.sensitivity),
            omit_zero: of.omit_zero,
        })
        .collect()
}

/// Converts the conditions of each of a schema's metrics, which [`metrics`] borrows.
pub(crate) fn conditions(schema: &Schema) -> Vec<Vec<schema::Condition>> {
    let condition =
        |of: &Condition| schema::Condition { field: u32::try_from(of.field).unwrap_or(u32::MAX), equals: of.equals };
    schema.metrics.iter().map(|of| of.only.iter().map(condition).collect()).collect()
}

/// Converts a schema's metrics with their [`conditions`] for `bind`.
pub(crate) fn metrics<'a>(schema: &'a Schema, conditions: &'a [Vec<schema::Condition>]) -> Vec<schema::MetricParam<'a>> {
    let metrics = schema.metrics.iter().zip(conditions);
    metrics
        .map(|(of, only)| schema::MetricParam {
            name: &of.name,
            description: &of.description,
            instrument: instrument_out(of.instrument),
            value: u32::try_from(of.value).unwrap_or(u32::MAX),
            only,
        })
        .collect()
}

/// Converts the host's measurements for `tune`.
pub(crate) const fn stats(stats: &Stats) -> sampler::Stats {
    sampler::Stats {
        elapsed_ns: stats.elapsed_ns,
        produced: stats.produced,
        lost_in_ring: stats.lost_in_ring,
        filtered_in_kernel: stats.filtered_in_kernel,
        rows: stats.rows,
        kept: stats.kept,
        queue_bytes: stats.queue_bytes,
        queue_cap_bytes: stats.queue_cap_bytes,
    }
}

/// Converts the plan that a sampler returned; not checked yet.
pub(crate) fn plan(plan: sampler::KernelPlan) -> KernelPlan {
    let rule = |rule: sampler::Rule| Rule {
        subject: match rule.subject {
            sampler::Subject::Pid(pid) => Subject::Pid(pid),
            sampler::Subject::Cgroup(id) => Subject::Cgroup(id),
            sampler::Subject::Comm(comm) => Subject::Comm(comm),
        },
        threshold: Threshold::new(rule.threshold),
    };
    KernelPlan {
        default_threshold: Threshold::new(plan.default_threshold),
        rules: plan.rules.into_iter().map(rule).collect(),
        min_duration_ns: plan.min_duration_ns,
    }
}
