//! Passes columns into the sandbox and out of it.
//!
//! In: a slice of the Arrow buffer, copied once by the call. Out: the vector that the call returned, checked and then owned by the Arrow
//! array. Neither has a cost per row beyond the copy and the check.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{ArrowNativeType, Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;
use host_model::{Batch, ColumnType, Field};

use crate::breach::Breach;
use crate::version::v0_1::probe::plugin::columns::{ColumnParam, ColumnResult, ValuesParam, ValuesResult};

/// Returns the wanted columns of a batch, as slices; None if the batch lacks one or its type differs from that of its field.
pub(crate) fn lower<'a>(batch: &'a Batch, wanted: &[usize]) -> Option<Vec<ColumnParam<'a>>> {
    wanted.iter().map(|&field| column(batch.column(field)?)).collect()
}

/// Returns the batch with offsets that start at 0, as the contract requires; most have them already.
pub(crate) fn rebased<'a>(batch: &'a Batch, wanted: &[usize]) -> Cow<'a, Batch> {
    let mut batch = Cow::Borrowed(batch);
    for &field in wanted {
        if let Some(array) = batch.column(field).and_then(rebase) {
            batch.to_mut().put(&[field], vec![array]);
        }
    }
    batch
}

/// Copies a column of a host table; None if plugins cannot read its type.
pub(crate) fn copy(array: &ArrayRef) -> Option<ColumnResult> {
    let array = rebase(array).unwrap_or_else(|| array.clone());
    let owned = |values: ValuesParam<'_>| ValuesResult { offsets: values.offsets.to_vec(), bytes: values.bytes.to_vec() };
    Some(match column(&array)? {
        ColumnParam::Boolean(values) => ColumnResult::Boolean(values.to_vec()),
        ColumnParam::U32(values) => ColumnResult::U32(values.to_vec()),
        ColumnParam::U64(values) => ColumnResult::U64(values.to_vec()),
        ColumnParam::I64(values) => ColumnResult::I64(values.to_vec()),
        ColumnParam::F64(values) => ColumnResult::F64(values.to_vec()),
        ColumnParam::Text(values) => ColumnResult::Text(owned(values)),
        ColumnParam::Bytes(values) => ColumnResult::Bytes(owned(values)),
    })
}

/// Checks the columns that a guest returned for `fields`, `rows` values each.
///
/// # Errors
/// The first breach.
pub(crate) fn lift<'a>(
    columns: Vec<ColumnResult>,
    fields: impl Iterator<Item = &'a Field> + Clone,
    rows: usize,
) -> Result<Vec<ArrayRef>, Breach> {
    let must = fields.clone().count();
    if columns.len() != must {
        return Err(Breach::Columns { is: columns.len(), must });
    }
    columns.into_iter().zip(fields).map(|(column, field)| array(column, field, rows)).collect()
}

/// Checks the indices of the fields that a guest wants.
///
/// # Errors
/// An index is not in the schema, or is there twice.
pub(crate) fn wanted(indices: &[u32], fields: usize) -> Result<Vec<usize>, Breach> {
    let mut wanted = Vec::with_capacity(indices.len().min(fields));
    for &index in indices {
        match index as usize {
            field if field >= fields => return Err(Breach::Wanted { index, fields }),
            field if wanted.contains(&field) => return Err(Breach::WantedTwice { index }),
            field => wanted.push(field),
        }
    }
    Ok(wanted)
}

fn column(array: &ArrayRef) -> Option<ColumnParam<'_>> {
    Some(match array.data_type() {
        DataType::UInt8 => ColumnParam::Boolean(array.as_primitive_opt::<UInt8Type>()?.values()),
        DataType::UInt32 => ColumnParam::U32(array.as_primitive_opt::<UInt32Type>()?.values()),
        DataType::UInt64 => ColumnParam::U64(array.as_primitive_opt::<UInt64Type>()?.values()),
        DataType::Int64 => ColumnParam::I64(array.as_primitive_opt::<Int64Type>()?.values()),
        DataType::Float64 => ColumnParam::F64(array.as_primitive_opt::<Float64Type>()?.values()),
        DataType::Utf8 => {
            let array = array.as_string_opt::<i32>()?;
            ColumnParam::Text(values(array.offsets(), array.values())?)
        }
        DataType::Binary => {
            let array = array.as_binary_opt::<i32>()?;
            ColumnParam::Bytes(values(array.offsets(), array.values())?)
        }
        _ => return None,
    })
}

/// Returns offsets that start at 0, and the bytes up to the last.
fn values<'a>(offsets: &'a OffsetBuffer<i32>, bytes: &'a Buffer) -> Option<ValuesParam<'a>> {
    // Offsets are never negative, so their bits are the same unsigned.
    let offsets = offsets.inner().inner().typed_data::<u32>();
    let end = *offsets.last()? as usize;
    Some(ValuesParam { offsets, bytes: bytes.get(..end)? })
}

/// Copies a slice of text or bytes so that its offsets start at 0; None if they already do.
fn rebase(array: &ArrayRef) -> Option<ArrayRef> {
    if let Some(text) = array.as_string_opt::<i32>() {
        let moved = text.offsets().inner().first().copied() != Some(0);
        return moved.then(|| Arc::new(StringArray::from_iter_values(text.iter().map(Option::unwrap_or_default))) as ArrayRef);
    }
    let bytes = array.as_binary_opt::<i32>()?;
    let moved = bytes.offsets().inner().first().copied() != Some(0);
    moved.then(|| Arc::new(BinaryArray::from_iter_values(bytes.iter().map(Option::unwrap_or_default))) as ArrayRef)
}

fn array(column: ColumnResult, field: &Field, rows: usize) -> Result<ArrayRef, Breach> {
    Ok(match (column, field.column_type) {
        (ColumnResult::Boolean(values), ColumnType::Boolean) => {
            if values.iter().any(|&value| value > 1) {
                return Err(Breach::Boolean { field: field.name.clone() });
            }
            primitive::<UInt8Type>(values, field, rows)?
        }
        (ColumnResult::U32(values), ColumnType::U32) => primitive::<UInt32Type>(values, field, rows)?,
        (ColumnResult::U64(values), ColumnType::U64) => primitive::<UInt64Type>(values, field, rows)?,
        (ColumnResult::I64(values), ColumnType::I64) => primitive::<Int64Type>(values, field, rows)?,
        (ColumnResult::F64(values), ColumnType::F64) => primitive::<Float64Type>(values, field, rows)?,
        (ColumnResult::Text(values), ColumnType::Text) => {
            let (offsets, bytes) = checked(values, field, rows)?;
            let array = StringArray::try_new(offsets, bytes, None);
            Arc::new(array.map_err(|_| Breach::Utf8 { field: field.name.clone() })?)
        }
        (ColumnResult::Bytes(values), ColumnType::Bytes) => {
            let (offsets, bytes) = checked(values, field, rows)?;
            let array = BinaryArray::try_new(offsets, bytes, None);
            Arc::new(array.map_err(|_| Breach::Falling { field: field.name.clone() })?)
        }
        (column, must) => return Err(Breach::Type { field: field.name.clone(), is: type_of(&column), must }),
    })
}

fn primitive<T>(values: Vec<T::Native>, field: &Field, rows: usize) -> Result<ArrayRef, Breach>
where
    T: arrow_array::ArrowPrimitiveType,
    T::Native: ArrowNativeType,
{
    if values.len() != rows {
        return Err(Breach::Rows { field: field.name.clone(), is: values.len(), must: rows });
    }
    Ok(Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), None)))
}

fn checked(values: ValuesResult, field: &Field, rows: usize) -> Result<(OffsetBuffer<i32>, Buffer), Breach> {
    let ValuesResult { offsets, bytes } = values;
    let name = || field.name.clone();
    let (&[first, ..], &[.., last]) = (offsets.as_slice(), offsets.as_slice()) else {
        return Err(Breach::Offsets { field: name(), is: 0, rows });
    };
    if offsets.len() - 1 != rows {
        return Err(Breach::Offsets { field: name(), is: offsets.len(), rows });
    }
    if first != 0 {
        return Err(Breach::FirstOffset { field: name(), is: first });
    }
    // Bytes are limited far below 2^31, so from here on the bits of offsets are the same signed.
    if last as usize != bytes.len() || i32::try_from(last).is_err() {
        return Err(Breach::LastOffset { field: name(), is: last, must: bytes.len() });
    }
    if !offsets.is_sorted() {
        return Err(Breach::Falling { field: name() });
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(Buffer::from_vec(offsets)));
    Ok((offsets, Buffer::from_vec(bytes)))
}

const fn type_of(column: &ColumnResult) -> ColumnType {
    match column {
        ColumnResult::Boolean(_) => ColumnType::Boolean,
        ColumnResult::U32(_) => ColumnType::U32,
        ColumnResult::U64(_) => ColumnType::U64,
        ColumnResult::I64(_) => ColumnType::I64,
        ColumnResult::F64(_) => ColumnType::F64,
        ColumnResult::Text(_) => ColumnType::Text,
        ColumnResult::Bytes(_) => ColumnType::Bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_model::{FieldUse, Sensitivity};

    fn lifted(column: ColumnResult, column_type: ColumnType, rows: usize) -> Result<ArrayRef, Breach> {
        let field = Field {
            name: "path".into(),
            column_type,
            unit: String::new(),
            field_use: FieldUse::Plain,
            sensitivity: Sensitivity::Public,
            omit_zero: false,
        };
        array(column, &field, rows)
    }

    fn text(offsets: &[u32], bytes: &[u8]) -> Result<ArrayRef, Breach> {
        let column = ColumnResult::Text(ValuesResult { offsets: offsets.to_vec(), bytes: bytes.to_vec() });
        lifted(column, ColumnType::Text, 2)
    }

    #[test]
    fn good_text_is_lifted_without_a_copy() {
        let bytes = b"ab".to_vec();
        let place = bytes.as_ptr();
        let column = ColumnResult::Text(ValuesResult { offsets: vec![0, 1, 2], bytes });
        let array = lifted(column, ColumnType::Text, 2).unwrap();
        assert_eq!(array.as_string::<i32>().value(1), "b");
        assert_eq!(array.as_string::<i32>().values().as_ptr(), place);
    }

    #[test]
    fn every_lie_about_offsets_is_found() {
        let field = || "path".to_owned();
        assert_eq!(text(&[], b"").unwrap_err(), Breach::Offsets { field: field(), is: 0, rows: 2 });
        assert_eq!(text(&[0, 1], b"a").unwrap_err(), Breach::Offsets { field: field(), is: 2, rows: 2 });
        assert_eq!(text(&[1, 1, 2], b"ab").unwrap_err(), Breach::FirstOffset { field: field(), is: 1 });
        assert_eq!(text(&[0, 3, 2], b"ab").unwrap_err(), Breach::Falling { field: field() });
        assert_eq!(text(&[0, 1, 9], b"ab").unwrap_err(), Breach::LastOffset { field: field(), is: 9, must: 2 });
        assert_eq!(text(&[0, 0, u32::MAX], b"ab").unwrap_err(), Breach::LastOffset { field: field(), is: u32::MAX, must: 2 });
        assert_eq!(text(&[0, u32::MAX, 2], b"ab").unwrap_err(), Breach::Falling { field: field() });
    }

    #[test]
    fn a_character_split_between_two_values_is_refused() {
        assert_eq!(text(&[0, 1, 2], "ö".as_bytes()).unwrap_err(), Breach::Utf8 { field: "path".into() });
        assert_eq!(text(&[0, 1, 1], b"\xff").unwrap_err(), Breach::Utf8 { field: "path".into() });
    }

    #[test]
    fn a_column_of_the_wrong_length_or_type_is_refused() {
        let short = lifted(ColumnResult::U64(vec![1]), ColumnType::U64, 2).unwrap_err();
        assert_eq!(short, Breach::Rows { field: "path".into(), is: 1, must: 2 });
        let third = lifted(ColumnResult::Boolean(vec![1, 2]), ColumnType::Boolean, 2).unwrap_err();
        assert_eq!(third, Breach::Boolean { field: "path".into() });
        let other = lifted(ColumnResult::U32(vec![1, 2]), ColumnType::U64, 2).unwrap_err();
        assert!(matches!(other, Breach::Type { is: ColumnType::U32, must: ColumnType::U64, .. }));
    }

    #[test]
    fn a_slice_of_text_crosses_with_offsets_from_zero() {
        let array: ArrayRef = Arc::new(StringArray::from(vec!["one", "two", "three"]));
        let Some(ColumnResult::Text(values)) = copy(&array.slice(1, 2)) else { panic!("not text") };
        assert_eq!((values.offsets.as_slice(), values.bytes.as_slice()), ([0, 3, 8].as_slice(), b"twothree".as_slice()));
        let Some(ColumnResult::Text(values)) = copy(&array.slice(0, 1)) else { panic!("not text") };
        assert_eq!((values.offsets.as_slice(), values.bytes.as_slice()), ([0, 3].as_slice(), b"one".as_slice()));
    }
}
