//! The behaviour of a good guest. Its decoder reads any record: 8 bytes of time, 8 bytes of a number, and text; it numbers its rows,
//! and its state is the number of the last, so that a successor goes on counting.

use std::cell::{Cell, RefCell};

use crate::{
    Column, ColumnType, Decoded, EventSchema, Field, FieldUse, Instrument, Metric, Sensitivity, Signal, State, Values,
};

/// One record.
#[derive(Clone)]
struct Row {
    time: u64,
    hash: u64,
    text: String,
    number: u64,
}

thread_local! {
    /// The rows of the last `decode`.
    static ROWS: RefCell<Vec<Row>> = const { RefCell::new(Vec::new()) };
    /// The number of the last row.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// A plain public field.
pub fn field(name: &str, column_type: ColumnType) -> Field {
    Field {
        name: name.into(),
        column_type,
        unit: String::new(),
        use_: FieldUse::Plain,
        sensitivity: Sensitivity::Public,
        omit_zero: false,
    }
}

/// Returns this many plain fields.
pub fn fields(count: usize) -> Vec<Field> {
    (0..count).map(|index| field(&format!("guest.field{index}"), ColumnType::U64)).collect()
}

/// Returns the schema of a good decoder.
pub fn good() -> EventSchema {
    schema()
}

pub(crate) fn schema() -> EventSchema {
    let count = Metric {
        name: "test.count".into(),
        description: "Rows.".into(),
        instrument: Instrument::Counter,
        value: 0,
        only: Vec::new(),
    };
    EventSchema {
        event: "test.event".into(),
        signal: Signal::Span,
        fields: vec![
            Field { use_: FieldUse::Time, ..field("time", ColumnType::U64) },
            Field { use_: FieldUse::Duration, unit: "ns".into(), ..field("duration", ColumnType::U64) },
            field("test.number", ColumnType::U64),
            field("test.path", ColumnType::Text),
            field("test.flag", ColumnType::Boolean),
            field("test.score", ColumnType::F64),
            field("test.balance", ColumnType::I64),
        ],
        metrics: vec![count],
    }
}

/// Returns the answer of a good decoder.
pub fn decode(run: &[u8], fields: &[u32]) -> Decoded {
    let (mut rows, mut undecodable) = (Vec::new(), Vec::new());
    for (index, record) in records(run).enumerate() {
        let Some((numbers, text)) = record.split_first_chunk::<16>() else {
            undecodable.push(index as u32);
            continue;
        };
        let number = |at: usize| u64::from_le_bytes(numbers[at..at + 8].try_into().unwrap());
        NUMBER.set(NUMBER.get() + 1);
        let text = String::from_utf8_lossy(text).into_owned();
        rows.push(Row { time: number(0), hash: number(8), text, number: NUMBER.get() });
    }
    let decoded = Decoded { rows: rows.len() as u32, columns: columns(&rows, fields), undecodable };
    ROWS.set(rows);
    decoded
}

pub(crate) fn complete(rows: &[u32], fields: &[u32]) -> Vec<Column> {
    let kept: Vec<Row> = ROWS.with_borrow(|all| rows.iter().map(|&row| all[row as usize].clone()).collect());
    columns(&kept, fields)
}

pub(crate) fn notes(rows: u32) -> Column {
    text((0..rows).map(|row| format!("row {row}")))
}

pub(crate) fn export_state() -> State {
    State { version: 1, bytes: NUMBER.get().to_le_bytes().to_vec() }
}

pub(crate) fn import_state(state: &State) -> Result<(), String> {
    if state.version != 1 {
        return Err(format!("state of version {} is not known", state.version));
    }
    let bytes = state.bytes.as_slice().try_into().map_err(|_| "a state has 8 bytes")?;
    NUMBER.set(u64::from_le_bytes(bytes));
    Ok(())
}

/// Returns the texts of an answer that has at least two rows.
pub fn texts(decoded: &mut Decoded) -> impl Iterator<Item = &mut Values> {
    decoded.columns.iter_mut().filter_map(|column| match column {
        Column::Text(values) if values.offsets.len() > 2 => Some(values),
        _ => None,
    })
}

/// Returns the columns of unsigned numbers in an answer.
pub fn numbers(decoded: &mut Decoded) -> impl Iterator<Item = &mut Vec<u64>> {
    decoded.columns.iter_mut().filter_map(|column| match column {
        Column::U64(values) => Some(values),
        _ => None,
    })
}

/// Iterates over the records of a run, without discarded ones.
fn records(mut run: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        loop {
            let (header, behind) = run.split_first_chunk::<8>()?;
            let header = u32::from_le_bytes(header[..4].try_into().unwrap());
            let length = (header & !(3 << 30)) as usize;
            let record = behind.get(..length)?;
            run = behind.get(length.next_multiple_of(8)..)?;
            if header & 1 << 30 == 0 {
                return Some(record);
            }
        }
    })
}

fn columns(rows: &[Row], fields: &[u32]) -> Vec<Column> {
    let column = |field: &u32| match field {
        0 => Column::U64(rows.iter().map(|row| row.time).collect()),
        1 => Column::U64(rows.iter().map(|row| row.hash % 1_000_000).collect()),
        2 => Column::U64(rows.iter().map(|row| row.number).collect()),
        3 => text(rows.iter().map(|row| row.text.clone())),
        4 => Column::Boolean(rows.iter().map(|row| (row.hash & 1) as u8).collect()),
        5 => Column::F64(rows.iter().map(|row| row.hash as f64).collect()),
        _ => Column::I64(rows.iter().map(|row| row.hash as i64).collect()),
    };
    fields.iter().map(column).collect()
}

fn text(rows: impl Iterator<Item = String>) -> Column {
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    for row in rows {
        bytes.extend_from_slice(row.as_bytes());
        offsets.push(bytes.len() as u32);
    }
    Column::Text(Values { offsets, bytes })
}
