//! Columns as Arrow arrays: empty ones where a plugin failed, and a batch made whole.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt8Array, UInt32Array,
    UInt64Array,
};
use arrow_schema::ArrowError;
use arrow_select::filter::{FilterBuilder, FilterPredicate};
use host_model::{Batch, ColumnType};

/// `rows` values that say nothing: 0 or empty.
pub(crate) fn blank(column_type: ColumnType, rows: usize) -> ArrayRef {
    match column_type {
        ColumnType::Boolean => Arc::new(UInt8Array::from(vec![0; rows])),
        ColumnType::U32 => Arc::new(UInt32Array::from(vec![0; rows])),
        ColumnType::U64 => Arc::new(UInt64Array::from(vec![0; rows])),
        ColumnType::I64 => Arc::new(Int64Array::from(vec![0; rows])),
        ColumnType::F64 => Arc::new(Float64Array::from(vec![0.0; rows])),
        ColumnType::Text => Arc::new(StringArray::from(vec![""; rows])),
        ColumnType::Bytes => Arc::new(BinaryArray::from(vec![&b""[..]; rows])),
    }
}

/// The rows to keep, prepared once for all columns.
pub(crate) fn selection(keep: &[bool]) -> FilterPredicate {
    FilterBuilder::new(&BooleanArray::from(keep.to_vec())).optimize().build()
}

/// Every column that is there, narrowed to the selected rows.
pub(crate) fn narrow(batch: &mut Batch, selection: &FilterPredicate) -> Result<(), ArrowError> {
    for column in batch.columns.iter_mut().flatten() {
        *column = selection.filter(column)?;
    }
    batch.rows = selection.count();
    Ok(())
}

/// Puts blank columns where there is none or where one has the wrong length or type, and says for how many that was so.
pub(crate) fn fill(batch: &mut Batch) -> usize {
    let mut filled = 0;
    for (field, column) in batch.schema.fields.iter().zip(&mut batch.columns) {
        let fits = |column: &ArrayRef| column.len() == batch.rows && *column.data_type() == field.column_type.data_type();
        if !column.as_ref().is_some_and(fits) {
            *column = Some(blank(field.column_type, batch.rows));
            filled += 1;
        }
    }
    filled
}

/// The Arrow batch of a batch whose columns are all there.
pub(crate) fn record_batch(batch: Batch, arrow: &Arc<arrow_schema::Schema>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(Arc::clone(arrow), batch.columns.into_iter().flatten().collect())
}
