//! Conversations of real clients with a real server, and their rows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use std::fs;
use std::path::Path;

use decoder_postgresql::PostgreSql;
use plugin_sdk::testing::{Recording, Talk, mutated};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn recorded_conversations_become_these_rows() {
    for recording in recordings() {
        let name = recording.name();
        let rows = recording.said(talk()).end().rows::<PostgreSql>();
        let expected = fs::read_to_string(recording.beside("rows")).unwrap();
        assert_eq!(rows.join("\n"), expected.trim_end(), "{name}");
    }
}

#[test]
fn no_value_and_no_text_of_an_error_leaves() {
    for recording in recordings() {
        let name = recording.name();
        for row in recording.said(talk()).end().fields::<PostgreSql>() {
            assert!(
                row.iter().all(|(_, value)| !value.contains("secret") && !value.contains("does not exist")),
                "{name}: {row:?}"
            );
        }
    }
}

#[test]
fn a_row_has_the_fields_of_the_semantic_conventions() {
    let rows = named("simple").said(talk()).end().fields::<PostgreSql>();
    let row = rows.iter().find(|row| row.iter().any(|(_, value)| value == PARENT)).unwrap();
    for (name, value) in [
        ("db.system.name", "postgresql"),
        ("db.operation.name", "SELECT"),
        ("db.collection.name", "items"),
        ("db.namespace", "postgres"),
        ("db.query.text", "SELECT id FROM items"),
        ("db.response.returned_rows", "2"),
        ("network.protocol.name", "postgresql"),
        ("network.protocol.version", "3"),
        ("server.port", "5432"),
        ("trace_parent", PARENT),
    ] {
        assert!(row.contains(&(name.into(), value.into())), "{name}={value} is not in {row:?}");
    }
}

#[test]
fn whatever_call_of_a_server_is_lost_each_statement_is_counted_once() {
    for recording in recordings() {
        let name = recording.name();
        if !is_of_pgbench(&recording) && !["large", "copy"].contains(&name) {
            continue;
        }
        let all = recording.said(talk()).end().rows::<PostgreSql>().len();
        let calls = recording.calls();
        // The first calls are those of the login, which has no rows.
        for lost in (8..calls.len()).filter(|lost| !calls[*lost].0) {
            let rows = recording.said_without(talk(), lost).end().rows::<PostgreSql>();
            assert_eq!(rows.len(), all, "{name} without call {lost}: {rows:#?}");
        }
    }
}

#[test]
fn a_lost_call_of_a_client_costs_its_own_statement_and_no_other() {
    for recording in recordings().into_iter().filter(is_of_pgbench) {
        let name = recording.name();
        let all = recording.said(talk()).end().rows::<PostgreSql>().len();
        let calls = recording.calls();
        for lost in (8..calls.len()).filter(|lost| calls[*lost].0) {
            let rows = recording.said_without(talk(), lost).end().rows::<PostgreSql>();
            // A statement may be prepared in a call of its own, and the last call ends the session.
            let is_execution = calls[lost].1.windows(5).any(|bytes| bytes == b"E\0\0\0\x09" || bytes[..4] == *b"Q\0\0\0");
            assert_eq!(rows.len(), all - usize::from(is_execution), "{name} without {lost}: {rows:#?}");
        }
    }
}

#[test]
fn mutated_conversations_are_survived() {
    let short = recordings().into_iter().filter(|recording| recording.calls().len() < 40);
    let talks: Vec<Talk> = short.map(|recording| recording.said(talk()).end()).collect();
    let mutated = mutated::<PostgreSql>(&talks, 100_000, 4);
    assert!(mutated.rows > mutated.conversations, "{mutated:?}");
}

fn talk() -> Talk {
    Talk::tcp("10.0.0.7:40000", 5432).cut(1024)
}

/// All recorded conversations.
fn recordings() -> Vec<Recording> {
    Recording::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations")).unwrap()
}

fn named(name: &str) -> Recording {
    recordings().into_iter().find(|recording| recording.name() == name).unwrap()
}

fn is_of_pgbench(recording: &Recording) -> bool {
    recording.name().starts_with("pgbench")
}
