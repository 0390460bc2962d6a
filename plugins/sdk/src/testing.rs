//! Helpers for the tests of a plugin: runs, rows, and a parser for the C header of a record. Not part of a component.

mod mutation;
mod recording;
mod script;
mod talk;

pub use mutation::{Mutated, Mutations, mutated};
pub use recording::Recording;
pub use talk::{Talk, decoder};

use crate::role::Decoder;
use crate::wit::{Column, MemberKind, RecordLayout};

/// Returns a run of these records, framed as the kernel frames them.
pub fn run<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut run = Vec::new();
    for record in records {
        run.extend_from_slice(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes());
        run.extend_from_slice(&[0; 4]);
        run.extend_from_slice(record);
        run.resize(run.len().next_multiple_of(8), 0);
    }
    run
}

/// Returns the texts of a text column; empty for another type.
#[must_use]
pub fn texts(column: &Column) -> Vec<String> {
    match column {
        Column::Text(values) => values.strs().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Builds the bytes of a record, member by member. Members that are not set are 0.
#[derive(Debug, Clone)]
pub struct Draft {
    layout: RecordLayout,
    bytes: Vec<u8>,
}

/// Returns every value of every row that `decode` makes of a run, as `name=value`; undecodable records follow as `#index`.
///
/// # Errors
/// The decoder's error.
pub fn decode_all(decoder: &mut impl Decoder, run: &[u8]) -> Result<Vec<Vec<String>>, String> {
    let schema = decoder.schema().clone();
    let all: Vec<u32> = (0..).zip(&schema.fields).map(|(index, _)| index).collect();
    let decoded = decoder.decode(run, &all)?;
    let mut rows = vec![Vec::new(); decoded.rows as usize];
    for (field, column) in schema.fields.iter().zip(&decoded.columns) {
        for (row, value) in rows.iter_mut().zip(words(column)) {
            row.push(format!("{}={value}", field.name));
        }
    }
    rows.extend(decoded.undecodable.iter().map(|index| vec![format!("#{index}")]));
    Ok(rows)
}

/// Returns the values of a column as text.
#[must_use]
pub fn words(column: &Column) -> Vec<String> {
    match column {
        Column::Boolean(values) => values.iter().map(u8::to_string).collect(),
        Column::U32(values) => values.iter().map(u32::to_string).collect(),
        Column::U64(values) => values.iter().map(u64::to_string).collect(),
        Column::I64(values) => values.iter().map(i64::to_string).collect(),
        Column::F64(values) => values.iter().map(f64::to_string).collect(),
        Column::Text(values) => values.strs().map(str::to_owned).collect(),
        Column::Bytes(values) => values.iter().map(|bytes| format!("{bytes:02x?}")).collect(),
    }
}

/// Returns the layout of `struct name` in a C header, for headers as this project writes them: one member per line,
/// `__u8` to `__s64`, `char` and byte arrays with sizes in digits.
/// `__u8` to `__s64`, `char` and byte arrays with sizes in digits.
#[must_use]
pub fn header_layout(header: &str, name: &str) -> Option<RecordLayout> {
    let (_, body) = header.split_once(&format!("struct {name} {{"))?;
    let (body, _) = body.split_once("};")?;
    let mut layout = RecordLayout { name: name.into(), size: 0, members: Vec::new() };
    let mut widest = 1;
    for line in body.lines() {
        let Some((declaration, _)) = line.split_once(';') else { continue };
        let (c_type, declarator) = declaration.trim().split_once(char::is_whitespace)?;
        let (member, count) = match declarator.trim().split_once('[') {
            Some((member, count)) => (member, Some(count.trim_end_matches(']'))),
            None => (declarator.trim(), None),
        };
        let width = c_type.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().map_or(1, |bits: u32| bits / 8);
        let kind = match (c_type, count) {
            ("char", _) => MemberKind::Chars,
            (_, Some(_)) => MemberKind::Bytes,
            (c_type, None) if c_type.starts_with("__s") => MemberKind::Signed,
            _ => MemberKind::Unsigned,
        };
        let size = match count {
            Some("") => 0,
            Some(count) => width * count.parse::<u32>().ok()?,
            None => width,
        };
        let offset = layout.size.next_multiple_of(width);
        widest = widest.max(width);
        layout.size = offset + size;
        layout.members.push(crate::wit::Member { name: member.into(), offset, size, kind });
    }
    layout.size = layout.size.next_multiple_of(widest);
    Some(layout)
}

// === impl Draft ===

impl Draft {
    /// Returns a record of this layout, all 0.
    #[must_use]
    pub fn new(layout: RecordLayout) -> Self {
        let bytes = vec![0; layout.size as usize];
        Self { layout, bytes }
    }

    /// Sets a member to a number.
    ///
    /// # Panics
    /// The member does not exist.
    #[must_use]
    pub fn put(self, member: &str, value: i128) -> Self {
        self.bytes(member, &value.to_le_bytes())
    }

    /// Sets a member to bytes, cut to its size; a flexible one takes all.
    ///
    /// # Panics
    /// The member does not exist.
    #[must_use]
    #[allow(clippy::panic, reason = "a test that names a member that is not there is wrong")]
    pub fn bytes(mut self, member: &str, value: &[u8]) -> Self {
        let Some(found) = self.layout.members.iter().find(|known| known.name == member) else {
            panic!("`{}` has no member `{member}`", self.layout.name);
        };
        let start = found.offset as usize;
        if found.size == 0 {
            self.bytes.truncate(start);
            self.bytes.extend_from_slice(value);
        } else {
            let places = self.bytes.iter_mut().skip(start).take(found.size as usize);
            places.zip(value).for_each(|(place, &byte)| *place = byte);
        }
        self
    }

    /// Returns the bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
