//! The columns that metrics read, looked up once per batch.

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt32Type, UInt64Type};
use host_model::{Batch, Condition, Metric};

/// One metric in one batch: its columns are looked up once.
pub(super) struct Meter<'a> {
    values: Option<Values<'a>>,
    only: Vec<Test<'a>>,
}

/// A condition and its column.
enum Test<'a> {
    Number(&'a [u32], u32),
    Flag(&'a [u8], u32),
    /// The column is missing: the condition never holds.
    Never,
}

/// A measured column.
struct Values<'a> {
    numbers: Numbers<'a>,
    /// Whether a 0 means that there is no measurement.
    omit_zero: bool,
}

enum Numbers<'a> {
    U32(&'a [u32]),
    U64(&'a [u64]),
}

// === impl Meter ===

impl<'a> Meter<'a> {
    pub(super) fn of(batch: &'a Batch, metric: &Metric) -> Self {
        let only = metric.only.iter().map(|only| Test::of(batch, *only)).collect();
        Self { values: Values::of(batch, metric.value), only }
    }

    /// Whether all conditions hold in a row.
    pub(super) fn counts(&self, row: usize) -> bool {
        self.only.iter().all(|only| only.holds(row))
    }

    /// Returns the value of a row, unless it is unknown.
    pub(super) fn known(&self, row: usize) -> Option<u64> {
        self.values.as_ref()?.known(row)
    }
}

// === impl Test ===

impl<'a> Test<'a> {
    fn of(batch: &'a Batch, only: Condition) -> Self {
        let Some(column) = batch.column(only.field) else { return Self::Never };
        if let Some(column) = column.as_primitive_opt::<UInt32Type>() {
            return Self::Number(column.values(), only.equals);
        }
        column.as_primitive_opt::<UInt8Type>().map_or(Self::Never, |column| Self::Flag(column.values(), only.equals))
    }

    fn holds(&self, row: usize) -> bool {
        match *self {
            Self::Number(values, equals) => values.get(row) == Some(&equals),
            Self::Flag(values, equals) => values.get(row).is_some_and(|&value| u32::from(value) == equals),
            Self::Never => false,
        }
    }
}

// === impl Values ===

impl<'a> Values<'a> {
    fn of(batch: &'a Batch, field: usize) -> Option<Self> {
        let omit_zero = batch.schema.fields.get(field)?.omit_zero;
        let column = batch.column(field)?;
        let narrow = column.as_primitive_opt::<UInt32Type>().map(|column| Numbers::U32(column.values()));
        let numbers = narrow.or_else(|| column.as_primitive_opt::<UInt64Type>().map(|column| Numbers::U64(column.values())))?;
        Some(Self { numbers, omit_zero })
    }

    /// Returns the value of a row, unless it is unknown.
    fn known(&self, row: usize) -> Option<u64> {
        let value = match self.numbers {
            Numbers::U32(values) => values.get(row).copied()?.into(),
            Numbers::U64(values) => values.get(row).copied()?,
        };
        (value != 0 || !self.omit_zero).then_some(value)
    }
}
