//! How texts are read in sessions whose settings are known, change, or were never seen.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod wire;

use plugin_sdk::testing::Talk;
use wire::{READY, bind, column, done, execute, m, parse, query, says, session, sync};

/// A text that servers read differently in each mode, so that the row shows the mode.
const DOUBTFUL: &str = r"SELECT 'x\', ''y', a -- '";
const ON: &str = "SELECT ?, ?y?";
const OFF: &str = "SELECT ?, a";
const UNKNOWN: &str = "SELECT ?";

fn set(talk: Talk, value: &str) -> Talk {
    let answer = [m(b'C', b"SET\0"), says("standard_conforming_strings", value), READY.to_vec()].concat();
    talk.client(&query(&format!("SET standard_conforming_strings = {value}"))).server(&answer)
}

/// The text of the last row.
fn text(talk: Talk) -> String {
    column(talk.client(&query(DOUBTFUL)).server(&done("SELECT 1")), "db.query.text").pop().unwrap()
}

fn known() -> Talk {
    session().server(&[says("standard_conforming_strings", "on"), says("client_encoding", "UTF8"), READY.to_vec()].concat())
}

#[test]
fn a_session_that_has_said_its_settings_is_read_by_them() {
    assert_eq!(text(known()), ON);
    assert_eq!(text(set(known(), "off")), OFF);
    assert_eq!(text(set(set(known(), "off"), "on")), ON);
}

#[test]
fn a_session_older_than_the_host_tells_what_is_sure() {
    let old = Talk::tcp("10.0.0.7:40000", 5432).client(&query("SELECT 1")).server(&done("SELECT 1"));
    assert_eq!(text(old.clone()), UNKNOWN);
    assert_eq!(text(set(old, "on")), ON, "until it says the rest");
}

#[test]
fn a_setting_that_is_on_its_way_makes_texts_doubtful() {
    let pipelined = known().client(&[query("SET standard_conforming_strings = off"), query(DOUBTFUL)].concat());
    let answers = [m(b'C', b"SET\0"), says("standard_conforming_strings", "off"), READY.to_vec(), done("SELECT 1")].concat();
    assert_eq!(column(pipelined.server(&answers), "db.query.text")[1], UNKNOWN);
    let unit = |sql: &str| [parse("", sql), bind("", ""), execute("")].concat();
    let set = "SELECT set_config('standard_conforming_strings', 'off', false)";
    let pipelined = known().client(&[unit(set), unit(DOUBTFUL), sync()].concat());
    assert_eq!(column(pipelined, "db.query.text")[1], UNKNOWN);
}

#[test]
fn an_answer_that_was_lost_may_have_changed_a_setting() {
    let talk = known().client(&query("SELECT f()")).lost_server(80).client(&query("SELECT 1")).server(&done("SELECT 1"));
    assert_eq!(text(talk), UNKNOWN);
    let row = m(b'D', &[b"\0\x01\0\0\0\x28", &[b'x'; 40][..]].concat());
    let cut = known().cut(256).client(&query("SELECT a FROM t")).server(&[row.repeat(20), done("SELECT 20")].concat());
    assert_eq!(text(cut.cut(usize::MAX)), ON, "rows that go beyond the capture set nothing");
}

#[test]
fn characters_may_end_in_a_backslash() {
    let encoded = |encoding: &str| known().server(&says("client_encoding", encoding));
    let text = |talk: Talk| {
        let sql = [&b"Q\0\0\0\x21SELECT E'\x95\\', ' hunter2', a"[..], b"\0"].concat();
        let sql = m(b'Q', &sql[5..]);
        column(talk.client(&sql).server(&done("SELECT 1")), "db.query.text").pop().unwrap()
    };
    for encoding in ["SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004"] {
        assert_eq!(text(encoded(encoding)), "SELECT ?", "{encoding}");
    }
    assert!(!text(encoded("EUC_JP")).contains("a?"));
}

#[test]
fn what_stands_behind_the_nul_that_ends_a_query_is_no_part_of_it() {
    let talk = known().client(&m(b'Q', b"SELECT 1\0 , hunter2\0")).server(&done("SELECT 1"));
    assert_eq!(column(talk, "db.query.text"), ["SELECT ?"]);
}
