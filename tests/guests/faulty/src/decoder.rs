//! Reads records of two u64 (time, hash) and text.

use std::cell::RefCell;

use crate::exports::probe::plugin::decoder::{Column, Decoded, EventSchema, Guest, RecordLayout};
use crate::probe::plugin::columns::{ColumnType, Values};
use crate::probe::plugin::layout::{Member, MemberKind};
use crate::probe::plugin::schema::{Field, FieldUse, Instrument, Metric, Sensitivity, Signal};
use crate::{Faulty, misbehave, told};

thread_local! {
    static RUN: RefCell<Vec<(u64, u64, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
}

impl Guest for Faulty {
    fn expects(_probe: String) -> Option<RecordLayout> {
        let member = |name: &str, offset| Member { name: name.into(), offset, size: 8, kind: MemberKind::Unsigned };
        if !told("expect-time-elsewhere") {
            return None;
        }
        Some(RecordLayout { name: "test_record".into(), size: 16, members: vec![member("time", 8)] })
    }

    fn bind(_probe: String, record: RecordLayout, _config: String) -> Result<EventSchema, String> {
        if record.name != "test_record" {
            return Err(format!("struct `{}` is not read", record.name));
        }
        let field = |name: &str, column_type, use_| Field {
            name: name.into(),
            column_type,
            unit: String::new(),
            use_,
            sensitivity: Sensitivity::Public,
            omit_zero: false,
        };
        let time = if told("no-time") { FieldUse::Plain } else { FieldUse::Time };
        let count = Metric {
            name: "test.count".into(),
            description: "Events.".into(),
            instrument: Instrument::Counter,
            value: 0,
            only: Vec::new(),
        };
        let metrics = if told("many-metrics") { 1000 } else { 1 };
        Ok(EventSchema {
            event: "test.event".into(),
            signal: Signal::Span,
            fields: vec![
                field("time", ColumnType::U64, time),
                field("hash", ColumnType::U64, FieldUse::Plain),
                field("file.path", ColumnType::Text, FieldUse::Plain),
            ],
            metrics: vec![count; metrics],
        })
    }

    fn decode(run: Vec<u8>, fields: Vec<u32>) -> Result<Decoded, String> {
        misbehave()?;
        let (rows, undecodable) = records(&run);
        let mut decoded = Decoded { rows: rows.len() as u32, columns: columns(&rows, &fields), undecodable };
        RUN.set(rows);
        lie(&mut decoded);
        Ok(decoded)
    }

    fn complete(rows: Vec<u32>, fields: Vec<u32>) -> Result<Vec<Column>, String> {
        if told("trap-in-complete") {
            crate::trap();
        }
        RUN.with_borrow(|run| {
            let kept: Vec<_> = rows.iter().map(|&row| run[row as usize].clone()).collect();
            Ok(columns(&kept, &fields))
        })
    }
}

fn records(mut run: &[u8]) -> (Vec<(u64, u64, Vec<u8>)>, Vec<u32>) {
    let (mut rows, mut undecodable, mut index) = (Vec::new(), Vec::new(), 0);
    while run.len() >= 8 {
        let header = u32::from_le_bytes(run[..4].try_into().unwrap());
        let length = (header & !(3 << 30)) as usize;
        let record = &run[8..8 + length];
        run = &run[(8 + length).next_multiple_of(8)..];
        if header & 1 << 30 != 0 {
            continue;
        }
        if length < 16 {
            undecodable.push(index);
        } else {
            let number = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
            rows.push((number(0), number(8), record[16..].to_vec()));
        }
        index += 1;
    }
    (rows, undecodable)
}

fn columns(rows: &[(u64, u64, Vec<u8>)], fields: &[u32]) -> Vec<Column> {
    let column = |field: &u32| match field {
        0 => Column::U64(rows.iter().map(|row| row.0).collect()),
        1 => Column::U64(rows.iter().map(|row| row.1).collect()),
        _ => {
            let (mut offsets, mut bytes) = (vec![0], Vec::new());
            for row in rows {
                bytes.extend_from_slice(&row.2);
                offsets.push(bytes.len() as u32);
            }
            Column::Text(Values { offsets, bytes })
        }
    };
    fields.iter().map(column).collect()
}

fn lie(decoded: &mut Decoded) {
    if told("lie-about-rows") {
        decoded.rows += 1;
    } else if told("endless-rows") {
        *decoded = Decoded { rows: u32::MAX, columns: Vec::new(), undecodable: Vec::new() };
    } else if told("a-column-less") {
        decoded.columns.pop();
    } else if told("wrong-type") {
        decoded.columns[0] = Column::U32(vec![0; decoded.rows as usize]);
    } else if told("undecodable-beyond-the-run") {
        decoded.undecodable.push(1 << 20);
    }
    let Some(Column::Text(values)) = decoded.columns.last_mut() else { return };
    if told("offsets-fall") {
        let last = values.bytes.len() as u32;
        values.offsets[1] = last + 1;
    } else if told("offsets-past-the-end") {
        *values.offsets.last_mut().unwrap() += 1000;
    } else if told("split-character") {
        values.bytes = "ö".repeat(values.bytes.len()).into_bytes();
        *values.offsets.last_mut().unwrap() = values.bytes.len() as u32;
        values.offsets[1] = 1;
    }
}
