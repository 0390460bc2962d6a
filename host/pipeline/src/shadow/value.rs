//! Values of columns for comparison and display.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, StringArray};
use arrow_schema::DataType;
use host_model::{Field, Sensitivity, printable};

/// Maximum bytes of a value that are shown.
const SHOWN: usize = 80;
/// Maximum number of fields of a row that are shown.
const FIELDS: usize = 24;

/// One column, resolved once per batch.
#[derive(Clone, Copy)]
pub(crate) enum Column<'a> {
    /// 0 or 1.
    Boolean(&'a [u8]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    I64(&'a [i64]),
    F64(&'a [f64]),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    /// A column of a type that no field has.
    Absent,
}

/// One value. Floats are compared by their bits, so that a NaN equals itself.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Boolean(bool),
    Unsigned(u64),
    Signed(i64),
    Float(u64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

// === impl Column ===

impl<'a> Column<'a> {
    pub(crate) fn of(array: &'a ArrayRef) -> Self {
        match array.data_type() {
            DataType::UInt8 => Self::Boolean(array.as_primitive::<UInt8Type>().values()),
            DataType::UInt32 => Self::U32(array.as_primitive::<UInt32Type>().values()),
            DataType::UInt64 => Self::U64(array.as_primitive::<UInt64Type>().values()),
            DataType::Int64 => Self::I64(array.as_primitive::<Int64Type>().values()),
            DataType::Float64 => Self::F64(array.as_primitive::<Float64Type>().values()),
            DataType::Utf8 => Self::Text(array.as_string::<i32>()),
            DataType::Binary => Self::Bytes(array.as_binary::<i32>()),
            _ => Self::Absent,
        }
    }

    /// Returns the value of a row; None past the end.
    pub(crate) fn value(self, row: usize) -> Option<Value<'a>> {
        Some(match self {
            Self::Boolean(values) => Value::Boolean(*values.get(row)? != 0),
            Self::U32(values) => Value::Unsigned(u64::from(*values.get(row)?)),
            Self::U64(values) => Value::Unsigned(*values.get(row)?),
            Self::I64(values) => Value::Signed(*values.get(row)?),
            Self::F64(values) => Value::Float(values.get(row)?.to_bits()),
            Self::Text(values) => Value::Text((row < values.len()).then(|| values.value(row))?),
            Self::Bytes(values) => Value::Bytes((row < values.len()).then(|| values.value(row))?),
            Self::Absent => return None,
        })
    }
}

// === impl Value ===

impl Value<'_> {
    /// Whether the value is 0, false or empty.
    fn is_zero(self) -> bool {
        match self {
            Self::Boolean(value) => !value,
            Self::Unsigned(value) => value == 0,
            Self::Signed(value) => value == 0,
            Self::Float(bits) => f64::from_bits(bits) == 0.0,
            Self::Text(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }
}

/// Printable text, cut to [`SHOWN`] bytes.
impl std::fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cut = |over: bool| if over { "…" } else { "" };
        match *self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Unsigned(value) => write!(f, "{value}"),
            Self::Signed(value) => write!(f, "{value}"),
            Self::Float(bits) => write!(f, "{}", f64::from_bits(bits)),
            Self::Text(text) => write!(f, "{}{}", printable(text, SHOWN), cut(text.len() > SHOWN)),
            Self::Bytes(bytes) => {
                let shown = bytes.iter().take(SHOWN / 2);
                shown.into_iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str(cut(bytes.len() > SHOWN / 2))
            }
        }
    }
}

/// Describes one row by the known values of its public fields.
pub(crate) fn describe<'a>(fields: &[Field], value: impl Fn(usize) -> Option<Value<'a>>) -> BTreeMap<String, String> {
    let public = fields.iter().enumerate().filter(|(_, field)| field.sensitivity == Sensitivity::Public);
    let known = public.filter_map(|(index, field)| {
        let value = value(index).filter(|value| !(field.omit_zero && value.is_zero()))?;
        Some((printable(&field.name, SHOWN), value.to_string()))
    });
    known.take(FIELDS).collect()
}

/// Formats one value with its name: `file.path=/a`; only the name of a sensitive field.
pub(crate) fn say(field: &Field, value: Option<Value<'_>>) -> String {
    let name = printable(&field.name, SHOWN);
    match value {
        _ if field.sensitivity != Sensitivity::Public => format!("{name} (not shown)"),
        Some(value) => format!("{name}={value}"),
        None => format!("{name} missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_model::{ColumnType, FieldUse};
    use std::sync::Arc;

    fn field(name: &str, sensitivity: Sensitivity) -> Field {
        let (column_type, field_use) = (ColumnType::Text, FieldUse::Plain);
        Field { name: name.into(), column_type, unit: String::new(), field_use, sensitivity, omit_zero: false }
    }

    #[test]
    fn a_sensitive_value_is_never_shown() {
        let fields =
            [field("open", Sensitivity::Public), field("body", Sensitivity::Payload), field("user", Sensitivity::Identity)];
        let array: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let column = Column::of(&array);
        let row = describe(&fields, |_| column.value(0));
        assert_eq!(row.into_iter().collect::<Vec<_>>(), [("open".to_owned(), "x".to_owned())]);
        assert_eq!(say(&fields[2], column.value(0)), "user (not shown)");
        assert_eq!(say(&fields[0], column.value(0)), "open=x");
        assert_eq!(say(&fields[0], column.value(1)), "open missing");
    }

    #[test]
    fn values_are_printable_and_short() {
        let long = format!("\x1b[31m{}", "a".repeat(500));
        let shown = Value::Text(&long).to_string();
        assert!(shown.len() < 90 && !shown.contains('\x1b') && shown.ends_with('…'), "{shown}");
        assert!(Value::Bytes(&[0xab; 500]).to_string().len() < 90);
    }

    #[test]
    fn a_nan_is_equal_to_itself() {
        let array: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![f64::NAN]));
        assert!(Column::of(&array).value(0) == Column::of(&array).value(0));
    }
}
