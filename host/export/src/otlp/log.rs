//! A row as an OTLP log record.

use host_model::Threshold;

use crate::columns::Columns;
use crate::ids::randomness_digits;
use crate::otlp::attribute::{self, LOG_ATTRIBUTES};
use crate::otlp::slice_writer;
use crate::otlp::span::{ITEM, Row, ThresholdText};
use crate::otlp::wire::{BYTES, FIXED32, FIXED64, VARINT, tag};
use crate::plan::Plan;

const TIME: u8 = tag(1, FIXED64);
const SEVERITY_NUMBER: u8 = tag(2, VARINT);
const SEVERITY_TEXT: u8 = tag(3, BYTES);
const BODY: u8 = tag(5, BYTES);
const DROPPED_ATTRIBUTES: u8 = tag(7, VARINT);
const FLAGS: u8 = tag(8, FIXED32);
const TRACE_ID: u8 = tag(9, BYTES);
const SPAN_ID: u8 = tag(10, BYTES);
const OBSERVED: u8 = tag(11, FIXED64);
const EVENT_NAME: u8 = tag(12, BYTES);

/// The W3C half of the flags: a log's flags have no bit about a parent.
const TRACE_FLAGS: u32 = 0xff;

/// The severity of a row: INFO, or ERROR when it failed.
pub(crate) const fn severity(failed: bool) -> (u8, &'static str) {
    if failed { (17, "ERROR") } else { (9, "INFO") }
}

/// Writes the log record of one row, which the host saw at `observed` (Unix nanoseconds); returns its end.
#[inline]
pub(crate) fn encode(
    room: &mut [u8],
    at: usize,
    plan: &Plan,
    columns: &Columns<'_>,
    row: &Row,
    observed: u64,
    texts: &mut ThresholdText,
) -> usize {
    let start = slice_writer::open(room, at, ITEM);
    let (severity, text) = severity(plan.failed(columns, row.index));
    let at = slice_writer::put(room, start, [TIME]);
    let at = slice_writer::put(room, at, row.unix_ns.to_le_bytes());
    let at = slice_writer::put(room, at, [OBSERVED]);
    let at = slice_writer::put(room, at, observed.to_le_bytes());
    let at = slice_writer::put(room, at, [SEVERITY_NUMBER, severity]);
    let mut at = slice_writer::bytes(room, at, SEVERITY_TEXT, text.as_bytes());
    if let Some(field) = plan.body {
        at = attribute::any_text(room, at, BODY, columns.text(field, row.index));
    }
    for attribute in &plan.attributes {
        at = attribute.encode(room, at, columns, row.index);
    }
    at = sampling(room, at, row, texts);
    if row.withheld > 0 {
        at = slice_writer::put(room, at, [DROPPED_ATTRIBUTES]);
        at = slice_writer::varint(room, at, row.withheld);
    }
    if let Some(parent) = &row.ids.parent {
        at = slice_writer::bytes(room, at, TRACE_ID, &row.ids.trace);
        at = slice_writer::bytes(room, at, SPAN_ID, parent);
        let flags = row.ids.flags & TRACE_FLAGS;
        if flags != 0 {
            at = slice_writer::put(room, at, [FLAGS]);
            at = slice_writer::put(room, at, flags.to_le_bytes());
        }
    }
    at = slice_writer::bytes(room, at, EVENT_NAME, plan.name_of(columns, row.index));
    slice_writer::close(room, start, at)
}

/// Writes `sampling.threshold` and `sampling.randomness`, as in the semantic conventions for logs; nothing if every row was kept. A log has
/// no trace id of its own, so the randomness is written too, unless the caller's trace id carries it.
#[inline]
fn sampling(room: &mut [u8], at: usize, row: &Row, texts: &mut ThresholdText) -> usize {
    if row.threshold == Threshold::ALWAYS {
        return at;
    }
    let at = attribute::short_text(room, at, LOG_ATTRIBUTES, "sampling.threshold", texts.of(row.threshold));
    let randomness = match row.ids.parent {
        Some(_) => row.ids.randomness,
        None => Some(row.ids.carried_randomness()),
    };
    let Some(randomness) = randomness else { return at };
    attribute::short_text(room, at, LOG_ATTRIBUTES, "sampling.randomness", &randomness_digits(randomness))
}
