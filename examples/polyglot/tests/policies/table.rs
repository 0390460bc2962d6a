//! The decisions of the policy: the table that holds for every language, and batches to decide on.

use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray, UInt32Array, UInt64Array};
use host_model::{Batch, ColumnType, Field, FieldUse, Schema, Sensitivity, Signal};

/// A row, and the decision on it under [`CONFIG`].
pub(crate) struct Row {
    pub(crate) duration_ns: u64,
    pub(crate) error: &'static str,
    pub(crate) pid: u32,
    pub(crate) threshold: u64,
    pub(crate) randomness: u64,
}

pub(crate) const CONFIG: &str = r#"{"slow_ms": 100, "one_in": 4}"#;

/// The threshold that keeps the upper quarter of all randomness.
const QUARTER: u64 = 0xc0_0000_0000_0000;

pub(crate) const TABLE: [Row; 12] = [
    row(0, "", 0, QUARTER, 0),
    row(5, "", 5, QUARTER, 0xcc0d_53cd),
    row(99_999_999, "", 1, QUARTER, 0x514e_28b7),
    row(100_000_000, "", 2, QUARTER, 0x30f4_c306),
    row(100_000_001, "", 3, 0, 0x85f0_b427),
    row(u64::MAX, "", 1, 0, 0x514e_28b7),
    row(5, "ENOENT", 4, 0, 0x249c_b285),
    row(100_000_001, "EACCES", 1, 0, 0x514e_28b7),
    row(5, "ö", 1001, 0, 0x18ac_53dc),
    row(5, "", 1001, QUARTER, 0x18ac_53dc),
    row(5, "", 4711, QUARTER, 0x391a_8e30),
    row(5, "", u32::MAX, QUARTER, 0x81f1_6f39),
];

const fn row(duration_ns: u64, error: &'static str, pid: u32, threshold: u64, mixed: u32) -> Row {
    Row { duration_ns, error, pid, threshold, randomness: (mixed as u64) << 24 }
}

/// The schema of a probe with the fields that the policy reads, in a different order.
pub(crate) fn schema() -> Arc<Schema> {
    let field = |name: &str, column_type, field_use| Field {
        name: name.into(),
        column_type,
        unit: String::new(),
        field_use,
        sensitivity: Sensitivity::Public,
        omit_zero: false,
    };
    let fields = vec![
        field("time", ColumnType::U64, FieldUse::Time),
        field("process.pid", ColumnType::U32, FieldUse::Plain),
        field("error.type", ColumnType::Text, FieldUse::Error),
        field("duration", ColumnType::U64, FieldUse::Duration),
    ];
    Arc::new(Schema { event: "file.open".into(), signal: Signal::Span, fields, metrics: Vec::new() })
}

/// Returns a batch of `rows` rows: the table, repeated.
pub(crate) fn batch(rows: usize) -> Batch {
    let cycle = || TABLE.iter().cycle().take(rows);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(cycle().map(|row| row.pid))),
        Arc::new(StringArray::from_iter_values(cycle().map(|row| row.error))),
        Arc::new(UInt64Array::from_iter_values(cycle().map(|row| row.duration_ns))),
    ];
    let mut batch = Batch::new(schema(), rows);
    batch.put(&[1, 2, 3], columns);
    batch
}
