//! A row as an OTLP span.

use host_model::Threshold;

use crate::ids::{self, Ids, randomness_digits};
use crate::otlp::pen;
use crate::otlp::wire::{BYTES, FIXED32, FIXED64, VARINT, tag};
use crate::plan::{Columns, Plan};

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
/// Field 16, the first whose tag takes two bytes.
const FLAGS: [u8; 2] = [0x80 | FIXED32, 1];
/// `Status { code = 3: ERROR }`.
const FAILED: [u8; 4] = [STATUS, 2, tag(3, VARINT), 2];
const INTERNAL: u64 = 1;
/// The span kind of whoever answers.
pub(crate) const SERVER: u64 = 2;
const LAST_KIND: u64 = 5;
const PREFIX: &[u8; 6] = b"ot=th:";
const RANDOMNESS: &[u8; 4] = b";rv:";

/// What all outputs say about one row, beside its columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Its index in the batch.
    pub index: usize,
    /// Who it is.
    pub ids: Ids,
    /// When it began, Unix nanoseconds.
    pub unix_ns: u64,
    /// What it was kept under.
    pub threshold: Threshold,
    /// Values that do not leave.
    pub withheld: u64,
}

/// The digits of the last row's threshold: rows that follow each other mostly share theirs.
#[derive(Debug, Default)]
pub(crate) struct ThresholdText {
    threshold: Threshold,
    digits: Vec<u8>,
}

// === impl Row ===

impl Row {
    /// The OTLP span kind; what a guest made up counts as internal.
    pub(crate) fn kind(&self, plan: &Plan, columns: &Columns<'_>) -> u64 {
        let kind = plan.kind.map_or(INTERNAL, |field| columns.number(field, self.index));
        if (INTERNAL..=LAST_KIND).contains(&kind) { kind } else { INTERNAL }
    }

    /// How long it took, if the schema says.
    #[inline]
    pub(crate) fn duration(&self, plan: &Plan, columns: &Columns<'_>) -> Option<u64> {
        plan.duration.map(|field| columns.number(field, self.index))
    }
}

/// Writes the span of one row; returns where it ends.
#[inline]
pub(crate) fn encode(
    room: &mut [u8],
    at: usize,
    plan: &Plan,
    columns: &Columns<'_>,
    row: &Row,
    texts: &mut ThresholdText,
) -> usize {
    let start = pen::open(room, at, ITEM);
    let ids = &row.ids;
    let end = row.unix_ns.saturating_add(row.duration(plan, columns).unwrap_or(0));
    // Members of a fixed size stand together: they are written at known distances.
    let at = pen::put(room, start, [TRACE_ID, 16]);
    let at = pen::put(room, at, ids.trace);
    let at = pen::put(room, at, [SPAN_ID, 8]);
    let at = pen::put(room, at, ids.span);
    let at = pen::put(room, at, [KIND, row.kind(plan, columns) as u8, START]);
    let at = pen::put(room, at, row.unix_ns.to_le_bytes());
    let at = pen::put(room, at, [END]);
    let at = pen::put(room, at, end.to_le_bytes());
    let at = pen::put(room, at, FLAGS);
    let at = pen::put(room, at, ids.flags.to_le_bytes());
    let mut at = trace_state(room, at, row, texts);
    if let Some(parent) = ids.parent {
        at = pen::put(room, at, [PARENT_SPAN_ID, 8]);
        at = pen::put(room, at, parent);
    }
    at = pen::bytes(room, at, NAME, plan.name_of(columns, row.index));
    for attribute in &plan.attributes {
        at = attribute.encode(room, at, columns, row.index);
    }
    if row.withheld > 0 {
        at = pen::put(room, at, [DROPPED_ATTRIBUTES]);
        at = pen::varint(room, at, row.withheld);
    }
    if plan.failed(columns, row.index) {
        at = pen::put(room, at, FAILED);
    }
    pen::close(room, start, at)
}

/// `ot=th:<threshold>`, and `;rv:<randomness>` where the trace id does not carry it.
#[inline]
fn trace_state(room: &mut [u8], at: usize, row: &Row, texts: &mut ThresholdText) -> usize {
    let threshold = texts.of(row.threshold);
    let randomness = row.ids.randomness.map(randomness_digits);
    let length = PREFIX.len() + threshold.len() + randomness.map_or(0, |digits| RANDOMNESS.len() + digits.len());
    let at = pen::put(room, at, [TRACE_STATE, length as u8]);
    let at = pen::put(room, at, *PREFIX);
    let at = pen::slice(room, at, threshold);
    let Some(digits) = randomness else { return at };
    let at = pen::put(room, at, *RANDOMNESS);
    pen::put(room, at, digits)
}

// === impl ThresholdText ===

impl ThresholdText {
    /// The digits of a threshold.
    pub(crate) fn of(&mut self, threshold: Threshold) -> &[u8] {
        if self.digits.is_empty() || self.threshold != threshold {
            self.threshold = threshold;
            self.digits.clear();
            ids::write_threshold(&mut self.digits, threshold);
        }
        &self.digits
    }
}
