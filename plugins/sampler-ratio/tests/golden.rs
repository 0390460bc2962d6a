//! Batches, and the thresholds of their rows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use plugin_sdk::{
    Column, ColumnType, Columns, Config, Decisions, EventSchema, Field, FieldUse, Handover, Sampler, Signal, Text, threshold,
};
use sampler_ratio::Ratio;

/// Fields: 0 time, 1 `process.pid`, 2 duration, 3 `error.type`.
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
        ],
        metrics: Vec::new(),
    }
}

fn bind(config: &str) -> Ratio {
    Ratio::bind(&schema(), Config::new(config)).unwrap()
}

fn errors(errors: &[&str]) -> Column {
    let mut text = Text::with_capacity(errors.len(), 0);
    errors.iter().for_each(|error| text.push(error));
    text.finish()
}

const SLOW: u64 = 100_000_000;

#[test]
fn by_default_everything_is_kept_and_nothing_is_read() {
    let mut sampler = bind("{}");
    assert!(sampler.wanted().is_empty());
    assert_eq!(sampler.decide(&Columns::new(3, Vec::new())), Ok(Decisions::all(0)));
}

#[test]
fn failed_and_slow_rows_are_kept_whatever_the_ratio() {
    let mut sampler = bind(r#"{"ratio": 0.25}"#);
    assert_eq!(sampler.wanted(), [3, 2]);
    let quarter = threshold(0.25);
    let columns = Columns::new(4, vec![errors(&["", "ENOENT", "", ""]), Column::U64(vec![1, 1, SLOW, SLOW - 1])]);
    assert_eq!(sampler.decide(&columns), Ok(Decisions::each(vec![quarter, 0, 0, quarter])));
}

#[test]
fn rows_that_all_fare_alike_get_one_threshold() {
    let mut sampler = bind(r#"{"ratio": 0.25}"#);
    let columns = Columns::new(2, vec![errors(&["", ""]), Column::U64(vec![1, 2])]);
    assert_eq!(sampler.decide(&columns), Ok(Decisions::all(threshold(0.25))));
}

#[test]
fn what_is_switched_off_is_not_read() {
    assert!(bind(r#"{"ratio": 0, "keep_failed": false, "slow_ms": 0}"#).wanted().is_empty());
    let mut sampler = bind(r#"{"ratio": 0, "keep_failed": false, "slow_ms": 1}"#);
    assert_eq!(sampler.wanted(), [2]);
    let columns = Columns::new(2, vec![Column::U64(vec![1_000_000, 999_999])]);
    assert_eq!(sampler.decide(&columns), Ok(Decisions::each(vec![0, 1 << 56])));
}

#[test]
fn rows_with_equal_hash_fields_share_their_randomness() {
    let mut sampler = bind(r#"{"ratio": 0.5, "keep_failed": false, "slow_ms": 0, "hash": ["process.pid", "absent"]}"#);
    assert_eq!(sampler.wanted(), [1]);
    let decisions = sampler.decide(&Columns::new(3, vec![Column::U32(vec![7, 8, 7])])).unwrap();
    assert_eq!(decisions.thresholds, [threshold(0.5)]);
    assert_eq!(decisions.randomness[0], decisions.randomness[2]);
    assert_ne!(decisions.randomness[0], decisions.randomness[1]);
}

#[test]
fn a_budget_survives_a_swap() {
    let config = r#"{"budget_per_second": 100}"#;
    let (mut old, mut new) = (bind(config), bind(config));
    let columns = Columns::new(1000, vec![errors(&[""; 1000]), Column::U64(vec![1; 1000])]);
    assert_eq!(old.decide(&columns), Ok(Decisions::all(0)));
    let second = plugin_sdk::Stats {
        elapsed_ns: 1_000_000_000,
        produced: 1000,
        lost_in_ring: 0,
        filtered_in_kernel: 0,
        rows: 1000,
        kept: 1000,
        queue_bytes: 0,
        queue_cap_bytes: 0,
    };
    assert_eq!(old.tune(second), None);
    new.import_state(old.export_state().unwrap()).unwrap();
    assert_eq!(new.decide(&columns), Ok(Decisions::all(threshold(0.1))));
}

#[test]
fn a_successor_without_a_budget_ignores_the_state() {
    let mut old = bind(r#"{"budget_per_second": 100}"#);
    let mut new = bind(r#"{"ratio": 0.5}"#);
    new.import_state(old.export_state().unwrap()).unwrap();
    let columns = Columns::new(1, vec![errors(&[""]), Column::U64(vec![1])]);
    assert_eq!(new.decide(&columns), Ok(Decisions::all(threshold(0.5))));
}
