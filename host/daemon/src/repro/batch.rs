//! A batch as a file: an Arrow IPC stream with the columns that there were, each under its field's name.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::root_as_message;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::Schema as ArrowSchema;
use host_model::{Batch, Schema};

/// Stands before the length of every message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The fields that have a column, and the file.
pub(super) fn write(batch: &Batch) -> Result<(Vec<usize>, Vec<u8>), String> {
    let columns = || batch.columns.iter().enumerate().filter_map(|(field, column)| Some((field, column.as_ref()?)));
    let fields: Vec<usize> = columns().map(|(field, _)| field).collect();
    let schema = Arc::new(arrow(&batch.schema, &fields)?);
    let options = RecordBatchOptions::new().with_row_count(Some(batch.rows));
    let arrays = columns().map(|(_, column)| Arc::clone(column)).collect();
    let rows = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options).map_err(text)?;
    let mut stream = StreamWriter::try_new(Vec::new(), &schema).map_err(text)?;
    stream.write(&rows).map_err(text)?;
    Ok((fields, stream.into_inner().map_err(text)?))
}

/// The batch in a file, if its columns are those of `fields`.
pub(super) fn read(bytes: &[u8], schema: &Arc<Schema>, fields: &[usize]) -> Result<Batch, String> {
    check(bytes)?;
    let mut stream = StreamReader::try_new(Cursor::new(bytes), None).map_err(text)?;
    let rows = stream.next().ok_or("it holds no rows")?.map_err(text)?;
    if rows.schema().fields() != arrow(schema, fields)?.fields() {
        return Err("its columns are not those of its schema".into());
    }
    let mut batch = Batch::new(Arc::clone(schema), rows.num_rows());
    batch.put(fields, rows.columns().to_vec());
    Ok(batch)
}

fn arrow(schema: &Schema, fields: &[usize]) -> Result<ArrowSchema, String> {
    schema.arrow().project(fields).map_err(text)
}

/// Arrow allocates what a message claims to have: none may claim more than there is, or to unpack to more.
fn check(mut bytes: &[u8]) -> Result<(), String> {
    let broken = || "it is not a whole Arrow stream".to_owned();
    while !bytes.is_empty() {
        let (continuation, rest) = bytes.split_first_chunk::<4>().ok_or_else(broken)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
        let length = u32::from_le_bytes(*length) as usize;
        if *continuation != CONTINUATION {
            return Err(broken());
        }
        if length == 0 {
            return Ok(());
        }
        let (description, rest) = rest.split_at_checked(length).ok_or_else(broken)?;
        let message = root_as_message(description).map_err(|error| error.to_string())?;
        if message.header_as_record_batch().is_some_and(|batch| batch.compression().is_some()) {
            return Err("it is compressed, which a repro never is".into());
        }
        let body = usize::try_from(message.bodyLength()).map_err(|_| broken())?;
        bytes = rest.get(body..).ok_or_else(broken)?;
    }
    Ok(())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::UInt64Type;
    use arrow_array::{ArrayRef, StringArray, UInt64Array};
    use host_model::{ColumnType, Field, FieldUse, Sensitivity, Signal};

    use super::*;

    fn batch() -> Batch {
        let field = |name: &str, column_type| Field {
            name: name.into(),
            column_type,
            unit: String::new(),
            field_use: FieldUse::Plain,
            sensitivity: Sensitivity::Public,
            omit_zero: false,
        };
        let fields = vec![field("a", ColumnType::U64), field("b", ColumnType::U64), field("c", ColumnType::Text)];
        let schema = Schema { event: "e".into(), signal: Signal::Log, fields, metrics: Vec::new() };
        let mut batch = Batch::new(Arc::new(schema), 2);
        let columns: [ArrayRef; 2] = [Arc::new(UInt64Array::from(vec![7, 8])), Arc::new(StringArray::from(vec!["x", "y"]))];
        batch.put(&[0, 2], columns.to_vec());
        batch
    }

    #[test]
    fn the_columns_that_there_were_come_back() {
        let (fields, file) = write(&batch()).unwrap();
        assert_eq!(fields, [0, 2]);
        let back = read(&file, &batch().schema, &fields).unwrap();
        assert_eq!((back.rows, back.column(1).is_none()), (2, true));
        assert_eq!(back.column(0).unwrap().as_primitive::<UInt64Type>().values(), &[7, 8]);
        assert_eq!(back.column(2).unwrap().as_string::<i32>().value(1), "y");
    }

    #[test]
    fn rows_without_a_column_come_back_as_many() {
        let empty = Batch::new(Arc::clone(&batch().schema), 5);
        let (fields, file) = write(&empty).unwrap();
        assert_eq!(read(&file, &empty.schema, &fields).unwrap().rows, 5);
    }

    #[test]
    fn a_file_that_was_cut_or_is_of_other_columns_is_refused() {
        let (fields, file) = write(&batch()).unwrap();
        for end in [1, 7, 9, file.len() / 2, file.len() - 9] {
            assert!(read(&file[..end], &batch().schema, &fields).is_err(), "{end}");
        }
        assert!(read(&file, &batch().schema, &[0, 1]).unwrap_err().contains("columns"));
        assert!(read(&file, &batch().schema, &[9]).is_err());
    }

    #[test]
    fn a_body_that_is_claimed_and_not_there_is_not_allocated() {
        let (fields, file) = write(&batch()).unwrap();
        // Every byte of the descriptions once turned upside down: refused or read, but never believed.
        for at in 0..file.len().min(900) {
            let mut broken = file.clone();
            broken[at] ^= 0xff;
            let _ = std::panic::catch_unwind(|| read(&broken, &batch().schema, &fields));
        }
    }
}
