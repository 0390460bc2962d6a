//! Copies, and the messages that the server does not answer during one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod wire;

use plugin_sdk::testing::Talk;
use wire::{READY, bind, done, execute, failed, m, parse, query, session, sync, told};

/// The messages that ask for a copy, up to the first `Sync`.
fn ask() -> Vec<u8> {
    [parse("", "COPY t FROM STDIN"), bind("", ""), execute(""), sync()].concat()
}

fn copy_in() -> Vec<u8> {
    [m(b'1', b""), m(b'2', b""), m(b'G', b"\0\0\x01\0\0")].concat()
}

fn data() -> Vec<u8> {
    m(b'd', b"1\thunter2\n")
}

/// The end of the copy, and the `Sync` that is answered.
fn end() -> Vec<u8> {
    [m(b'c', b""), sync()].concat()
}

/// Appends statements, each of which has its own result if those before it have.
fn then(mut talk: Talk) -> Vec<String> {
    for table in ["first", "second", "third"] {
        let answer = if table == "second" { [failed("22012"), READY.to_vec()].concat() } else { done("SELECT 1") };
        talk = talk.client(&query(&format!("SELECT a FROM {table}"))).after_ms(10).server(&answer).after_ms(10);
    }
    told(talk)
}

fn exactly(talk: Talk, copy: &str) {
    assert_eq!(then(talk), [copy, "SELECT first 11", "SELECT second 11 22012", "SELECT third 11"]);
}

#[test]
fn a_sync_before_the_end_of_a_copy_is_not_answered_and_waits_for_nothing() {
    exactly(session().client(&ask()).server(&copy_in()).client(&[data(), end()].concat()).server(&done("COPY 1")), "COPY t 3");
    let torn = session().client(&ask()).server(&copy_in()).client(&data()).client(&data()).client(&end());
    exactly(torn.server(&done("COPY 2")), "COPY t 5");
}

#[test]
fn a_client_may_send_all_of_a_copy_before_it_is_let() {
    let talk = session().client(&[ask(), data(), end()].concat()).server(&[copy_in(), done("COPY 1")].concat());
    exactly(talk, "COPY t 1");
    let twice = session().client(&[ask(), data(), end(), ask(), data(), end()].concat());
    let twice = twice.server(&[copy_in(), done("COPY 1")].concat()).server(&[copy_in(), done("COPY 1")].concat());
    assert_eq!(then(twice)[..3], ["COPY t 1", "COPY t 2", "SELECT first 11"]);
}

#[test]
fn more_syncs_and_flushes_during_a_copy_are_not_answered_either() {
    let noise = [sync(), m(b'H', b""), data(), sync()].concat();
    let talk = session().client(&ask()).server(&copy_in()).client(&noise).client(&[data(), end()].concat());
    exactly(talk.server(&done("COPY 2")), "COPY t 4");
    let simple = session().client(&query("COPY t FROM STDIN")).server(&m(b'G', b"\0\0\x01\0\0"));
    let simple = simple.client(&[data(), sync(), m(b'H', b""), data(), m(b'c', b"")].concat()).server(&done("COPY 2"));
    exactly(simple, "COPY t 3");
}

#[test]
fn a_copy_that_the_client_gives_up_is_an_error_and_no_more() {
    let give_up = [m(b'f', b"hunter2\0"), sync()].concat();
    let failed = [failed("57014"), READY.to_vec()].concat();
    let talk = session().client(&ask()).server(&copy_in()).client(&give_up).server(&failed);
    exactly(talk, "COPY t 3 57014");
    let simple = session().client(&query("COPY t FROM STDIN")).server(&m(b'G', b"\0\0\x01\0\0")).client(&m(b'f', b"no\0"));
    exactly(simple.server(&failed), "COPY t 3 57014");
}

#[test]
fn a_row_that_the_server_refuses_ends_a_copy_and_what_still_comes_of_it_is_discarded() {
    let refused = session().client(&ask()).server(&copy_in()).client(&data()).server(&failed("22P02"));
    exactly(refused.client(&[data(), end()].concat()).server(READY), "COPY t 3 22P02");
    let simple = session().client(&query("COPY t FROM STDIN")).server(&m(b'G', b"\0\0\x01\0\0")).client(&data());
    let simple = simple.server(&[failed("22P02"), READY.to_vec()].concat()).client(&[data(), m(b'c', b"")].concat());
    exactly(simple, "COPY t 3 22P02");
}

#[test]
fn a_copy_that_the_server_does_not_begin_leaves_both_syncs_to_be_answered() {
    let talk = session().client(&[ask(), data(), end()].concat()).server(&[failed("42P01"), READY.to_vec()].concat());
    exactly(talk.server(READY), "COPY t 1 42P01");
}

#[test]
fn several_copies_of_one_query_are_one_row() {
    let begin = m(b'G', b"\0\0\x01\0\0");
    let one = [data(), m(b'c', b"")].concat();
    let talk = session().client(&query("COPY t FROM STDIN; COPY u FROM STDIN")).server(&begin).client(&one);
    let talk = talk.server(&[m(b'C', b"COPY 1\0"), begin].concat()).client(&one).server(&done("COPY 1"));
    assert_eq!(then(talk)[1..], ["SELECT first 11", "SELECT second 11 22012", "SELECT third 11"]);
}

#[test]
fn what_goes_out_is_answered_as_other_statements_are() {
    let ask = [parse("", "COPY t TO STDOUT"), bind("", ""), m(b'D', b"P\0"), execute(""), sync()].concat();
    let out =
        [m(b'1', b""), m(b'2', b""), m(b'n', b""), m(b'H', b"\0\0\x01\0\0"), data(), m(b'c', b""), done("COPY 1")].concat();
    exactly(session().client(&ask).server(&out), "COPY t 1");
}

#[test]
fn the_data_of_a_copy_is_not_told() {
    let talk = session().client(&ask()).server(&copy_in()).client(&[data(), query("SELECT hunter2")].concat());
    let talk = talk.client(&end()).server(&done("COPY 1"));
    assert!(talk.clone().end().rows::<decoder_postgresql::PostgreSql>().iter().all(|row| !row.contains("1\thunter2")));
    let cut = session().cut(64).client(&ask()).server(&copy_in()).client(&data().repeat(100)).client(&end());
    exactly(cut.server(&done("COPY 100")), "COPY t 4");
}

#[test]
fn a_query_among_what_is_to_be_discarded_is_not_looked_at() {
    let unit = [parse("", "SELECT a FROM nowhere"), bind("", ""), execute(""), query("SELECT a FROM t"), sync()].concat();
    let talk = session().client(&unit).server(&[failed("42P01"), READY.to_vec()].concat());
    assert_eq!(then(talk)[..3], ["SELECT nowhere 1 42P01", "SELECT t 1 aborted", "SELECT first 11"]);
}
