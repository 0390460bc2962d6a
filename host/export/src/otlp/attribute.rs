//! An attribute: `KeyValue { key = 1, value = 2: AnyValue }`; all parts that do not change from row to row are encoded beforehand.

use host_model::{AttributeValue, ColumnType, Field, Signal};

use crate::columns::{Column, Columns, Value};
use crate::otlp::slice_writer;
use crate::otlp::vec_writer;
use crate::otlp::wire::{self, BYTES, FIXED64, VARINT, tag};

/// `KeyValue.key` and `KeyValue.value`.
const KEY: u8 = tag(1, BYTES);
const VALUE: u8 = tag(2, BYTES);
/// The cases of `AnyValue`.
const TEXT: u8 = tag(1, BYTES);
const BOOL: u8 = tag(2, VARINT);
const INT: u8 = tag(3, VARINT);
const DOUBLE: u8 = tag(4, FIXED64);
const RAW: u8 = tag(7, BYTES);
/// `Span.attributes` and `LogRecord.attributes`.
pub(crate) const SPAN_ATTRIBUTES: u8 = tag(9, BYTES);
pub(crate) const LOG_ATTRIBUTES: u8 = tag(6, BYTES);

/// Number of bytes that a prefix is padded to, so that it is copied in a few whole registers.
const PADDED: usize = 48;
/// Number of bytes that a text of up to this length is copied with, if as many follow its start.
const SHORT_TEXT: usize = 64;
/// Room for the lengths before a key and a value, and for a number.
const LENGTHS: usize = 24;
const NUMBER: usize = 24;

/// One field that is exported as an attribute.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// The index of its field.
    pub field: usize,
    /// Its name.
    pub name: String,
    omit_zero: bool,
    /// Tag, length, key, tag and length of the value, and the tag within the value. Both lengths are right if every value of the type has
    /// the same size; otherwise they are overwritten.
    prefix: Vec<u8>,
    /// The same, padded; None for a key that is too long for it.
    padded: Option<[u8; PADDED]>,
}

// === impl Attribute ===

impl Attribute {
    pub(crate) fn new(index: usize, field: &Field, signal: Signal) -> Self {
        let (case, value_len) = match field.column_type {
            ColumnType::Boolean => (BOOL, 2),
            ColumnType::F64 => (DOUBLE, 9),
            ColumnType::U32 | ColumnType::U64 | ColumnType::I64 => (INT, 0),
            ColumnType::Text => (TEXT, 0),
            ColumnType::Bytes => (RAW, 0),
        };
        let mut body = Vec::new();
        vec_writer::bytes(&mut body, KEY, field.name.as_bytes());
        body.extend_from_slice(&[VALUE, value_len, case]);
        let mut prefix = vec![if signal == Signal::Log { LOG_ATTRIBUTES } else { SPAN_ATTRIBUTES }];
        match value_len {
            0 => prefix.push(0),
            _ => vec_writer::varint(&mut prefix, body.len() as u64 + u64::from(value_len) - 1),
        }
        prefix.extend_from_slice(&body);
        let mut padded = prefix.clone();
        padded.resize(prefix.len().max(PADDED), 0);
        Self { field: index, name: field.name.clone(), omit_zero: field.omit_zero, prefix, padded: padded.try_into().ok() }
    }

    /// Returns the exported value; None if there is none.
    #[inline]
    pub(crate) fn value<'a>(&self, columns: &Columns<'a>, row: usize) -> Option<Value<'a>> {
        columns.value(self.field, row).filter(|value| !(self.omit_zero && value.is_zero()))
    }

    /// Returns the maximum room for one row, padding of the copies included.
    pub(crate) fn longest(&self, columns: &Columns<'_>) -> usize {
        let value = match columns.column(self.field) {
            Column::Text(..) | Column::Bytes(..) => columns.longest(self.field) + SHORT_TEXT,
            _ => NUMBER,
        };
        PADDED.max(self.prefix.len()) + LENGTHS + value
    }

    /// Writes the attribute of one row; returns its end.
    #[inline]
    pub(crate) fn encode(&self, room: &mut [u8], at: usize, columns: &Columns<'_>, row: usize) -> usize {
        match columns.column(self.field) {
            Column::U32(values) => self.integer(room, at, values.get(row).map(|&value| u64::from(value))),
            Column::U64(values) => match values.get(row) {
                Some(&value) if value > i64::MAX as u64 => self.decimal(room, at, value),
                value => self.integer(room, at, value.copied()),
            },
            Column::I64(values) => self.integer(room, at, values.get(row).map(|&value| value as u64)),
            Column::Text(offsets, bytes) | Column::Bytes(offsets, bytes) => self.delimited(room, at, offsets, bytes, row),
            Column::Boolean(_) | Column::F64(_) => self.fixed(room, at, self.value(columns, row)),
            Column::Absent => at,
        }
    }

    #[inline(always)]
    fn integer(&self, room: &mut [u8], at: usize, value: Option<u64>) -> usize {
        let Some(value) = value.filter(|&value| value != 0 || !self.omit_zero) else { return at };
        let at = self.head(room, at, wire::varint_len(value));
        slice_writer::varint(room, at, value)
    }

    #[inline(always)]
    fn delimited(&self, room: &mut [u8], at: usize, offsets: &[i32], bytes: &[u8], row: usize) -> usize {
        let (Some(&start), Some(&end)) = (offsets.get(row), offsets.get(row + 1)) else { return at };
        let (start, end) = (start as usize, end as usize);
        let Some(value) = bytes.get(start..end) else { return at };
        if value.is_empty() && self.omit_zero {
            return at;
        }
        let at = self.head(room, at, wire::varint_len(value.len() as u64) + value.len());
        let at = slice_writer::varint(room, at, value.len() as u64);
        match bytes.get(start..).and_then(<[u8]>::first_chunk::<SHORT_TEXT>) {
            Some(chunk) if value.len() <= SHORT_TEXT => slice_writer::prefix(room, at, chunk, value.len()),
            _ => slice_writer::slice(room, at, value),
        }
    }

    fn fixed(&self, room: &mut [u8], at: usize, value: Option<Value<'_>>) -> usize {
        let Some(value) = value else { return at };
        let at = slice_writer::slice(room, at, &self.prefix);
        match value {
            Value::Bool(value) => slice_writer::put(room, at, [u8::from(value)]),
            Value::Float(value) => slice_writer::put(room, at, value.to_le_bytes()),
            _ => at,
        }
    }

    /// Writes the prefix, before a value that takes `rest` bytes behind its tag.
    #[inline(always)]
    fn head(&self, room: &mut [u8], at: usize, rest: usize) -> usize {
        let length = self.prefix.len();
        let body = length - 2 + rest;
        let Some(padded) = self.padded.as_ref().filter(|_| body < 0x80) else {
            return self.long_head(room, at, self.prefix.last().copied().unwrap_or(TEXT), rest);
        };
        let end = slice_writer::prefix(room, at, padded, length);
        if let Some([_, body_length, .., value_length, _]) = room.get_mut(at..end) {
            *body_length = body as u8;
            *value_length = rest as u8 + 1;
        }
        end
    }

    /// Like `head`, for lengths of more than one byte and for a value of another case.
    fn long_head(&self, room: &mut [u8], at: usize, case: u8, rest: usize) -> usize {
        let [first, _, key @ .., _, _] = self.prefix.as_slice() else { return at };
        let value_len = rest as u64 + 1;
        let at = slice_writer::put(room, at, [*first]);
        let at = slice_writer::varint(room, at, (key.len() + wire::varint_len(value_len)) as u64 + value_len);
        let at = slice_writer::slice(room, at, key);
        let at = slice_writer::varint(room, at, value_len);
        slice_writer::put(room, at, [case])
    }

    /// Writes a number that an OTLP integer cannot hold as text, as the specification maps it.
    #[cold]
    fn decimal(&self, room: &mut [u8], at: usize, value: u64) -> usize {
        let text = value.to_string();
        let at = self.long_head(room, at, TEXT, 1 + text.len());
        let at = slice_writer::put(room, at, [text.len() as u8]);
        slice_writer::slice(room, at, text.as_bytes())
    }
}

/// Writes a text attribute without a field; both texts are short.
pub(crate) fn short_text(room: &mut [u8], at: usize, tag: u8, key: &str, value: &[u8]) -> usize {
    let length = 6 + key.len() + value.len();
    let at = slice_writer::put(room, at, [tag, length as u8, KEY, key.len() as u8]);
    let at = slice_writer::slice(room, at, key.as_bytes());
    let at = slice_writer::put(room, at, [VALUE, value.len() as u8 + 2, TEXT, value.len() as u8]);
    slice_writer::slice(room, at, value)
}

/// Writes `AnyValue { text }` under a tag: a log's body.
#[inline]
pub(crate) fn any_text(room: &mut [u8], at: usize, tag: u8, value: &[u8]) -> usize {
    let at = slice_writer::put(room, at, [tag]);
    let at = slice_writer::varint(room, at, (1 + wire::varint_len(value.len() as u64) + value.len()) as u64);
    slice_writer::bytes(room, at, TEXT, value)
}

/// Appends a text attribute without a field.
pub(crate) fn text(buf: &mut Vec<u8>, tag: u8, key: &str, value: &[u8]) {
    let at = vec_writer::open(buf, tag);
    vec_writer::bytes(buf, KEY, key.as_bytes());
    let any = vec_writer::open(buf, VALUE);
    vec_writer::bytes(buf, TEXT, value);
    vec_writer::close(buf, any);
    vec_writer::close(buf, at);
}

/// Appends an attribute of a metric point or resource.
pub(crate) fn owned(buf: &mut Vec<u8>, tag: u8, key: &str, value: &AttributeValue) {
    let value = match value {
        AttributeValue::Text(value) => return text(buf, tag, key, value.as_bytes()),
        AttributeValue::Int(value) => (INT, *value as u64),
        AttributeValue::Bool(value) => (BOOL, u64::from(*value)),
        AttributeValue::Bytes(_) | AttributeValue::Float(_) => return rare(buf, tag, key, value),
    };
    let at = vec_writer::open(buf, tag);
    vec_writer::bytes(buf, KEY, key.as_bytes());
    buf.extend_from_slice(&[VALUE, wire::varint_len(value.1) as u8 + 1, value.0]);
    vec_writer::varint(buf, value.1);
    vec_writer::close(buf, at);
}

/// The same for types that dimensions rarely have.
fn rare(buf: &mut Vec<u8>, tag: u8, key: &str, value: &AttributeValue) {
    let at = vec_writer::open(buf, tag);
    vec_writer::bytes(buf, KEY, key.as_bytes());
    let any = vec_writer::open(buf, VALUE);
    match value {
        AttributeValue::Bytes(value) => vec_writer::bytes(buf, RAW, value),
        AttributeValue::Float(value) => vec_writer::fixed64(buf, DOUBLE, f64::from(*value).to_bits()),
        _ => {}
    }
    vec_writer::close(buf, any);
    vec_writer::close(buf, at);
}
