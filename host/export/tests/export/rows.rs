//! Kept rows, built column by column.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt8Array, UInt32Array, UInt64Array,
};
use host_model::{ColumnType, Field, FieldUse, Kept, Schema, Sensitivity, Signal, Threshold};

/// The offset added to the monotonic times of these rows.
pub const OFFSET: u64 = 1_700_000_000_000_000_000;

pub struct Rows {
    signal: Signal,
    fields: Vec<Field>,
    columns: Vec<ArrayRef>,
    pub thresholds: Vec<u64>,
    pub randomness: Vec<u64>,
    pub explicit_randomness: bool,
}

impl Rows {
    /// Creates `count` rows, a second apart.
    pub fn new(signal: Signal, count: u64) -> Self {
        let rows = Self {
            signal,
            fields: Vec::new(),
            columns: Vec::new(),
            thresholds: vec![0; count as usize],
            randomness: (0..count).map(|row| 0x00ff_0000_0000_0000 + row).collect(),
            explicit_randomness: false,
        };
        rows.u64("time", FieldUse::Time, (1..=count).map(|row| row * 1_000_000_000).collect())
    }

    pub fn with(mut self, name: &str, field_use: FieldUse, column_type: ColumnType, column: ArrayRef) -> Self {
        self.fields.push(Field {
            name: name.into(),
            column_type,
            unit: String::new(),
            field_use,
            sensitivity: Sensitivity::Public,
            omit_zero: false,
        });
        self.columns.push(column);
        self
    }

    pub fn u32(self, name: &str, field_use: FieldUse, values: Vec<u32>) -> Self {
        self.with(name, field_use, ColumnType::U32, Arc::new(UInt32Array::from(values)))
    }

    pub fn u64(self, name: &str, field_use: FieldUse, values: Vec<u64>) -> Self {
        self.with(name, field_use, ColumnType::U64, Arc::new(UInt64Array::from(values)))
    }

    pub fn i64(self, name: &str, values: Vec<i64>) -> Self {
        self.with(name, FieldUse::Plain, ColumnType::I64, Arc::new(Int64Array::from(values)))
    }

    pub fn f64(self, name: &str, values: Vec<f64>) -> Self {
        self.with(name, FieldUse::Plain, ColumnType::F64, Arc::new(Float64Array::from(values)))
    }

    pub fn boolean(self, name: &str, values: Vec<u8>) -> Self {
        self.with(name, FieldUse::Plain, ColumnType::Boolean, Arc::new(UInt8Array::from(values)))
    }

    pub fn text(self, name: &str, field_use: FieldUse, values: Vec<&str>) -> Self {
        self.with(name, field_use, ColumnType::Text, Arc::new(StringArray::from(values)))
    }

    pub fn bytes(self, name: &str, values: Vec<&[u8]>) -> Self {
        self.with(name, FieldUse::Plain, ColumnType::Bytes, Arc::new(BinaryArray::from(values)))
    }

    /// Makes the last field sensitive.
    pub fn sensitive(mut self, sensitivity: Sensitivity) -> Self {
        self.fields.last_mut().unwrap().sensitivity = sensitivity;
        self
    }

    /// Makes 0 or empty mean "not known" in the last field.
    pub fn omit_zero(mut self) -> Self {
        self.fields.last_mut().unwrap().omit_zero = true;
        self
    }

    pub fn kept(self) -> Kept {
        let schema = Schema { event: "file.open".into(), signal: self.signal, fields: self.fields, metrics: Vec::new() };
        schema.check().unwrap();
        Kept {
            path: "file".into(),
            batch: RecordBatch::try_new(Arc::new(schema.arrow()), self.columns).unwrap(),
            schema: Arc::new(schema),
            thresholds: self.thresholds.into_iter().map(Threshold::new).collect(),
            randomness: self.randomness,
            explicit_randomness: self.explicit_randomness,
            unix_offset_ns: OFFSET,
            observed_ns: 0,
        }
    }
}

/// A row whose numbers are all at a limit of their range.
pub fn extremes() -> Kept {
    let rows = Rows::new(Signal::Span, 1)
        .u64("duration", FieldUse::Duration, vec![u64::MAX])
        .u32("kind", FieldUse::Kind, vec![u32::MAX])
        .i64("least", vec![i64::MIN])
        .f64("not.a.number", vec![f64::NAN])
        .f64("infinite", vec![f64::NEG_INFINITY]);
    let mut kept = rows.kept();
    kept.unix_offset_ns = u64::MAX;
    kept.thresholds = vec![Threshold::new(u64::MAX)];
    kept.randomness = vec![u64::MAX];
    kept
}

/// Creates `count` spans with one attribute that distinguishes them.
pub fn spans(count: u64) -> Kept {
    Rows::new(Signal::Span, count).u64("row", FieldUse::Plain, (0..count).collect()).kept()
}
