//! A row per record that carries bytes: its time, its connection, its role and flags, and its payload.

use std::cell::RefCell;

use crate::exports::probe::plugin::decoder::{Column, Decoded, EventSchema, Guest, RecordLayout};
use crate::probe::plugin::columns::{ColumnType, Values};
use crate::probe::plugin::schema::{Field, FieldUse, Sensitivity, Signal};
use crate::{FOREIGN, SEEN, Talker, told, trap};

#[derive(Clone, Default)]
struct Row {
    time: u64,
    connection: u64,
    role: u32,
    flags: u32,
    payload: Vec<u8>,
}

/// The offsets of the members of `struct l7_record`.
const KIND: usize = 46;
const ROLE: usize = 48;
const FLAGS: usize = 50;
const PAYLOAD: usize = 104;

thread_local! {
    static RUN: RefCell<Vec<Row>> = const { RefCell::new(Vec::new()) };
}

impl Guest for Talker {
    fn expects(_probe: String) -> Option<RecordLayout> {
        None
    }

    fn bind(_probe: String, record: RecordLayout, _config: String) -> Result<EventSchema, String> {
        if record.name != "l7_record" {
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
        Ok(EventSchema {
            event: "talk.line".into(),
            signal: Signal::Log,
            fields: vec![
                field("time", ColumnType::U64, FieldUse::Time),
                field("talk.connection", ColumnType::U64, FieldUse::Plain),
                field("talk.role", ColumnType::U32, FieldUse::Plain),
                field("talk.flags", ColumnType::U32, FieldUse::Plain),
                field("talk.payload", ColumnType::Text, FieldUse::Plain),
            ],
            metrics: Vec::new(),
        })
    }

    fn decode(mut run: Vec<u8>, fields: Vec<u32>) -> Result<Decoded, String> {
        if told("trap") {
            trap();
        }
        let rows = rows(&std::mem::take(&mut run));
        SEEN.with_borrow_mut(|seen| *seen += rows.len() as u64);
        let foreign = rows.iter().zip(0..).filter_map(|(row, record)| match row.payload.get(..4)? {
            b"ALIE" => Some((row.connection, 0, u32::MAX)),
            b"LEFT" => Some((row.connection, 0, record)),
            b"SECR" => Some((row.connection, 1, record)),
            _ => None,
        });
        FOREIGN.with_borrow_mut(|all| all.extend(foreign));
        let decoded = Decoded { rows: rows.len() as u32, columns: columns(&rows, &fields), undecodable: Vec::new() };
        RUN.set(rows);
        Ok(decoded)
    }

    fn complete(rows: Vec<u32>, fields: Vec<u32>) -> Result<Vec<Column>, String> {
        RUN.with_borrow(|run| {
            let kept: Vec<_> = rows.iter().map(|&row| run[row as usize].clone()).collect();
            Ok(columns(&kept, &fields))
        })
    }
}

fn rows(mut run: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    while run.len() >= 8 {
        let header = u32::from_le_bytes(run[..4].try_into().unwrap());
        let length = (header & !(3 << 30)) as usize;
        let record = &run[8..8 + length];
        run = &run[(8 + length).next_multiple_of(8)..];
        if header & 1 << 30 == 0 && record[KIND] == 0 {
            let number = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
            let (role, flags) = (record[ROLE].into(), record[FLAGS].into());
            rows.push(Row { time: number(0), connection: number(8), role, flags, payload: record[PAYLOAD..].to_vec() });
        }
    }
    rows
}

fn columns(rows: &[Row], fields: &[u32]) -> Vec<Column> {
    let column = |field: &u32| match field {
        0 => Column::U64(rows.iter().map(|row| row.time).collect()),
        1 => Column::U64(rows.iter().map(|row| row.connection).collect()),
        2 => Column::U32(rows.iter().map(|row| row.role).collect()),
        3 => Column::U32(rows.iter().map(|row| row.flags).collect()),
        _ => {
            let (mut offsets, mut bytes) = (vec![0], Vec::new());
            for row in rows {
                bytes.extend_from_slice(String::from_utf8_lossy(&row.payload).as_bytes());
                offsets.push(bytes.len() as u32);
            }
            Column::Text(Values { offsets, bytes })
        }
    };
    fields.iter().map(column).collect()
}
