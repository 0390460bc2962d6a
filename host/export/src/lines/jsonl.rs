//! One JSON object per row. Names are those of OpenTelemetry, ids and thresholds are hexadecimal as in tracestate, times are
//! RFC 3339, and bytes are hexadecimal.

use host_model::Signal;

use crate::columns::{Columns, Value};
use crate::ids;
use crate::lines::time;
use crate::otlp::log;
use crate::otlp::span::Row;
use crate::plan::Plan;

/// Appends the object of one row, and a line end.
pub(crate) fn encode(buf: &mut Vec<u8>, path: &str, plan: &Plan, columns: &Columns<'_>, row: &Row) {
    buf.extend_from_slice(b"{\"time\":\"");
    time::write_rfc3339(buf, row.unix_ns);
    buf.extend_from_slice(b"\",\"probe\":");
    text(buf, path.as_bytes());
    let failed = plan.failed(columns, row.index);
    match plan.schema.signal {
        Signal::Span => span(buf, plan, columns, row, failed),
        signal => {
            let name =
                if signal == Signal::Log { &b",\"signal\":\"log\",\"name\":"[..] } else { b",\"signal\":\"none\",\"name\":" };
            buf.extend_from_slice(name);
            text(buf, plan.name_of(columns, row.index));
            member(buf, "severity", |buf| text(buf, log::severity(failed).1.as_bytes()));
            if let Some(field) = plan.body {
                member(buf, "body", |buf| text(buf, columns.text(field, row.index)));
            }
            if let Some(parent) = &row.ids.parent {
                member(buf, "trace_id", |buf| hex(buf, &row.ids.trace));
                member(buf, "span_id", |buf| hex(buf, parent));
            }
        }
    }
    member(buf, "threshold", |buf| {
        buf.push(b'"');
        ids::write_threshold(buf, row.threshold);
        buf.push(b'"');
    });
    if let Some(randomness) = row.ids.randomness {
        member(buf, "randomness", |buf| {
            buf.push(b'"');
            buf.extend_from_slice(&ids::randomness_digits(randomness));
            buf.push(b'"');
        });
    }
    member(buf, "attributes", |buf| attributes(buf, plan, columns, row.index));
    if row.withheld > 0 {
        member(buf, "withheld", |buf| number(buf, row.withheld));
    }
    buf.extend_from_slice(b"}\n");
}

fn span(buf: &mut Vec<u8>, plan: &Plan, columns: &Columns<'_>, row: &Row, failed: bool) {
    buf.extend_from_slice(b",\"signal\":\"span\",\"name\":");
    text(buf, plan.name_of(columns, row.index));
    if let Some(duration) = row.duration(plan, columns) {
        member(buf, "duration_ns", |buf| number(buf, duration));
    }
    member(buf, "kind", |buf| text(buf, row.kind(plan, columns).name().as_bytes()));
    member(buf, "status", |buf| text(buf, if failed { b"error" } else { b"unset" }));
    member(buf, "trace_id", |buf| hex(buf, &row.ids.trace));
    member(buf, "span_id", |buf| hex(buf, &row.ids.span));
    if let Some(parent) = &row.ids.parent {
        member(buf, "parent_span_id", |buf| hex(buf, parent));
    }
}

fn attributes(buf: &mut Vec<u8>, plan: &Plan, columns: &Columns<'_>, row: usize) {
    buf.push(b'{');
    let mut first = true;
    for attribute in &plan.attributes {
        let Some(value) = attribute.value(columns, row) else { continue };
        if !std::mem::take(&mut first) {
            buf.push(b',');
        }
        text(buf, attribute.name.as_bytes());
        buf.push(b':');
        match value {
            Value::Bool(value) => buf.extend_from_slice(if value { b"true" } else { b"false" }),
            Value::Unsigned(value) => number(buf, value),
            Value::Signed(value) => json(buf, &value),
            Value::Float(value) => json(buf, &value),
            Value::Text(value) => text(buf, value),
            Value::Bytes(value) => hex(buf, value),
        }
    }
    buf.push(b'}');
}

fn member(buf: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
    buf.extend_from_slice(b",\"");
    buf.extend_from_slice(name.as_bytes());
    buf.extend_from_slice(b"\":");
    write(buf);
}

fn text(buf: &mut Vec<u8>, text: &[u8]) {
    json(buf, &*String::from_utf8_lossy(text));
}

fn number(buf: &mut Vec<u8>, value: u64) {
    json(buf, &value);
}

/// Appends JSON. A vector accepts everything, and numbers and text are always JSON; a float that is not a number becomes null.
fn json(buf: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    let _ = serde_json::to_writer(buf, value);
}

fn hex(buf: &mut Vec<u8>, bytes: &[u8]) {
    buf.push(b'"');
    ids::write_hex(buf, bytes);
    buf.push(b'"');
}
