//! A batch as a file: an Arrow IPC stream with the columns present, each under its field's name.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt8Array, UInt32Array,
    UInt64Array,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_ipc::writer::StreamWriter;
use arrow_ipc::{Message, Precision, Type, root_as_message};
use arrow_schema::Schema as ArrowSchema;
use host_model::{Batch, ColumnType, Field, Schema};
use host_plugin::limits::MOST_ROWS;

/// Prefix of the length of every message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Returns the fields that have a column, and the file.
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

/// Reads the batch in a file if its columns are those of `fields`. Lengths and types are checked against the data first, because the file
/// may come from anywhere.
pub(super) fn read(bytes: &[u8], schema: &Arc<Schema>, fields: &[usize]) -> Result<Batch, String> {
    let wanted: Option<Vec<&Field>> = fields.iter().map(|&field| schema.fields.get(field)).collect();
    let wanted = wanted.ok_or("its columns are not those of its schema")?;
    let (declared, _, rest) = message(bytes)?;
    if !declared.header_as_schema().is_some_and(|declared| is_of(declared, &wanted)) {
        return Err("its columns are not those of its schema".into());
    }
    let (batch, body, _) = message(rest)?;
    let batch = batch.header_as_record_batch().ok_or("it holds no rows")?;
    if batch.compression().is_some() {
        return Err("it is compressed, which a repro never is".into());
    }
    let rows =
        usize::try_from(batch.length()).ok().filter(|rows| *rows <= MOST_ROWS).ok_or("it claims rows that nobody has")?;
    let mut nodes = batch.nodes().into_iter().flatten();
    let mut buffers = batch.buffers().into_iter().flatten().map(|buffer| part(body, buffer.offset(), buffer.length()));
    let mut columns = Vec::new();
    for field in wanted {
        let node = nodes.next().filter(|node| node.length() == batch.length() && node.null_count() == 0);
        let validity = buffers.next().flatten();
        let column = node.zip(validity).and_then(|_| column(field.column_type, rows, || buffers.next().flatten()));
        columns.push(column.ok_or_else(|| format!("column `{}` is damaged", field.name))?);
    }
    let mut batch = Batch::new(Arc::clone(schema), rows);
    batch.put(fields, columns);
    Ok(batch)
}

fn arrow(schema: &Schema, fields: &[usize]) -> Result<ArrowSchema, String> {
    schema.arrow().project(fields).map_err(text)
}

/// Returns the first message of a stream, its body, and the rest.
fn message(bytes: &[u8]) -> Result<(Message<'_>, &[u8], &[u8]), String> {
    let broken = || "it is not a whole Arrow stream".to_owned();
    let (continuation, rest) = bytes.split_first_chunk::<4>().ok_or_else(broken)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
    let length = u32::from_le_bytes(*length) as usize;
    if *continuation != CONTINUATION || length == 0 {
        return Err(broken());
    }
    let (description, rest) = rest.split_at_checked(length).ok_or_else(broken)?;
    let message = root_as_message(description).map_err(text)?;
    let body = usize::try_from(message.bodyLength()).map_err(|_| broken())?;
    let (body, rest) = rest.split_at_checked(body).ok_or_else(broken)?;
    Ok((message, body, rest))
}

/// Whether a stream declares these fields, in this order.
fn is_of(declared: arrow_ipc::Schema<'_>, wanted: &[&Field]) -> bool {
    let declared = declared.fields().into_iter().flatten();
    let same = |declared: arrow_ipc::Field<'_>, wanted: &Field| {
        let int = |bits: i32, signed: bool| {
            declared.type_as_int().is_some_and(|int| int.bitWidth() == bits && int.is_signed() == signed)
        };
        declared.name() == Some(&wanted.name)
            && declared.dictionary().is_none()
            && match wanted.column_type {
                ColumnType::Boolean => int(8, false),
                ColumnType::U32 => int(32, false),
                ColumnType::U64 => int(64, false),
                ColumnType::I64 => int(64, true),
                ColumnType::F64 => {
                    declared.type_as_floating_point().is_some_and(|float| float.precision() == Precision::DOUBLE)
                }
                ColumnType::Text => declared.type_type() == Type::Utf8,
                ColumnType::Bytes => declared.type_type() == Type::Binary,
            }
    };
    let mut expected = wanted.iter();
    let mut declared = declared;
    declared.all(|field| expected.next().is_some_and(|wanted| same(field, wanted))) && expected.next().is_none()
}

/// Returns a part of a body.
fn part(body: &[u8], offset: i64, length: i64) -> Option<&[u8]> {
    let (start, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
    body.get(start..start.checked_add(length)?)
}

/// Reads a column from the buffers that follow its validity, which is unused: no value is missing.
fn column<'a>(column_type: ColumnType, rows: usize, mut buffer: impl FnMut() -> Option<&'a [u8]>) -> Option<ArrayRef> {
    Some(match column_type {
        ColumnType::Boolean => {
            let values = numbers(buffer()?, rows, u8::from_le_bytes)?;
            if values.iter().any(|value| *value > 1) {
                return None;
            }
            Arc::new(UInt8Array::from(values))
        }
        ColumnType::U32 => Arc::new(UInt32Array::from(numbers(buffer()?, rows, u32::from_le_bytes)?)),
        ColumnType::U64 => Arc::new(UInt64Array::from(numbers(buffer()?, rows, u64::from_le_bytes)?)),
        ColumnType::I64 => Arc::new(Int64Array::from(numbers(buffer()?, rows, i64::from_le_bytes)?)),
        ColumnType::F64 => Arc::new(Float64Array::from(numbers(buffer()?, rows, f64::from_le_bytes)?)),
        ColumnType::Text => {
            let (offsets, bytes) = values(rows, buffer()?, buffer()?)?;
            Arc::new(StringArray::try_new(offsets, bytes, None).ok()?)
        }
        ColumnType::Bytes => {
            let (offsets, bytes) = values(rows, buffer()?, buffer()?)?;
            Arc::new(BinaryArray::try_new(offsets, bytes, None).ok()?)
        }
    })
}

fn numbers<T, const N: usize>(bytes: &[u8], rows: usize, number: fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (numbers, _) = bytes.get(..rows.checked_mul(N)?)?.as_chunks::<N>();
    Some(numbers.iter().map(|bytes| number(*bytes)).collect())
}

/// Reads offsets that rise from 0 or more, and the bytes to which they refer.
fn values(rows: usize, offsets: &[u8], bytes: &[u8]) -> Option<(OffsetBuffer<i32>, Buffer)> {
    // With no rows there may be no offset at all.
    let offsets = if rows == 0 { vec![0] } else { numbers(offsets, rows.checked_add(1)?, i32::from_le_bytes)? };
    let (first, last) = (*offsets.first()?, *offsets.last()?);
    if first < 0 || !offsets.is_sorted() || usize::try_from(last).ok()? > bytes.len() {
        return None;
    }
    Some((OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from(bytes)))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::UInt64Type;
    use host_model::{FieldUse, Sensitivity, Signal};

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

    /// A batch with a column of every type.
    fn wide() -> Batch {
        let types: [(ColumnType, ArrayRef); 7] = [
            (ColumnType::Boolean, Arc::new(UInt8Array::from(vec![0, 1, 1]))),
            (ColumnType::U32, Arc::new(UInt32Array::from(vec![1, 2, 3]))),
            (ColumnType::U64, Arc::new(UInt64Array::from(vec![1, 2, u64::MAX]))),
            (ColumnType::I64, Arc::new(Int64Array::from(vec![-1, 0, 1]))),
            (ColumnType::F64, Arc::new(Float64Array::from(vec![0.5, f64::INFINITY, -0.0]))),
            (ColumnType::Text, Arc::new(StringArray::from(vec!["ö", "", "zz"]))),
            (ColumnType::Bytes, Arc::new(BinaryArray::from(vec![&b"\xff"[..], b"", b"abc"]))),
        ];
        let of_type = |(number, (column_type, _)): (usize, &(ColumnType, ArrayRef))| Field {
            name: format!("f{number}"),
            column_type: *column_type,
            ..batch().schema.fields[0].clone()
        };
        let fields = types.iter().enumerate().map(of_type).collect();
        let schema = Schema { event: "e".into(), signal: Signal::Log, fields, metrics: Vec::new() };
        let mut batch = Batch::new(Arc::new(schema), 3);
        batch.put(&[0, 1, 2, 3, 4, 5, 6], types.into_iter().map(|(_, column)| column).collect());
        batch
    }

    #[test]
    fn a_column_of_every_type_comes_back_as_it_was() {
        let wide = wide();
        let (fields, file) = write(&wide).unwrap();
        assert_eq!(read(&file, &wide.schema, &fields).unwrap().columns, wide.columns);
        let mut none = Batch::new(Arc::clone(&wide.schema), 0);
        none.put(&fields, wide.columns.iter().flatten().map(|column| column.slice(0, 0)).collect());
        let (fields, file) = write(&none).unwrap();
        assert_eq!(read(&file, &none.schema, &fields).unwrap().columns, none.columns);
    }

    #[test]
    fn a_file_with_any_of_its_bytes_changed_is_refused_or_read_and_nothing_in_it_is_believed() {
        let wide = wide();
        let (fields, file) = write(&wide).unwrap();
        // Deterministic, so that a failure can be repeated.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap()
        };
        let of_byte = (0..file.len()).flat_map(|at| [0xff, 0x80, 0x01].map(|bits| vec![(at, bits)]));
        let mutations: Vec<Vec<(usize, u8)>> = of_byte.collect();
        let several = (0..5_000).map(|_| (0..=random() % 6).map(|_| (random() % file.len(), random() as u8)).collect());
        let several: Vec<Vec<(usize, u8)>> = several.collect();
        let mut taken = 0;
        for mutation in mutations.iter().chain(&several) {
            let mut broken = file.clone();
            mutation.iter().for_each(|&(at, bits)| broken[at] ^= bits);
            if let Ok(batch) = read(&broken, &wide.schema, &fields) {
                assert!(batch.rows <= MOST_ROWS && batch.columns.iter().flatten().all(|column| column.len() == batch.rows));
                taken += 1;
            }
        }
        assert!(taken > 0 && taken < mutations.len() + several.len(), "{taken} of {}", mutations.len() + several.len());
    }

    #[test]
    fn rows_that_nobody_has_are_not_made() {
        let empty = Batch::new(Arc::clone(&batch().schema), MOST_ROWS + 1);
        let (fields, file) = write(&empty).unwrap();
        assert!(read(&file, &empty.schema, &fields).unwrap_err().contains("rows that nobody has"));
    }
}
