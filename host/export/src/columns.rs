//! The columns of a batch, resolved once per batch, and their values.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use host_model::{ColumnType, Field, Schema};

/// The columns of one batch, in the order of the schema's fields.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    columns: Vec<Column<'a>>,
    /// Number of rows of the batch.
    pub rows: usize,
}

/// One column as the encoders read it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column<'a> {
    /// Boolean: 0 or 1.
    Boolean(&'a [u8]),
    /// Unsigned 32-bit integer.
    U32(&'a [u32]),
    /// Unsigned 64-bit integer.
    U64(&'a [u64]),
    /// Signed 64-bit integer.
    I64(&'a [i64]),
    /// 64-bit float.
    F64(&'a [f64]),
    /// Text: row i is `bytes[offsets[i]..offsets[i + 1]]`.
    Text(&'a [i32], &'a [u8]),
    /// Bytes, in the layout of text.
    Bytes(&'a [i32], &'a [u8]),
    /// The column is missing, or has another type than the field.
    Absent,
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    /// 0 or 1.
    Bool(bool),
    /// An unsigned integer.
    Unsigned(u64),
    /// A signed integer.
    Signed(i64),
    /// A float.
    Float(f64),
    /// UTF-8 text.
    Text(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
}

// === impl Columns ===

impl<'a> Columns<'a> {
    pub(crate) fn of(schema: &Schema, batch: &'a RecordBatch) -> Self {
        let mut arrays = batch.columns().iter();
        let column = |field: &Field| arrays.next().map_or(Column::Absent, |array| Column::of(field.column_type, array));
        Self { columns: schema.fields.iter().map(column).collect(), rows: batch.num_rows() }
    }

    /// Returns the column of a field.
    #[inline]
    pub(crate) fn column(&self, field: usize) -> Column<'a> {
        self.columns.get(field).copied().unwrap_or(Column::Absent)
    }

    /// Returns the value of a field; None if its column is missing.
    #[inline]
    pub(crate) fn value(&self, field: usize, row: usize) -> Option<Value<'a>> {
        self.columns.get(field)?.value(row)
    }

    /// Returns the length of the longest value of a text or bytes field.
    pub(crate) fn longest(&self, field: usize) -> usize {
        let (Column::Text(offsets, _) | Column::Bytes(offsets, _)) = self.column(field) else { return 0 };
        let lengths = offsets.iter().zip(offsets.iter().skip(1)).map(|(start, end)| end.wrapping_sub(*start));
        lengths.max().map_or(0, |longest| usize::try_from(longest).unwrap_or(0))
    }

    /// Returns the value of a number field; 0 if there is none.
    #[inline]
    pub(crate) fn number(&self, field: usize, row: usize) -> u64 {
        match self.value(field, row) {
            Some(Value::Unsigned(value)) => value,
            _ => 0,
        }
    }

    /// Returns the value of a text field; empty if there is none.
    #[inline]
    pub(crate) fn text(&self, field: usize, row: usize) -> &'a [u8] {
        match self.value(field, row) {
            Some(Value::Text(text)) => text,
            _ => &[],
        }
    }
}

// === impl Column ===

impl<'a> Column<'a> {
    fn of(column_type: ColumnType, array: &'a ArrayRef) -> Self {
        if *array.data_type() != column_type.data_type() {
            return Self::Absent;
        }
        match array.data_type() {
            DataType::UInt8 => Self::Boolean(array.as_primitive::<UInt8Type>().values()),
            DataType::UInt32 => Self::U32(array.as_primitive::<UInt32Type>().values()),
            DataType::UInt64 => Self::U64(array.as_primitive::<UInt64Type>().values()),
            DataType::Int64 => Self::I64(array.as_primitive::<Int64Type>().values()),
            DataType::Float64 => Self::F64(array.as_primitive::<Float64Type>().values()),
            DataType::Utf8 => {
                let text = array.as_string::<i32>();
                Self::Text(text.value_offsets(), text.value_data())
            }
            DataType::Binary => {
                let bytes = array.as_binary::<i32>();
                Self::Bytes(bytes.value_offsets(), bytes.value_data())
            }
            _ => Self::Absent,
        }
    }

    #[inline]
    fn value(&self, row: usize) -> Option<Value<'a>> {
        Some(match *self {
            Self::Boolean(values) => Value::Bool(*values.get(row)? != 0),
            Self::U32(values) => Value::Unsigned(u64::from(*values.get(row)?)),
            Self::U64(values) => Value::Unsigned(*values.get(row)?),
            Self::I64(values) => Value::Signed(*values.get(row)?),
            Self::F64(values) => Value::Float(*values.get(row)?),
            Self::Text(offsets, bytes) => Value::Text(slice(offsets, bytes, row)?),
            Self::Bytes(offsets, bytes) => Value::Bytes(slice(offsets, bytes, row)?),
            Self::Absent => return None,
        })
    }
}

#[inline]
fn slice<'a>(offsets: &[i32], bytes: &'a [u8], row: usize) -> Option<&'a [u8]> {
    let (&start, &end) = (offsets.get(row)?, offsets.get(row + 1)?);
    bytes.get(start as usize..end as usize)
}

// === impl Value ===

impl Value<'_> {
    /// Whether `omit-zero` omits the value: 0, false or empty.
    #[inline]
    pub(crate) fn is_zero(self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::Unsigned(value) => value == 0,
            Self::Signed(value) => value == 0,
            Self::Float(value) => value == 0.0,
            Self::Text(value) | Self::Bytes(value) => value.is_empty(),
        }
    }
}
