//! Batches, and the thresholds of their rows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use plugin_sdk::{
    Column, ColumnType, Columns, Config, Decisions, EventSchema, Field, FieldUse, Handover, NEVER, Sampler, Signal, Text,
    threshold,
};
use sampler_rate::Rate;

/// Fields: 0 time, 1 `process.pid`, 2 duration, 3 `error.type`, 4 `thread.name`.
fn schema() -> EventSchema {
    let field = |name: &str, column_type, use_| Field { use_, ..Field::new(name, column_type) };
    EventSchema {
        event: "file.open".into(),
        signal: Signal::Span,
        fields: vec![
            field("time", ColumnType::U64, FieldUse::Time),
            field("process.pid", ColumnType::U32, FieldUse::Plain),
            field("duration", ColumnType::U64, FieldUse::Duration),
            field("error.type", ColumnType::Text, FieldUse::Error),
            field("thread.name", ColumnType::Text, FieldUse::Plain),
        ],
        metrics: Vec::new(),
    }
}

fn bind(config: &str) -> Rate {
    Rate::bind(&schema(), Config::new(config)).unwrap()
}

fn text(values: &[&str]) -> Column {
    let mut text = Text::with_capacity(values.len(), 0);
    values.iter().for_each(|value| text.push(value));
    text.finish()
}

/// Returns rows of one second and of one process, without errors.
fn rows(second: u64, rows: usize, pid: u32) -> Columns {
    let times = Column::U64(vec![second * 1_000_000_000 + 5; rows]);
    Columns::new(rows, vec![times, Column::U32(vec![pid; rows]), text(&vec![""; rows])])
}

fn kept(decisions: &Decisions) -> usize {
    decisions.thresholds.iter().filter(|&&threshold| threshold == 0).count()
}

#[test]
fn each_process_keeps_its_own_rows() {
    let mut sampler = bind(r#"{"per_second": 2}"#);
    assert_eq!(sampler.wanted(), [0, 1, 3]);
    let times = Column::U64(vec![7_000_000_000; 6]);
    let columns = Columns::new(6, vec![times, Column::U32(vec![1, 1, 2, 1, 2, 2]), text(&[""; 6])]);
    assert_eq!(sampler.decide(&columns), Ok(Decisions::each(vec![0, 0, 0, NEVER, 0, NEVER])));
}

#[test]
fn a_key_of_text_is_told_apart_by_its_text() {
    let mut sampler = bind(r#"{"per_second": 1, "key": "thread.name", "keep_failed": false}"#);
    assert_eq!(sampler.wanted(), [0, 4]);
    let columns = Columns::new(3, vec![Column::U64(vec![1; 3]), text(&["make", "cc1", "make"])]);
    assert_eq!(sampler.decide(&columns), Ok(Decisions::each(vec![0, 0, NEVER])));
}

#[test]
fn the_next_second_knows_what_to_expect() {
    let mut sampler = bind(r#"{"per_second": 10}"#);
    assert_eq!(kept(&sampler.decide(&rows(1, 1000, 7)).unwrap()), 10);
    assert_eq!(sampler.decide(&rows(2, 1000, 7)), Ok(Decisions::each(vec![threshold(0.01); 1000])));
    assert_eq!(sampler.decide(&rows(2, 1, 7)), Ok(Decisions::each(vec![NEVER])));
}

#[test]
fn failed_and_slow_rows_are_kept_and_not_counted() {
    let mut sampler = bind(r#"{"per_second": 1, "slow_ms": 20}"#);
    assert_eq!(sampler.wanted(), [0, 1, 3, 2]);
    let (times, pids) = (Column::U64(vec![1; 4]), Column::U32(vec![1; 4]));
    let slow = Column::U64(vec![0, 20_000_000, 0, 0]);
    let columns = Columns::new(4, vec![times, pids, text(&["ENOENT", "", "", ""]), slow]);
    assert_eq!(sampler.decide(&columns), Ok(Decisions::each(vec![0, 0, 0, NEVER])));
}

#[test]
fn rows_of_a_path_without_the_field_share_one_key() {
    let mut sampler = bind(r#"{"per_second": 1, "key": "server.port", "keep_failed": false}"#);
    assert_eq!(sampler.wanted(), [0]);
    let columns = Columns::new(2, vec![Column::U64(vec![1; 2])]);
    assert_eq!(sampler.decide(&columns), Ok(Decisions::each(vec![0, NEVER])));
}

#[test]
fn a_successor_goes_on_within_the_second() {
    let (mut old, mut new, mut cold) = (bind("{}"), bind("{}"), bind("{}"));
    assert_eq!(kept(&old.decide(&rows(1, 60, 7)).unwrap()), 60);
    new.import_state(old.export_state().unwrap()).unwrap();
    assert_eq!(kept(&new.decide(&rows(1, 60, 7)).unwrap()), 40);
    assert_eq!(kept(&cold.decide(&rows(1, 60, 7)).unwrap()), 60);
}

#[test]
fn a_successor_that_counts_another_field_starts_cold_and_says_so() {
    let (mut old, mut new) = (bind("{}"), bind(r#"{"key": "thread.name"}"#));
    assert!(new.import_state(old.export_state().unwrap()).unwrap_err().contains("another field"));
}
