//! A row as an OTLP span.

use host_model::Threshold;

use crate::ids::{self, Ids};
use crate::otlp::wire::{self, BYTES, FIXED32, FIXED64, VARINT, tag};
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
const LAST_KIND: u64 = 5;
/// Bytes of the members that every span has and that have a fixed size.
const FIXED: usize = 54;
const RANDOMNESS: &[u8] = b";rv:";

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

/// The threshold of the last row as tracestate has it: rows that follow each other mostly share theirs.
#[derive(Debug, Default)]
pub(crate) struct ThresholdText {
    threshold: Threshold,
    text: Vec<u8>,
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

/// Appends the span of one row.
#[inline]
pub(crate) fn encode(buf: &mut Vec<u8>, plan: &Plan, columns: &Columns<'_>, row: &Row, texts: &mut ThresholdText) {
    let at = wire::open(buf, ITEM);
    let ids = &row.ids;
    let end = row.unix_ns.saturating_add(row.duration(plan, columns).unwrap_or(0));
    // Members of a fixed size stand together, so that they are one copy.
    let mut fixed = [0; FIXED];
    fixed[..2].copy_from_slice(&[TRACE_ID, 16]);
    fixed[2..18].copy_from_slice(&ids.trace);
    fixed[18..20].copy_from_slice(&[SPAN_ID, 8]);
    fixed[20..28].copy_from_slice(&ids.span);
    fixed[28..31].copy_from_slice(&[KIND, row.kind(plan, columns) as u8, START]);
    fixed[31..39].copy_from_slice(&row.unix_ns.to_le_bytes());
    fixed[39] = END;
    fixed[40..48].copy_from_slice(&end.to_le_bytes());
    fixed[48..50].copy_from_slice(&FLAGS);
    fixed[50..54].copy_from_slice(&ids.flags.to_le_bytes());
    buf.extend_from_slice(&fixed);
    trace_state(buf, row, texts);
    if let Some(parent) = &ids.parent {
        wire::bytes(buf, PARENT_SPAN_ID, parent);
    }
    wire::bytes(buf, NAME, plan.name_of(columns, row.index));
    for attribute in &plan.attributes {
        attribute.encode(buf, columns, row.index);
    }
    wire::number(buf, DROPPED_ATTRIBUTES, row.withheld);
    if plan.failed(columns, row.index) {
        buf.extend_from_slice(&FAILED);
    }
    wire::close(buf, at);
}

/// `ot=th:<threshold>`, and `;rv:<randomness>` where the trace id does not carry it.
#[inline]
fn trace_state(buf: &mut Vec<u8>, row: &Row, texts: &mut ThresholdText) {
    let text = texts.of(row.threshold);
    let Some(randomness) = row.ids.randomness else {
        return wire::bytes(buf, TRACE_STATE, text);
    };
    buf.extend_from_slice(&[TRACE_STATE, (text.len() + RANDOMNESS.len() + 14) as u8]);
    buf.extend_from_slice(text);
    buf.extend_from_slice(RANDOMNESS);
    ids::write_randomness(buf, randomness);
}

// === impl ThresholdText ===

impl ThresholdText {
    fn of(&mut self, threshold: Threshold) -> &[u8] {
        if self.text.is_empty() || self.threshold != threshold {
            self.threshold = threshold;
            self.text.clear();
            self.text.extend_from_slice(b"ot=th:");
            ids::write_threshold(&mut self.text, threshold);
        }
        &self.text
    }
}
