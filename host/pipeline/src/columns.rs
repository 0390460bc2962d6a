//! Columns as Arrow arrays: blank ones where a plugin failed, and the record batch of all of them.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt8Array, UInt32Array,
    UInt64Array,
};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::ArrowError;
use arrow_select::filter::{FilterBuilder, FilterPredicate};
use host_model::{Batch, ColumnType};

/// Number of types that a column may have.
const TYPES: usize = 7;

/// Returns a column of `rows` values that are 0 or empty.
pub(crate) fn blank(column_type: ColumnType, rows: usize) -> ArrayRef {
    match column_type {
        ColumnType::Boolean => Arc::new(UInt8Array::from(vec![0; rows])),
        ColumnType::U32 => Arc::new(UInt32Array::from(vec![0; rows])),
        ColumnType::U64 => Arc::new(UInt64Array::from(vec![0; rows])),
        ColumnType::I64 => Arc::new(Int64Array::from(vec![0; rows])),
        ColumnType::F64 => Arc::new(Float64Array::from(vec![0.0; rows])),
        ColumnType::Text => Arc::new(StringArray::new(OffsetBuffer::new_zeroed(rows), nothing(), None)),
        ColumnType::Bytes => Arc::new(BinaryArray::new(OffsetBuffer::new_zeroed(rows), nothing(), None)),
    }
}

fn nothing() -> Buffer {
    Buffer::from_vec(Vec::<u8>::new())
}

/// Prepares the rows to keep, once for all columns.
pub(crate) fn selection(keep: &[bool]) -> FilterPredicate {
    FilterBuilder::new(&BooleanArray::from(keep.to_vec())).optimize().build()
}

/// Narrows all columns to the selected rows.
pub(crate) fn narrow(batch: &mut Batch, selection: &FilterPredicate) -> Result<(), ArrowError> {
    for column in batch.columns.iter_mut().flatten() {
        *column = selection.filter(column)?;
    }
    batch.rows = selection.count();
    Ok(())
}

/// Replaces columns that are missing or have the wrong length or type by blank ones, and returns their number. Those of one type share
/// their memory.
pub(crate) fn fill(batch: &mut Batch) -> usize {
    let mut filled = 0;
    let mut blanks: [Option<ArrayRef>; TYPES] = [const { None }; TYPES];
    for (field, column) in batch.schema.fields.iter().zip(&mut batch.columns) {
        let fits = |column: &ArrayRef| column.len() == batch.rows && *column.data_type() == field.column_type.data_type();
        if !column.as_ref().is_some_and(fits) {
            let make = || blank(field.column_type, batch.rows);
            *column = Some(match blanks.get_mut(field.column_type as usize) {
                Some(of_type) => Arc::clone(of_type.get_or_insert_with(make)),
                None => make(),
            });
            filled += 1;
        }
    }
    filled
}

/// Returns the Arrow batch of a batch whose columns are complete.
pub(crate) fn record_batch(batch: Batch, arrow: &Arc<arrow_schema::Schema>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(Arc::clone(arrow), batch.columns.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use host_model::{Field, FieldUse, Schema, Sensitivity, Signal};

    use super::*;

    const ALL: [ColumnType; TYPES] = [
        ColumnType::Boolean,
        ColumnType::U32,
        ColumnType::U64,
        ColumnType::I64,
        ColumnType::F64,
        ColumnType::Text,
        ColumnType::Bytes,
    ];

    #[test]
    fn columns_that_are_not_there_cost_one_for_each_type_however_many_there_are() {
        let field = |number: usize| Field {
            name: format!("f{number}"),
            column_type: ALL[number % TYPES],
            unit: String::new(),
            field_use: FieldUse::Plain,
            sensitivity: Sensitivity::Public,
            omit_zero: false,
        };
        let fields = (0..TYPES * 3).map(field).collect();
        let schema = Schema { event: "e".into(), signal: Signal::Log, fields, metrics: Vec::new() };
        let mut batch = Batch::new(Arc::new(schema), 5);
        assert_eq!(fill(&mut batch), TYPES * 3);
        assert_eq!(fill(&mut batch), 0, "they fit");
        for (place, column_type) in ALL.into_iter().enumerate() {
            let column = |number: usize| batch.column(number).unwrap();
            assert!(Arc::ptr_eq(column(place), column(place + TYPES)));
            assert_eq!((column(place).len(), column(place).data_type()), (5, &column_type.data_type()));
        }
    }
}
