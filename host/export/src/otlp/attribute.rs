//! An attribute: `KeyValue { key = 1, value = 2: AnyValue }`, of which all that does not change from row to row is written
//! beforehand.

use host_model::{AttributeValue, ColumnType, Field, Signal};

use crate::otlp::wire::{self, BYTES, FIXED64, VARINT, tag};
use crate::plan::{Column, Columns, Value};

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

/// Bytes that a prefix is padded to, so that it is copied in a few whole registers.
const PADDED: usize = 48;
/// As for text of up to this length, where as much lies behind its start.
const SHORT_TEXT: usize = 64;

/// One field that is exported as an attribute.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// The index of its field.
    pub field: usize,
    /// Its name.
    pub name: String,
    omit_zero: bool,
    /// Tag, length, key, tag and length of the value, and the tag within the value. Both lengths are right where every value
    /// of the type takes as many bytes, and are written over where not.
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
        wire::bytes(&mut body, KEY, field.name.as_bytes());
        body.extend_from_slice(&[VALUE, value_len, case]);
        let mut prefix = vec![if signal == Signal::Log { LOG_ATTRIBUTES } else { SPAN_ATTRIBUTES }];
        match value_len {
            0 => prefix.push(0),
            _ => wire::varint(&mut prefix, body.len() as u64 + u64::from(value_len) - 1),
        }
        prefix.extend_from_slice(&body);
        let mut padded = prefix.clone();
        padded.resize(prefix.len().max(PADDED), 0);
        Self { field: index, name: field.name.clone(), omit_zero: field.omit_zero, prefix, padded: padded.try_into().ok() }
    }

    /// The value that leaves; None where there is nothing to say.
    #[inline]
    pub(crate) fn value<'a>(&self, columns: &Columns<'a>, row: usize) -> Option<Value<'a>> {
        columns.value(self.field, row).filter(|value| !(self.omit_zero && value.is_zero()))
    }

    #[inline]
    pub(crate) fn encode(&self, buf: &mut Vec<u8>, columns: &Columns<'_>, row: usize) {
        match columns.column(self.field) {
            Column::U32(values) => self.integer(buf, values.get(row).map(|&value| u64::from(value))),
            Column::U64(values) => match values.get(row) {
                Some(&value) if value > i64::MAX as u64 => self.decimal(buf, value),
                value => self.integer(buf, value.copied()),
            },
            Column::I64(values) => self.integer(buf, values.get(row).map(|&value| value as u64)),
            Column::Text(offsets, bytes) | Column::Bytes(offsets, bytes) => self.delimited(buf, offsets, bytes, row),
            Column::Boolean(_) | Column::F64(_) => self.fixed(buf, self.value(columns, row)),
            Column::Absent => {}
        }
    }

    #[inline]
    fn integer(&self, buf: &mut Vec<u8>, value: Option<u64>) {
        let Some(value) = value.filter(|&value| value != 0 || !self.omit_zero) else { return };
        self.head(buf, wire::varint_len(value));
        wire::varint(buf, value);
    }

    #[inline]
    fn delimited(&self, buf: &mut Vec<u8>, offsets: &[i32], bytes: &[u8], row: usize) {
        let (Some(&start), Some(&end)) = (offsets.get(row), offsets.get(row + 1)) else { return };
        let (start, end) = (start as usize, end as usize);
        let Some(value) = bytes.get(start..end) else { return };
        if value.is_empty() && self.omit_zero {
            return;
        }
        self.head(buf, wire::varint_len(value.len() as u64) + value.len());
        wire::varint(buf, value.len() as u64);
        match bytes.get(start..).and_then(<[u8]>::first_chunk::<SHORT_TEXT>) {
            Some(chunk) if value.len() <= SHORT_TEXT => wire::prefix(buf, chunk, value.len()),
            _ => buf.extend_from_slice(value),
        }
    }

    fn fixed(&self, buf: &mut Vec<u8>, value: Option<Value<'_>>) {
        let Some(value) = value else { return };
        buf.extend_from_slice(&self.prefix);
        match value {
            Value::Bool(value) => buf.push(u8::from(value)),
            Value::Float(value) => buf.extend_from_slice(&value.to_le_bytes()),
            _ => {}
        }
    }

    /// The prefix, before a value that takes `rest` bytes behind its tag.
    #[inline]
    fn head(&self, buf: &mut Vec<u8>, rest: usize) {
        let length = self.prefix.len();
        let body = length - 2 + rest;
        let Some(padded) = self.padded.as_ref().filter(|_| body < 0x80) else {
            return self.long_head(buf, self.prefix.last().copied().unwrap_or(TEXT), rest);
        };
        let start = buf.len();
        wire::prefix(buf, padded, length);
        if let Some([_, body_length, .., value_length, _]) = buf.get_mut(start..) {
            *body_length = body as u8;
            *value_length = rest as u8 + 1;
        }
    }

    /// As `head`, for lengths of more than one byte and for a value of another case.
    fn long_head(&self, buf: &mut Vec<u8>, case: u8, rest: usize) {
        let [first, _, key @ .., _, _] = self.prefix.as_slice() else { return };
        let value_len = rest as u64 + 1;
        buf.push(*first);
        wire::varint(buf, (key.len() + wire::varint_len(value_len)) as u64 + value_len);
        buf.extend_from_slice(key);
        wire::varint(buf, value_len);
        buf.push(case);
    }

    /// A number that an OTLP integer cannot hold goes out as text, as the specification maps it.
    #[cold]
    fn decimal(&self, buf: &mut Vec<u8>, value: u64) {
        let text = value.to_string();
        self.long_head(buf, TEXT, 1 + text.len());
        buf.push(text.len() as u8);
        buf.extend_from_slice(text.as_bytes());
    }
}

/// Appends a text attribute that no field stands behind; `write` appends its value.
#[inline]
pub(crate) fn text_with(buf: &mut Vec<u8>, tag: u8, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
    let at = wire::open(buf, tag);
    wire::bytes(buf, KEY, key.as_bytes());
    let value = wire::open(buf, VALUE);
    let text = wire::open(buf, TEXT);
    write(buf);
    wire::close(buf, text);
    wire::close(buf, value);
    wire::close(buf, at);
}

/// Appends a text attribute that no field stands behind.
pub(crate) fn text(buf: &mut Vec<u8>, tag: u8, key: &str, value: &[u8]) {
    text_with(buf, tag, key, |buf| buf.extend_from_slice(value));
}

/// Appends an attribute of a metric point or resource.
pub(crate) fn owned(buf: &mut Vec<u8>, tag: u8, key: &str, value: &AttributeValue) {
    let value = match value {
        AttributeValue::Text(value) => return text(buf, tag, key, value.as_bytes()),
        AttributeValue::Int(value) => (INT, *value as u64),
        AttributeValue::Bool(value) => (BOOL, u64::from(*value)),
    };
    let at = wire::open(buf, tag);
    wire::bytes(buf, KEY, key.as_bytes());
    buf.extend_from_slice(&[VALUE, wire::varint_len(value.1) as u8 + 1, value.0]);
    wire::varint(buf, value.1);
    wire::close(buf, at);
}

/// Appends `AnyValue { text }` under a tag: a log's body.
#[inline]
pub(crate) fn any_text(buf: &mut Vec<u8>, tag: u8, value: &[u8]) {
    buf.push(tag);
    wire::varint(buf, (1 + wire::varint_len(value.len() as u64) + value.len()) as u64);
    wire::bytes(buf, TEXT, value);
}
