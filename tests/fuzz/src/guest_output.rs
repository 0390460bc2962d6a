//! The results of a guest: every list of every call, before the host trusts it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt8Type;
use arrow_array::{Array, ArrayRef};
use host_model::{
    ColumnType, Condition, Field, FieldUse, Instrument, Layout, Member, MemberKind, Metric, NEVER, Schema, Sensitivity, Signal,
    Subject,
};
use host_plugin::fuzzing::{self, Returned};

use crate::draw::Draw;
use crate::is_printable;

/// Maximum number of rows of one decode.
const OUTPUT_ROWS: usize = 4096;

/// Checks that an accepted batch has as many rows as it claims, text that is UTF-8, and no offset out of bounds; that an accepted schema,
/// plan or layout keeps its own rules; and that each refusal has a printable reason.
///
/// # Panics
/// The check fails.
pub fn check(data: &[u8]) {
    let mut draw = Draw::new(data);
    match draw.below(5) {
        0 => decoded(&mut draw),
        1 => decisions(&mut draw),
        2 => bound(&mut draw),
        3 => planned(&mut draw),
        _ => expected(&mut draw),
    }
}

// === Answers ===

fn decoded(draw: &mut Draw<'_>) {
    let schema = Arc::new(Schema { event: "event".into(), signal: Signal::Log, fields: draw.list(plain), metrics: Vec::new() });
    let fields: Vec<usize> = (0..schema.fields.len()).collect();
    let (rows, records) = (draw.word(), draw.word());
    let undecodable = draw.list(Draw::word);
    let mut columns = Vec::new();
    while !draw.is_empty() && columns.len() <= fields.len() {
        columns.push(returned(draw, rows));
    }
    let copy = columns.clone();
    match fuzzing::decoded((rows, columns, undecodable), &schema, &fields, records, OUTPUT_ROWS) {
        Err(breach) => assert!(is_printable(&breach), "{breach:?}"),
        Ok(decoded) => {
            assert_eq!(decoded.batch.rows, rows as usize);
            assert!(decoded.undecodable.last().is_none_or(|&last| last < records));
            for ((&field, column), claimed) in fields.iter().zip(&schema.fields).zip(&copy) {
                let array = decoded.batch.column(field).unwrap();
                assert_eq!(array.len(), rows as usize);
                assert_eq!(array.data_type(), &column.column_type.data_type());
                believed(array, claimed);
            }
            assert_eq!(fuzzing::crosses(&decoded.batch, &fields), Some(copy), "what goes in is what came out");
        }
    }
}

/// Checks that the values of an array are those that were claimed, read without the checks of Arrow's own types.
fn believed(array: &ArrayRef, claimed: &Returned) {
    match claimed {
        Returned::Boolean(values) => {
            assert!(values.iter().all(|&value| value < 2));
            assert_eq!(array.as_primitive::<UInt8Type>().values(), values);
        }
        Returned::Text { offsets, bytes } => {
            for (row, ends) in offsets.windows(2).enumerate() {
                let text = std::str::from_utf8(&bytes[ends[0] as usize..ends[1] as usize]).unwrap();
                assert_eq!(array.as_string::<i32>().value(row), text);
            }
        }
        Returned::Bytes { offsets, bytes } => {
            for (row, ends) in offsets.windows(2).enumerate() {
                assert_eq!(array.as_binary::<i32>().value(row), &bytes[ends[0] as usize..ends[1] as usize]);
            }
        }
        Returned::U32(_) | Returned::U64(_) | Returned::I64(_) | Returned::F64(_) => {}
    }
}

fn decisions(draw: &mut Draw<'_>) {
    let rows = draw.word() as usize;
    match fuzzing::decisions(draw.list(Draw::long), draw.list(Draw::long), rows) {
        Err(breach) => assert!(is_printable(&breach), "{breach:?}"),
        Ok(decisions) => {
            assert!([1, rows].contains(&decisions.thresholds.len()));
            assert!([0, rows].contains(&decisions.randomness.len()));
            assert!(decisions.randomness.iter().all(|value| value >> 56 == 0));
        }
    }
}

/// Checks the results of `bind`: a decoder's schema, and the fields that a sampler wants.
fn bound(draw: &mut Draw<'_>) {
    let (fields, metrics) = (draw.list(field), draw.list(metric));
    let wanted = draw.list(Draw::word);
    let count = fields.len();
    match fuzzing::declared(&Schema { event: draw.text(200), signal: Signal::Span, fields, metrics }) {
        Err(error) => assert!(is_printable(&error), "{error:?}"),
        Ok(schema) => {
            assert_eq!(schema.fields.iter().filter(|field| field.field_use == FieldUse::Time).count(), 1);
            assert!(schema.fields.iter().all(|field| is_printable(&field.name) && is_printable(&field.unit)));
            assert!(schema.metrics.iter().all(|metric| is_printable(&metric.name) && is_printable(&metric.description)));
        }
    }
    match fuzzing::wanted(&wanted, count) {
        Err(breach) => assert!(is_printable(&breach), "{breach:?}"),
        Ok(wanted) => assert!(wanted.iter().all(|&field| field < count)),
    }
}

fn planned(draw: &mut Draw<'_>) {
    let rules = draw.list(|draw| (subject(draw), draw.long()));
    match fuzzing::plan(draw.long(), rules, draw.long()) {
        Err(error) => assert!(is_printable(&error), "{error:?}"),
        Ok(plan) => {
            let thresholds = plan.rules.iter().map(|rule| rule.threshold).chain([plan.default_threshold]);
            assert!(thresholds.into_iter().all(|threshold| threshold <= NEVER));
        }
    }
}

/// Checks the result of `expects` against the layout of an object.
fn expected(draw: &mut Draw<'_>) {
    if let Err(error) = fuzzing::expected(&layout(draw), &layout(draw)) {
        assert!(is_printable(&error), "{error:?}");
    }
}

// === Nouns ===

const COLUMN_TYPES: [ColumnType; 7] = [
    ColumnType::Boolean,
    ColumnType::U32,
    ColumnType::U64,
    ColumnType::I64,
    ColumnType::F64,
    ColumnType::Text,
    ColumnType::Bytes,
];

const USES: [FieldUse; 11] = [
    FieldUse::Plain,
    FieldUse::Time,
    FieldUse::Duration,
    FieldUse::Dimension,
    FieldUse::Body,
    FieldUse::Name,
    FieldUse::Kind,
    FieldUse::Error,
    FieldUse::TraceParent,
    FieldUse::Threshold,
    FieldUse::Correlation,
];

fn plain(draw: &mut Draw<'_>) -> Field {
    Field {
        name: "field".into(),
        column_type: COLUMN_TYPES[draw.below(COLUMN_TYPES.len())],
        unit: String::new(),
        field_use: FieldUse::Plain,
        sensitivity: Sensitivity::Public,
        omit_zero: false,
    }
}

fn field(draw: &mut Draw<'_>) -> Field {
    let sensitivity = [Sensitivity::Public, Sensitivity::Payload, Sensitivity::Identity][draw.below(3)];
    Field { name: draw.text(200), field_use: USES[draw.below(USES.len())], sensitivity, ..plain(draw) }
}

fn metric(draw: &mut Draw<'_>) -> Metric {
    let instrument = [Instrument::Counter, Instrument::Sum, Instrument::Histogram][draw.below(3)];
    let condition = |draw: &mut Draw<'_>| Condition { field: draw.below(8), equals: draw.word() };
    let (name, description, value) = (draw.text(200), draw.text(20), draw.word() as usize);
    let only = (0..draw.below(6)).map(|_| condition(draw)).collect();
    Metric { name, description, instrument, value, only }
}

fn subject(draw: &mut Draw<'_>) -> Subject {
    match draw.below(3) {
        0 => Subject::Pid(draw.word()),
        1 => Subject::Cgroup(draw.long()),
        _ => Subject::Comm(draw.text(40)),
    }
}

fn layout(draw: &mut Draw<'_>) -> Layout {
    const KINDS: [MemberKind; 4] = [MemberKind::Unsigned, MemberKind::Signed, MemberKind::Chars, MemberKind::Bytes];
    let member = |draw: &mut Draw<'_>| Member {
        name: draw.text(8),
        offset: draw.word(),
        size: draw.word(),
        kind: KINDS[draw.below(KINDS.len())],
    };
    Layout { name: draw.text(8), size: draw.word(), members: draw.list(member) }
}

/// Returns a column: mostly of the right length, so that code behind that check is reached.
fn returned(draw: &mut Draw<'_>, rows: u32) -> Returned {
    let kind = draw.byte();
    let count = if kind & 0x80 == 0 { rows.min(OUTPUT_ROWS as u32) as usize } else { draw.byte().into() };
    match kind % 7 {
        0 => Returned::Boolean((0..count).map(|_| draw.byte()).collect()),
        1 => Returned::U32((0..count).map(|_| draw.word()).collect()),
        2 => Returned::U64((0..count).map(|_| draw.long()).collect()),
        3 => Returned::I64((0..count).map(|_| draw.long().cast_signed()).collect()),
        // No NaN: it does not equal itself.
        4 => Returned::F64((0..count).map(|_| f64::from(draw.word())).collect()),
        5 => {
            let (offsets, bytes) = values(draw, count);
            Returned::Text { offsets, bytes }
        }
        _ => {
            let (offsets, bytes) = values(draw, count);
            Returned::Bytes { offsets, bytes }
        }
    }
}

/// Returns offsets that rise by the drawn numbers, or are the drawn numbers.
fn values(draw: &mut Draw<'_>, count: usize) -> (Vec<u32>, Vec<u8>) {
    let any = draw.byte() & 1 == 1;
    let bytes = draw.bytes(4096).to_vec();
    let mut end = 0;
    let mut offsets = vec![if any { draw.word() } else { 0 }];
    for row in 0..count {
        let drawn = draw.word();
        end = if any { drawn } else { (end + drawn % 8).min(u32::try_from(bytes.len()).unwrap_or(u32::MAX)) };
        offsets.push(if !any && row + 1 == count { u32::try_from(bytes.len()).unwrap_or(u32::MAX) } else { end });
    }
    (offsets, bytes)
}
