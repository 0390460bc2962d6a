//! A row as an OTLP span.

use host_model::{SpanKind, Threshold};

use crate::columns::Columns;
use crate::ids::{self, Ids, randomness_digits};
use crate::otlp::slice_writer;
use crate::otlp::wire::{BYTES, FIXED32, FIXED64, VARINT, tag};
use crate::plan::Plan;

/// `ScopeSpans.spans`; `ScopeLogs.log_records` and `ScopeMetrics.metrics` have the same number.
pub(crate) const ITEM: u8 = tag(2, BYTES);

const TRACE_ID: u8 = tag(1, BYTES);
const SPAN_ID: u8 = tag(2, BYTES);
const TRACE_STATE: u8 = tag(3, BYTES);
const PARENT_SPAN_ID: u8 = tag(4, BYTES);
const NAME: u8 = tag(5, BYTES);
const KIND: u8 = tag(6, VARINT);
const START: u8 = tag(7, FIXED64);
const END: u8 = tag(8, FIXED64);
const DROPPED_ATTRIBUTES: u8 = tag(10, VARINT);
const STATUS: u8 = tag(15, BYTES);
/// The tag of field 16, the first of two bytes.
const FLAGS: [u8; 2] = [0x80 | FIXED32, 1];
/// `Status { code = 3: ERROR }`.
const FAILED: [u8; 4] = [STATUS, 2, tag(3, VARINT), 2];
const PREFIX: &[u8; 6] = b"ot=th:";
const RANDOMNESS: &[u8; 4] = b";rv:";

/// The values of one row that all outputs need, beside its columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Its index in the batch.
    pub index: usize,
    /// The ids of the row.
    pub ids: Ids,
    /// Start of the row, Unix nanoseconds.
    pub unix_ns: u64,
    /// The threshold under which it was kept.
    pub threshold: Threshold,
    /// Number of values that are not exported.
    pub withheld: u64,
}

/// The digits of the last row's threshold: consecutive rows mostly have the same.
#[derive(Debug, Default)]
pub(crate) struct ThresholdText {
    threshold: Threshold,
    digits: Vec<u8>,
}

// === impl Row ===

impl Row {
    /// Returns the OTLP span kind; an unknown number counts as internal.
    pub(crate) fn kind(&self, plan: &Plan, columns: &Columns<'_>) -> SpanKind {
        plan.kind.map_or(SpanKind::Internal, |field| SpanKind::of(columns.number(field, self.index)))
    }

    /// Returns the duration, if the schema has one.
    #[inline]
    pub(crate) fn duration(&self, plan: &Plan, columns: &Columns<'_>) -> Option<u64> {
        plan.duration.map(|field| columns.number(field, self.index))
    }
}

/// Writes the span of one row; returns its end.
#[inline]
pub(crate) fn encode(
    room: &mut [u8],
    at: usize,
    plan: &Plan,
    columns: &Columns<'_>,
    row: &Row,
    texts: &mut ThresholdText,
) -> usize {
    let start = slice_writer::open(room, at, ITEM);
    let ids = &row.ids;
    let end = row.unix_ns.saturating_add(row.duration(plan, columns).unwrap_or(0));
    // Members of fixed size stand together: they are written at known distances.
    let at = slice_writer::put(room, start, [TRACE_ID, 16]);
    let at = slice_writer::put(room, at, ids.trace);
    let at = slice_writer::put(room, at, [SPAN_ID, 8]);
    let at = slice_writer::put(room, at, ids.span);
    let at = slice_writer::put(room, at, [KIND, row.kind(plan, columns).number(), START]);
    let at = slice_writer::put(room, at, row.unix_ns.to_le_bytes());
    let at = slice_writer::put(room, at, [END]);
    let at = slice_writer::put(room, at, end.to_le_bytes());
    let at = slice_writer::put(room, at, FLAGS);
    let at = slice_writer::put(room, at, ids.flags.to_le_bytes());
    let mut at = trace_state(room, at, row, texts);
    if let Some(parent) = ids.parent {
        at = slice_writer::put(room, at, [PARENT_SPAN_ID, 8]);
        at = slice_writer::put(room, at, parent);
    }
    at = slice_writer::bytes(room, at, NAME, plan.name_of(columns, row.index));
    for attribute in &plan.attributes {
        at = attribute.encode(room, at, columns, row.index);
    }
    if row.withheld > 0 {
        at = slice_writer::put(room, at, [DROPPED_ATTRIBUTES]);
        at = slice_writer::varint(room, at, row.withheld);
    }
    if plan.failed(columns, row.index) {
        at = slice_writer::put(room, at, FAILED);
    }
    slice_writer::close(room, start, at)
}

/// Writes `ot=th:<threshold>`, and `;rv:<randomness>` if the trace id does not carry it.
#[inline]
fn trace_state(room: &mut [u8], at: usize, row: &Row, texts: &mut ThresholdText) -> usize {
    let threshold = texts.of(row.threshold);
    let randomness = row.ids.randomness.map(randomness_digits);
    let length = PREFIX.len() + threshold.len() + randomness.map_or(0, |digits| RANDOMNESS.len() + digits.len());
    let at = slice_writer::put(room, at, [TRACE_STATE, length as u8]);
    let at = slice_writer::put(room, at, *PREFIX);
    let at = slice_writer::slice(room, at, threshold);
    let Some(digits) = randomness else { return at };
    let at = slice_writer::put(room, at, *RANDOMNESS);
    slice_writer::put(room, at, digits)
}

// === impl ThresholdText ===

impl ThresholdText {
    /// Returns the digits of a threshold.
    pub(crate) fn of(&mut self, threshold: Threshold) -> &[u8] {
        if self.digits.is_empty() || self.threshold != threshold {
            self.threshold = threshold;
            self.digits.clear();
            ids::write_threshold(&mut self.digits, threshold);
        }
        &self.digits
    }
}
