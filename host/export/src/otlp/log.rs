//! A row as an OTLP log record.

use host_model::Threshold;

use crate::ids;
use crate::otlp::attribute::{self, LOG_ATTRIBUTES};
use crate::otlp::span::{ITEM, Row};
use crate::otlp::wire::{self, BYTES, FIXED32, FIXED64, VARINT, tag};
use crate::plan::{Columns, Plan};

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

/// The W3C half of the flags: a log's flags say nothing about a parent.
const TRACE_FLAGS: u32 = 0xff;

/// The severity of a row: INFO, or ERROR when it failed.
pub(crate) const fn severity(failed: bool) -> (u8, &'static str) {
    if failed { (17, "ERROR") } else { (9, "INFO") }
}

/// Appends the log record of one row, which the host saw at `observed` (Unix nanoseconds).
#[inline]
pub(crate) fn encode(buf: &mut Vec<u8>, plan: &Plan, columns: &Columns<'_>, row: &Row, observed: u64) {
    let at = wire::open(buf, ITEM);
    wire::fixed64(buf, TIME, row.unix_ns);
    wire::fixed64(buf, OBSERVED, observed);
    let (number, text) = severity(plan.failed(columns, row.index));
    buf.extend_from_slice(&[SEVERITY_NUMBER, number]);
    wire::bytes(buf, SEVERITY_TEXT, text.as_bytes());
    if let Some(field) = plan.body {
        attribute::any_text(buf, BODY, columns.text(field, row.index));
    }
    for attribute in &plan.attributes {
        attribute.encode(buf, columns, row.index);
    }
    sampling(buf, row);
    wire::number(buf, DROPPED_ATTRIBUTES, row.withheld);
    if let Some(parent) = &row.ids.parent {
        wire::bytes(buf, TRACE_ID, &row.ids.trace);
        wire::bytes(buf, SPAN_ID, parent);
        let flags = row.ids.flags & TRACE_FLAGS;
        if flags != 0 {
            buf.push(FLAGS);
            buf.extend_from_slice(&flags.to_le_bytes());
        }
    }
    wire::bytes(buf, EVENT_NAME, plan.name_of(columns, row.index));
    wire::close(buf, at);
}

/// `sampling.threshold` and `sampling.randomness`, as the semantic conventions have it for logs; nothing where every row was
/// kept. A log has no trace id of its own, so the randomness is told too, unless the caller's trace id carries it.
#[inline]
fn sampling(buf: &mut Vec<u8>, row: &Row) {
    if row.threshold == Threshold::ALWAYS {
        return;
    }
    attribute::text_with(buf, LOG_ATTRIBUTES, "sampling.threshold", |buf| ids::write_threshold(buf, row.threshold));
    let randomness = match row.ids.parent {
        Some(_) => row.ids.randomness,
        None => Some(row.ids.carried_randomness()),
    };
    if let Some(randomness) = randomness {
        attribute::text_with(buf, LOG_ATTRIBUTES, "sampling.randomness", |buf| ids::write_randomness(buf, randomness));
    }
}
