//! The rows that all contenders send: file opens with eight attributes.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};
use host_model::{ColumnType, Field, FieldUse, Kept, Schema, Sensitivity, Signal, Threshold};

/// Number of rows of a batch.
pub const BATCH: u64 = 512;

/// One row as a struct of a program.
pub struct Open {
    pub time: u64,
    pub duration: u64,
    pub path: String,
    pub executable: String,
    pub container: String,
    pub user: String,
    pub pid: u32,
    pub parent: u32,
    pub flags: u32,
    pub inode: u64,
}

pub fn opens() -> Vec<Open> {
    let open = |row: u64| Open {
        time: 1_000_000_000 + row * 1000,
        duration: 1500 + row * 7,
        path: format!("/usr/lib/x86_64-linux-gnu/lib{row}.so.6"),
        executable: "nginx".into(),
        container: "3f4e8c1b9a7d".into(),
        user: "www-data".into(),
        pid: 4000 + row as u32,
        parent: 1,
        flags: 0o2_000_000,
        inode: 1_234_567 + row,
    };
    (0..BATCH).map(open).collect()
}

pub fn kept(signal: Signal) -> Kept {
    let opens = opens();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    let mut put = |name: &str, column_type, field_use, column: ArrayRef| {
        let (name, unit, sensitivity) = (name.to_owned(), String::new(), Sensitivity::Public);
        fields.push(Field { name, column_type, unit, field_use, sensitivity, omit_zero: true });
        columns.push(column);
    };
    let u64s = |get: fn(&Open) -> u64| -> ArrayRef { Arc::new(UInt64Array::from_iter_values(opens.iter().map(get))) };
    let u32s = |get: fn(&Open) -> u32| -> ArrayRef { Arc::new(UInt32Array::from_iter_values(opens.iter().map(get))) };
    let texts = |get: fn(&Open) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(opens.iter().map(get))) };
    put("time", ColumnType::U64, FieldUse::Time, u64s(|open| open.time));
    put("duration", ColumnType::U64, FieldUse::Duration, u64s(|open| open.duration));
    put("file.path", ColumnType::Text, FieldUse::Plain, texts(|open| &open.path));
    put("process.executable.name", ColumnType::Text, FieldUse::Plain, texts(|open| &open.executable));
    put("container.id", ColumnType::Text, FieldUse::Plain, texts(|open| &open.container));
    put("process.user.name", ColumnType::Text, FieldUse::Plain, texts(|open| &open.user));
    put("process.pid", ColumnType::U32, FieldUse::Plain, u32s(|open| open.pid));
    put("process.parent_pid", ColumnType::U32, FieldUse::Plain, u32s(|open| open.parent));
    put("file.open.flags", ColumnType::U32, FieldUse::Plain, u32s(|open| open.flags));
    put("file.inode", ColumnType::U64, FieldUse::Plain, u64s(|open| open.inode));
    let schema = Schema { event: "file.open".into(), signal, fields, metrics: Vec::new() };
    Kept {
        path: "file".into(),
        batch: RecordBatch::try_new(Arc::new(schema.arrow()), columns).unwrap(),
        schema: Arc::new(schema),
        thresholds: vec![Threshold::from_ratio(0.5); BATCH as usize],
        randomness: (0..BATCH).map(|row| 0x80_0000_0000_0000 + row * 0x1234_5678).collect(),
        explicit_randomness: false,
        unix_offset_ns: 1_700_000_000_000_000_000,
        observed_ns: 0,
    }
}
