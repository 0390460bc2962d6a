//! Conversations of real clients with a real server, and their rows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use std::fs;
use std::path::Path;

use decoder_mysql::MySql;
use plugin_sdk::testing::{Recording, Talk, mutated};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn recorded_conversations_become_these_rows() {
    for recording in recordings() {
        let name = recording.name();
        let rows = recording.said(talk()).end().rows::<MySql>();
        let expected = fs::read_to_string(recording.beside("rows")).unwrap();
        assert_eq!(rows.join("\n"), expected.trim_end(), "{name}");
    }
}

#[test]
fn a_server_that_reads_headers_by_themselves_sees_the_same() {
    for recording in recordings() {
        let name = recording.name();
        let in_parts =
            recording.calls().iter().fold(talk(), |talk, (is_client, bytes)| match (is_client, bytes.split_at_checked(4)) {
                (true, Some((header, body))) => talk.client(header).client(body),
                (true, None) => talk.client(bytes),
                (false, _) => talk.server(bytes),
            });
        let untimed = |talk: Talk| {
            talk.end().rows::<MySql>().into_iter().map(|row| row.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(untimed(in_parts), untimed(recording.said(talk())), "{name}");
    }
}

#[test]
fn no_value_and_no_text_of_an_error_leaves() {
    for recording in recordings() {
        let name = recording.name();
        for row in recording.said(talk()).end().fields::<MySql>() {
            assert!(row.iter().all(|(_, value)| !value.contains("secret") && !value.contains("doesn")), "{name}: {row:?}");
        }
    }
}

#[test]
fn a_row_has_the_fields_of_the_semantic_conventions() {
    let rows = named("simple").said(talk()).end().fields::<MySql>();
    let row = rows.iter().find(|row| row.iter().any(|(_, value)| value == PARENT)).unwrap();
    for (name, value) in [
        ("db.system.name", "mariadb"),
        ("db.operation.name", "SELECT"),
        ("db.collection.name", "items"),
        ("db.namespace", "shop"),
        ("db.query.text", "SELECT id FROM items"),
        ("db.response.returned_rows", "4"),
        ("network.protocol.name", "mysql"),
        ("network.protocol.version", "10"),
        ("server.port", "3306"),
        ("trace_parent", PARENT),
    ] {
        assert!(row.contains(&(name.into(), value.into())), "{name}={value} is not in {row:?}");
    }
}

#[test]
fn whatever_call_of_a_server_is_lost_each_statement_is_counted_once() {
    for recording in recordings() {
        let name = recording.name();
        let all = recording.said(talk()).end().rows::<MySql>();
        let calls = recording.calls();
        // The first calls are those of the login, which has no rows.
        for lost in (3..calls.len()).filter(|lost| !calls[*lost].0) {
            let rows = recording.said_without(talk(), lost).end().rows::<MySql>();
            // The response alone shows that a statement could not be prepared.
            let was_refused = calls[lost].1.get(4) == Some(&0xff);
            let fewest = all.len() - usize::from(was_refused);
            assert!((fewest..=all.len()).contains(&rows.len()), "{name} without call {lost}: {rows:#?}");
        }
    }
}

#[test]
fn a_lost_call_of_a_client_costs_its_own_statement_and_no_other() {
    for recording in recordings() {
        let name = recording.name();
        let all = recording.said(talk()).end().rows::<MySql>();
        let calls = recording.calls();
        for lost in (3..calls.len()).filter(|lost| calls[*lost].0) {
            let rows = recording.said_without(talk(), lost).end().rows::<MySql>();
            let is_execution = calls[lost].1[3] == 0 && matches!(calls[lost].1[4], 2 | 3 | 0x17);
            // A statement that cannot be prepared has a row as well.
            let fewest = all.len() - usize::from(is_execution || calls[lost].1[4] == 0x16);
            let most = all.len() - usize::from(is_execution);
            assert!((fewest..=most).contains(&rows.len()), "{name} without {lost}: {rows:#?}");
        }
    }
}

#[test]
fn mutated_conversations_are_survived() {
    let short = recordings().into_iter().filter(|recording| recording.calls().len() < 40);
    let talks: Vec<Talk> = short.map(|recording| recording.said(talk()).end()).collect();
    let mutated = mutated::<MySql>(&talks, 100_000, 4);
    assert!(mutated.rows > mutated.conversations, "{mutated:?}");
}

fn talk() -> Talk {
    Talk::tcp("10.0.0.7:40000", 3306).cut(1024)
}

/// All recorded conversations.
fn recordings() -> Vec<Recording> {
    Recording::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations")).unwrap()
}

fn named(name: &str) -> Recording {
    recordings().into_iter().find(|recording| recording.name() == name).unwrap()
}
