//! Conversations of real clients with a real server, and the rows they become.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use std::fs;
use std::path::{Path, PathBuf};

use decoder_mysql::MySql;
use plugin_sdk::testing::{Talk, mutated};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn recorded_conversations_become_these_rows() {
    for name in names() {
        let rows = add(talk(), &name, None).end().rows::<MySql>();
        let expected = fs::read_to_string(folder().join(&name).with_extension("rows")).unwrap();
        assert_eq!(rows.join("\n"), expected.trim_end(), "{name}");
    }
}

#[test]
fn a_server_that_reads_headers_by_themselves_sees_the_same() {
    for name in names() {
        let in_parts =
            calls(&name).iter().fold(talk(), |talk, (is_client, bytes)| match (is_client, bytes.split_at_checked(4)) {
                (true, Some((header, body))) => talk.client(header).client(body),
                (true, None) => talk.client(bytes),
                (false, _) => talk.server(bytes),
            });
        let untimed = |talk: Talk| {
            talk.end().rows::<MySql>().into_iter().map(|row| row.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(untimed(in_parts), untimed(add(talk(), &name, None)), "{name}");
    }
}

#[test]
fn no_value_and_no_text_of_an_error_leaves() {
    for name in names() {
        for row in add(talk(), &name, None).end().fields::<MySql>() {
            assert!(row.iter().all(|(_, value)| !value.contains("secret") && !value.contains("doesn")), "{name}: {row:?}");
        }
    }
}

#[test]
fn a_row_has_the_fields_of_the_semantic_conventions() {
    let rows = add(talk(), "simple", None).end().fields::<MySql>();
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
    for name in names() {
        let all = add(talk(), &name, None).end().rows::<MySql>();
        let calls = calls(&name);
        // The first calls are those of the login, which has no rows.
        for lost in (3..calls.len()).filter(|lost| !calls[*lost].0) {
            let rows = add(talk(), &name, Some(lost)).end().rows::<MySql>();
            // What could not be prepared is told by its answer alone.
            let was_refused = calls[lost].1.get(4) == Some(&0xff);
            let fewest = all.len() - usize::from(was_refused);
            assert!((fewest..=all.len()).contains(&rows.len()), "{name} without call {lost}: {rows:#?}");
        }
    }
}

#[test]
fn a_lost_call_of_a_client_costs_its_own_statement_and_no_other() {
    for name in names() {
        let all = add(talk(), &name, None).end().rows::<MySql>();
        let calls = calls(&name);
        for lost in (3..calls.len()).filter(|lost| calls[*lost].0) {
            let rows = add(talk(), &name, Some(lost)).end().rows::<MySql>();
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
    let names = names().into_iter().filter(|name| calls(name).len() < 40);
    let talks: Vec<Talk> = names.map(|name| add(talk(), &name, None).end()).collect();
    let mutated = mutated::<MySql>(&talks, 100_000, 4);
    assert!(mutated.rows > mutated.conversations, "{mutated:?}");
}

fn talk() -> Talk {
    Talk::tcp("10.0.0.7:40000", 3306).cut(1024)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations")
}

/// Names of all recorded conversations.
fn names() -> Vec<String> {
    let names = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".talk")?.to_owned())).collect();
    names.sort();
    names
}

/// The calls of a recorded conversation: who, and the bytes, of which no more than the first 1024 are those that were sent.
fn calls(name: &str) -> Vec<(bool, Vec<u8>)> {
    let recorded = fs::read(folder().join(name).with_extension("talk")).unwrap();
    let mut rest = &recorded[..];
    let mut calls = Vec::new();
    while let [side, a, b, c, d, e, f, g, h, behind @ ..] = rest {
        let (total, captured) = (u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]) as usize);
        let mut bytes = behind[..captured].to_vec();
        bytes.resize(total as usize, 0);
        calls.push((*side == b'C', bytes));
        rest = &behind[captured..];
    }
    calls
}

/// Adds a recorded conversation, without the call of this number.
fn add(talk: Talk, name: &str, lost: Option<usize>) -> Talk {
    calls(name).iter().enumerate().fold(talk, |talk, (number, (is_client, bytes))| match (lost == Some(number), is_client) {
        (false, true) => talk.client(bytes),
        (false, false) => talk.server(bytes),
        (true, true) => talk.lost_client(bytes.len() as u32),
        (true, false) => talk.lost_server(bytes.len() as u32),
    })
}
