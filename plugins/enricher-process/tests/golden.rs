//! Rows with a pid, and the table's data about it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use enricher_process::Process;
use plugin_sdk::testing::words;
use plugin_sdk::{Column, ColumnType, Columns, Config, Enricher, EventSchema, Field, Lookup, Sensitivity, Signal, Text};

/// A table that returns the query.
#[derive(Default)]
struct Echo;

impl Lookup for Echo {
    fn lookup(&self, table: &str, keys: &[u64], columns: &[String]) -> Result<Vec<Column>, String> {
        if keys.contains(&0) {
            return Err("there is no process 0".into());
        }
        let column = |column: &String| match &**column {
            "parent_pid" => Column::U32(keys.iter().map(|key| *key as u32 - 1).collect()),
            _ => {
                let mut text = Text::with_capacity(keys.len(), 0);
                keys.iter().for_each(|key| text.push(&format!("{table}/{column}/{key}")));
                text.finish()
            }
        };
        Ok(columns.iter().map(column).collect())
    }
}

fn schema(fields: &[(&str, ColumnType)]) -> EventSchema {
    let fields = fields.iter().map(|(name, column_type)| Field::new(name, *column_type)).collect();
    EventSchema { event: "file.open".into(), signal: Signal::Span, fields, metrics: Vec::new() }
}

fn bind(schema: &EventSchema, config: &str) -> Process<Echo> {
    Process::bind(schema, Config::new(config)).unwrap()
}

fn added(enricher: &Process<Echo>) -> Vec<String> {
    enricher.added().into_iter().map(|field| field.name).collect()
}

#[test]
fn every_column_of_the_table_becomes_a_field() {
    let mut enricher = bind(&schema(&[("time", ColumnType::U64), ("process.pid", ColumnType::U32)]), "{}");
    assert_eq!(enricher.wanted(), [1]);
    assert_eq!(
        added(&enricher),
        [
            "process.executable.path",
            "process.command_line",
            "process.parent_pid",
            "process.linux.cgroup",
            "container.id",
            "process.user.name",
        ]
    );
    let columns = enricher.enrich(&Columns::new(2, vec![Column::U32(vec![7, 8])])).unwrap();
    let fields = enricher.added();
    assert!(columns.iter().zip(&fields).all(|(column, field)| column.len() == 2 && field.omit_zero));
    assert_eq!(words(&columns[0]), ["process/executable.path/7", "process/executable.path/8"]);
    assert_eq!(words(&columns[2]), ["6", "7"]);
}

#[test]
fn what_a_program_was_given_and_who_ran_it_are_marked() {
    let enricher = bind(&schema(&[("process.pid", ColumnType::U32)]), "{}");
    let of = |name: &str| enricher.added().into_iter().find(|field| field.name == name).unwrap().sensitivity;
    assert_eq!(of("process.command_line"), Sensitivity::Payload);
    assert_eq!(of("process.user.name"), Sensitivity::Identity);
    assert_eq!(of("container.id"), Sensitivity::Public);
}

#[test]
fn a_field_that_the_row_has_is_not_added_again() {
    let schema = schema(&[("process.pid", ColumnType::U32), ("process.executable.path", ColumnType::Text)]);
    let enricher = bind(&schema, r#"{"columns": ["executable.path", "container.id"]}"#);
    assert_eq!(added(&enricher), ["container.id"]);
}

#[test]
fn a_path_without_pids_is_left_as_it_is() {
    for schema in [schema(&[]), schema(&[("process.pid", ColumnType::Text)])] {
        let mut enricher = bind(&schema, "{}");
        assert!(enricher.wanted().is_empty() && enricher.added().is_empty());
        assert_eq!(enricher.enrich(&Columns::new(3, Vec::new())), Ok(Vec::new()));
    }
}

#[test]
fn a_column_that_the_table_does_not_have_is_refused_with_those_it_has() {
    let config = Config::new(r#"{"columns": ["exe"]}"#);
    let error = Process::<Echo>::bind(&schema(&[]), config).err().unwrap();
    assert!(error.contains("names `exe`, which is none of `executable.path`, `command_line`"), "{error}");
}

#[test]
fn what_the_table_answers_is_passed_on() {
    let mut enricher = bind(&schema(&[("process.pid", ColumnType::U32)]), "{}");
    let error = enricher.enrich(&Columns::new(1, vec![Column::U32(vec![0])])).unwrap_err();
    assert_eq!(error, "there is no process 0");
}
