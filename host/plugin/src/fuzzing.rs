//! Runs the checks of guests' answers on arbitrary answers, without a guest. For `tests/fuzz`; not part of this crate's API.

use std::sync::Arc;

use host_model::{Batch, Decisions, Decoded, Field, KernelPlan, Layout, Schema, Subject, printable};

use crate::breach::Breach;
use crate::version::v0_1::exports::probe::plugin::{decoder, sampler};
use crate::version::v0_1::nouns;
use crate::version::v0_1::probe::plugin::columns::{ColumnResult, ValuesResult};
use crate::version::v0_1::probe::plugin::{layout, schema};
use crate::{columns, decoder as decoding, sampler as sampling};

/// A column as a guest returns it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the cases of `column` in wit/v0.1/columns.wit")]
pub enum Returned {
    Boolean(Vec<u8>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
    Text { offsets: Vec<u32>, bytes: Vec<u8> },
    Bytes { offsets: Vec<u32>, bytes: Vec<u8> },
}

/// Checks an answer to `decode`: rows, columns, undecodable records.
///
/// # Errors
/// The first breach.
pub fn decoded(
    (rows, columns, undecodable): (u32, Vec<Returned>, Vec<u32>),
    schema: &Arc<Schema>,
    fields: &[usize],
    records: u32,
    output_rows: usize,
) -> Result<Decoded, String> {
    let columns = columns.into_iter().map(Returned::into_result).collect();
    let answer = decoder::Decoded { rows, columns, undecodable };
    decoding::checked(answer, schema, fields, records, output_rows).map_err(|breach| told(&breach))
}

/// Checks an answer to `decide`.
///
/// # Errors
/// The first breach.
pub fn decisions(thresholds: Vec<u64>, randomness: Vec<u64>, rows: usize) -> Result<Decisions, String> {
    sampling::checked(sampler::Decisions { thresholds, randomness }, rows).map_err(|breach| told(&breach))
}

/// Checks the fields that a sampler or an enricher wants.
///
/// # Errors
/// The first breach.
pub fn wanted(indices: &[u32], fields: usize) -> Result<Vec<usize>, String> {
    columns::wanted(indices, fields).map_err(|breach| told(&breach))
}

/// Checks an answer to a decoder's `bind`, and returns it as the host stores it; without the limit on metrics.
///
/// # Errors
/// The first breach.
pub fn declared(schema: &Schema) -> Result<Schema, String> {
    let metric = |(metric, only): (&host_model::Metric, Vec<schema::Condition>)| schema::MetricResult {
        name: metric.name.clone(),
        description: metric.description.clone(),
        instrument: nouns::instrument_out(metric.instrument),
        value: u32::try_from(metric.value).unwrap_or(u32::MAX),
        only,
    };
    let answer = schema::EventSchemaResult {
        event: schema.event.clone(),
        signal: nouns::signal_out(schema.signal),
        fields: schema.fields.iter().map(declared_field).collect(),
        metrics: schema.metrics.iter().zip(nouns::conditions(schema)).map(metric).collect(),
    };
    let schema = nouns::schema(answer);
    schema.check().map_err(|error| told(&error.into()))?;
    Ok(schema)
}

/// Compares an answer to `expects` with an object's layout.
///
/// # Errors
/// The first difference.
pub fn expected(is: &Layout, expects: &Layout) -> Result<(), String> {
    let member = |member: &host_model::Member| layout::MemberResult {
        name: member.name.clone(),
        offset: member.offset,
        size: member.size,
        kind: nouns::member_kind_out(member.kind),
    };
    let members = expects.members.iter().map(member).collect();
    let answer = layout::RecordLayoutResult { name: expects.name.clone(), size: expects.size, members };
    is.satisfies(&nouns::layout(answer)).map_err(|mismatch| printable(&mismatch.to_string(), 512))
}

/// Checks an answer to `tune`: a default threshold, rules, and the minimum duration.
///
/// # Errors
/// The first breach.
pub fn plan(default_threshold: u64, rules: Vec<(Subject, u64)>, min_duration_ns: u64) -> Result<KernelPlan, String> {
    let rule = |(subject, threshold)| {
        let subject = match subject {
            Subject::Pid(pid) => sampler::Subject::Pid(pid),
            Subject::Cgroup(id) => sampler::Subject::Cgroup(id),
            Subject::Comm(comm) => sampler::Subject::Comm(comm),
        };
        sampler::Rule { subject, threshold }
    };
    let rules = rules.into_iter().map(rule).collect();
    let plan = nouns::plan(sampler::KernelPlan { default_threshold, rules, min_duration_ns });
    plan.check().map_err(|error| told(&error.into()))?;
    Ok(plan)
}

/// Returns the columns of a batch as they are passed to the next guest.
#[must_use]
pub fn crosses(batch: &Batch, fields: &[usize]) -> Option<Vec<Returned>> {
    fields.iter().map(|&field| columns::copy(batch.column(field)?).map(Returned::from)).collect()
}

fn declared_field(field: &Field) -> schema::FieldResult {
    schema::FieldResult {
        name: field.name.clone(),
        column_type: nouns::column_type_out(field.column_type),
        unit: field.unit.clone(),
        use_: nouns::field_use_out(field.field_use),
        sensitivity: nouns::sensitivity_out(field.sensitivity),
        omit_zero: field.omit_zero,
    }
}

/// Formats a breach as a fault does.
fn told(breach: &Breach) -> String {
    printable(&breach.to_string(), 512)
}

// === impl Returned ===

impl Returned {
    fn into_result(self) -> ColumnResult {
        match self {
            Self::Boolean(values) => ColumnResult::Boolean(values),
            Self::U32(values) => ColumnResult::U32(values),
            Self::U64(values) => ColumnResult::U64(values),
            Self::I64(values) => ColumnResult::I64(values),
            Self::F64(values) => ColumnResult::F64(values),
            Self::Text { offsets, bytes } => ColumnResult::Text(ValuesResult { offsets, bytes }),
            Self::Bytes { offsets, bytes } => ColumnResult::Bytes(ValuesResult { offsets, bytes }),
        }
    }
}

impl From<ColumnResult> for Returned {
    fn from(column: ColumnResult) -> Self {
        match column {
            ColumnResult::Boolean(values) => Self::Boolean(values),
            ColumnResult::U32(values) => Self::U32(values),
            ColumnResult::U64(values) => Self::U64(values),
            ColumnResult::I64(values) => Self::I64(values),
            ColumnResult::F64(values) => Self::F64(values),
            ColumnResult::Text(ValuesResult { offsets, bytes }) => Self::Text { offsets, bytes },
            ColumnResult::Bytes(ValuesResult { offsets, bytes }) => Self::Bytes { offsets, bytes },
        }
    }
}
