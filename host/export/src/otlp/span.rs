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
pub(crate) fn encode(buf: &mut Vec<u8>, plan: &Plan, columns: &Columns<'_>, row: &Row) {
    let at = wire::open(buf, ITEM);
    let ids = &row.ids;
    buf.extend_from_slice(&[TRACE_ID, 16]);
    buf.extend_from_slice(&ids.trace);
    buf.extend_from_slice(&[SPAN_ID, 8]);
    buf.extend_from_slice(&ids.span);
    trace_state(buf, row);
    if let Some(parent) = &ids.parent {
        wire::bytes(buf, PARENT_SPAN_ID, parent);
    }
    wire::bytes(buf, NAME, plan.name_of(columns, row.index));
    buf.extend_from_slice(&[KIND, row.kind(plan, columns) as u8]);
    let end = row.unix_ns.saturating_add(row.duration(plan, columns).unwrap_or(0));
    wire::fixed64(buf, START, row.unix_ns);
    wire::fixed64(buf, END, end);
    for attribute in &plan.attributes {
        attribute.encode(buf, columns, row.index);
    }
    wire::number(buf, DROPPED_ATTRIBUTES, row.withheld);
    if plan.failed(columns, row.index) {
        buf.extend_from_slice(&FAILED);
    }
    buf.extend_from_slice(&FLAGS);
    buf.extend_from_slice(&ids.flags.to_le_bytes());
    wire::close(buf, at);
}

/// `ot=th:<threshold>`, and `;rv:<randomness>` where the trace id does not carry it.
#[inline]
fn trace_state(buf: &mut Vec<u8>, row: &Row) {
    buf.extend_from_slice(&[TRACE_STATE, 0]);
    let start = buf.len();
    buf.extend_from_slice(b"ot=th:");
    ids::write_threshold(buf, row.threshold);
    if let Some(randomness) = row.ids.randomness {
        buf.extend_from_slice(b";rv:");
        ids::write_randomness(buf, randomness);
    }
    let length = (buf.len() - start) as u8;
    if let Some(place) = buf.get_mut(start - 1) {
        *place = length;
    }
}
