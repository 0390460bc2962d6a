//! Members of the struct: how each is read, and its field name.

use plugin_sdk::{Member, MemberKind, Raw, RecordLayout, Table};

/// Names of the semantic conventions for members that C programs name so.
const CONVENTIONAL_NAMES: [(&str, &str); 9] = [
    ("tgid", "process.pid"),
    ("pid", "process.pid"),
    ("ppid", "process.parent_pid"),
    ("parent_pid", "process.parent_pid"),
    ("tid", "thread.id"),
    ("comm", "thread.name"),
    ("uid", "process.real_user.id"),
    ("cgroup_id", "linux.cgroup.id"),
    ("cgroup", "linux.cgroup.id"),
];

/// How a member's bytes become a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    U8(usize),
    U16(usize),
    U32(usize),
    U64(usize),
    I8(usize),
    I16(usize),
    I32(usize),
    I64(usize),
    /// Text at this offset, of this size; 0 for the rest of the record.
    Chars(usize, usize),
    /// Bytes, with the arguments of `Chars`.
    Bytes(usize, usize),
}

// === impl Reading ===

impl Reading {
    /// Returns how to read a member. A member whose size is not that of a number is bytes.
    pub(crate) fn of(member: &Member) -> Self {
        let (at, size) = (member.offset as usize, member.size as usize);
        match (member.kind, size) {
            (MemberKind::Unsigned, 1) => Self::U8(at),
            (MemberKind::Unsigned, 2) => Self::U16(at),
            (MemberKind::Unsigned, 4) => Self::U32(at),
            (MemberKind::Unsigned, 8) => Self::U64(at),
            (MemberKind::Signed, 1) => Self::I8(at),
            (MemberKind::Signed, 2) => Self::I16(at),
            (MemberKind::Signed, 4) => Self::I32(at),
            (MemberKind::Signed, 8) => Self::I64(at),
            (MemberKind::Chars, size) => Self::Chars(at, size),
            (_, size) => Self::Bytes(at, size),
        }
    }

    /// Adds the member's field to a table. The match is here and not within the closures, so that it is not done for each row.
    pub(crate) fn add_field(self, table: Table<Raw>, name: &str) -> Table<Raw> {
        match self {
            Self::U8(at) => table.u32(name, move |record| u32::from(u8::from_le_bytes(read_bytes(record, at)))),
            Self::U16(at) => table.u32(name, move |record| u32::from(u16::from_le_bytes(read_bytes(record, at)))),
            Self::U32(at) => table.u32(name, move |record| u32::from_le_bytes(read_bytes(record, at))),
            Self::U64(at) => table.u64(name, move |record| u64::from_le_bytes(read_bytes(record, at))),
            Self::I8(_) | Self::I16(_) | Self::I32(_) | Self::I64(_) => table.i64(name, move |record| self.number(record)),
            Self::Chars(at, size) => table.chars(name, move |record| read_part(record, at, size)),
            Self::Bytes(at, size) => table.bytes(name, move |record| read_part(record, at, size)),
        }
    }

    /// Returns the member as a signed number; 0 for text and bytes.
    pub(crate) fn number(self, record: &[u8]) -> i64 {
        match self {
            Self::U8(at) => i64::from(u8::from_le_bytes(read_bytes(record, at))),
            Self::U16(at) => i64::from(u16::from_le_bytes(read_bytes(record, at))),
            Self::U32(at) => i64::from(u32::from_le_bytes(read_bytes(record, at))),
            Self::U64(at) => u64::from_le_bytes(read_bytes(record, at)).cast_signed(),
            Self::I8(at) => i64::from(i8::from_le_bytes(read_bytes(record, at))),
            Self::I16(at) => i64::from(i16::from_le_bytes(read_bytes(record, at))),
            Self::I32(at) => i64::from(i32::from_le_bytes(read_bytes(record, at))),
            Self::I64(at) => i64::from_le_bytes(read_bytes(record, at)),
            Self::Chars(..) | Self::Bytes(..) => 0,
        }
    }
}

/// Returns the field names of all members: by convention if there is one, else the C name in lower case. No two are equal.
pub(crate) fn names(layout: &RecordLayout) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(layout.members.len());
    let has = |c_name: &str| layout.members.iter().any(|member| member.name == c_name);
    for member in &layout.members {
        let own = name(&member.name);
        // If there is a thread group as well, `pid` is the thread.
        let c_name = if member.name == "pid" && has("tgid") { "tid" } else { &member.name };
        let convention = CONVENTIONAL_NAMES.iter().find(|(known, _)| *known == c_name).map(|(_, field)| (*field).to_owned());
        let mut field = convention.filter(|field| !names.contains(field)).unwrap_or_else(|| own.clone());
        let mut next = 2;
        while names.contains(&field) {
            field = format!("{own}_{next}");
            next += 1;
        }
        names.push(field);
    }
    names
}

/// Returns the field name for a C name: lower case, and `_` for characters that are not allowed in one.
pub(crate) fn name(c_name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = c_name.chars().map(allowed).take(100).collect();
    if name.is_empty() { "unnamed".into() } else { name }
}

/// Reads N bytes at an offset; returns 0 for a record that is shorter than its layout.
fn read_bytes<const N: usize>(record: &[u8], at: usize) -> [u8; N] {
    record.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

fn read_part(record: &[u8], at: usize, size: usize) -> &[u8] {
    let rest = record.get(at..).unwrap_or_default();
    if size == 0 { rest } else { rest.get(..size).unwrap_or(rest) }
}
