//! How texts are read in sessions whose modes are known, change, or were never seen, and with which kind of server.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod wire;

use plugin_sdk::testing::Talk;
use wire::{OK, SSL, answer, c, column, greeting, login, p, query, result, session, start};

/// A server with backslash escapes, and one without, end these strings in different places.
const DOUBTFUL: &str = r"SELECT 'x\', ''hunter2', a";

/// `OK` with this status.
fn ok(status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    answer(&[&[0, 0, 0, low, high, 0, 0]])
}

fn ask(talk: Talk, sql: &[u8]) -> Talk {
    talk.client(&c(3, sql)).server(&ok(2))
}

fn text(talk: Talk, sql: &[u8]) -> String {
    column(ask(talk, sql), "db.query.text").pop().unwrap()
}

/// A session whose client has this collation.
fn of(collation: u8, server: u8) -> Talk {
    let (mut hello, mut login) = (greeting("8.0.36", u32::MAX), login(1, 0));
    let place = hello.windows(3).position(|three| three == [0xff, 0xff, 2]).unwrap() + 1;
    hello[place] = server;
    login[12] = collation;
    start().server(&hello).client(&login).server(&p(2, OK))
}

#[test]
fn a_session_older_than_the_host_tells_what_is_sure_until_the_server_has_said_the_rest() {
    let old = ask(start(), b"SELECT 1");
    assert_eq!(text(start(), DOUBTFUL.as_bytes()), "SELECT ?");
    assert_eq!(text(old, DOUBTFUL.as_bytes()), "SELECT ?, a");
    assert_eq!(text(session(), DOUBTFUL.as_bytes()), "SELECT ?, a");
}

#[test]
fn a_status_that_is_not_captured_says_nothing() {
    let plain = session().client(&query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")).server(&ok(2 | 1 << 9));
    let row = [&[200][..], &[b'x'; 200]].concat();
    let many = result(&[&row[..]; 100], false);
    let talk = plain.cut(256).client(&query("SELECT a FROM t")).server(&many).cut(usize::MAX);
    assert_eq!(text(talk, br"SELECT 'x\', 'hunter2'"), "SELECT ?, ?", "it is as it was");
    let lost = session().client(&query("SET sql_mode = x")).lost_server(11);
    assert_eq!(text(lost, DOUBTFUL.as_bytes()), "SELECT ?");
}

#[test]
fn characters_may_end_in_a_backslash() {
    const SQL: &[u8] = b"SELECT '\x95\\', ' hunter2', a";
    for collation in [1, 13, 28, 84, 87, 88, 95, 96, 248, 249, 250] {
        assert_eq!(text(of(collation, 45), SQL), "SELECT ?", "{collation}");
    }
    assert_eq!(text(of(45, 45), b"SELECT '\xc3\xa9\\'', a"), "SELECT ?, a");
    assert_eq!(text(of(45, 28), SQL), "SELECT ?", "the server may insist on its own");
    assert_eq!(text(start(), SQL), "SELECT ?");
}

#[test]
fn a_character_set_holds_from_the_statement_that_sets_it() {
    const SQL: &[u8] = b"SELECT '\x95\\', ' hunter2', a";
    const NARROW: &[u8] = b"SELECT '\xc3\xa9\\'', a";
    for set in [
        "SET NAMES gbk",
        "set names 'sjis'",
        "SET CHARACTER SET big5",
        "SET character_set_client=cp932",
        "/*!40101 SET NAMES gbk */",
        "EXECUTE s",
    ] {
        assert_eq!(text(ask(of(45, 45), set.as_bytes()), SQL), "SELECT ?", "{set}");
    }
    assert_eq!(text(ask(of(28, 45), b"SET NAMES utf8mb4"), NARROW), "SELECT ?, a");
    assert_eq!(text(ask(of(45, 45), b"SET NAMES utf8"), NARROW), "SELECT ?, a");
    let refused = of(28, 45).client(&query("SET NAMES utf8mb9")).server(&answer(&[b"\xff\x1b\x05no"]));
    assert_eq!(text(refused, SQL), "SELECT ?", "it was refused");
    let pipelined = of(45, 45).client(&[query("SET NAMES gbk"), c(3, SQL)].concat());
    assert!(column(pipelined, "db.query.text").iter().all(|text| !text.contains("hunter2")));
    let lost = of(45, 45).lost_client(20).server(&ok(2));
    assert_eq!(text(lost, SQL), "SELECT ?", "nobody knows what was said");
}

#[test]
fn another_user_and_a_new_session_have_another_character_set() {
    const SQL: &[u8] = b"SELECT '\x95\\', ' hunter2', a";
    const NARROW: &[u8] = b"SELECT '\xc3\xa9\\'', a";
    let user =
        |collation: u8, talk: Talk| talk.client(&c(0x11, &[&b"app\0\0shop\0"[..], &[collation, 0]].concat())).server(&ok(2));
    assert_eq!(text(user(28, of(45, 45)), SQL), "SELECT ?");
    assert_eq!(text(user(45, of(28, 45)), NARROW), "SELECT ?, a");
    let anew = |talk: Talk| talk.client(&c(0x1f, b"")).server(&ok(2));
    assert_eq!(text(anew(of(28, 45)), NARROW), "SELECT ?, a", "that of the server");
    assert_eq!(text(anew(ask(start(), b"SET NAMES utf8")), NARROW), "SELECT ?", "which is not known");
}

#[test]
fn what_was_prepared_is_forgotten_with_the_session_it_was_prepared_in() {
    let prepare = c(0x16, b"SELECT a FROM t");
    let talk = session()
        .client(&prepare)
        .server(&answer(&[&[0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]))
        .client(&c(0x1f, b""))
        .server(&ok(2));
    let talk = talk.client(&wire::execute(7)).server(&answer(&[b"\xff\xdb\x04no"]));
    assert_eq!(column(talk, "db.query.text"), [""]);
}

#[test]
fn attributes_of_a_query_are_no_part_of_its_text() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let attributes = |agreed| start().server(&greeting("8.0.36", u32::MAX)).client(&login(1, agreed)).server(&p(2, OK));
    let named = |name: &str, kind: u8| [&[kind, 0, name.len() as u8], name.as_bytes()].concat();
    let two = [&[2, 1, 0, 1][..], &named("traceparent", 0xfe), &named("token", 0xfe), &[55], PARENT.as_bytes(), b"\x07hunter2"];
    let sql = [&two.concat()[..], b"SELECT a FROM t"].concat();
    for talk in [attributes(1 << 27), start()] {
        let rows = ask(talk, &sql);
        assert_eq!(column(rows.clone(), "db.query.text"), ["SELECT a FROM t"]);
        assert_eq!(column(rows, "trace_parent"), [PARENT]);
    }
    let numbers = [&[3, 1, 2, 1][..], &named("a", 8), &named("b", 0xfe), &named("c", 3), &[0; 12], b"SELECT b FROM t"].concat();
    assert_eq!(text(attributes(1 << 27), &numbers), "SELECT b FROM t");
    for broken in [
        &b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01hunter2"[..],
        b"\x02\x01\0\x01hunter2",
        b"\x20\x01hunter2",
        b"\x05\x02hunter2",
    ] {
        assert!(!text(attributes(1 << 27), broken).contains("hunter2"), "{broken:?}");
    }
    assert_eq!(text(attributes(0), b"SELECT a FROM t"), "SELECT a FROM t", "neither agreed on them");
}

#[test]
fn a_server_is_the_same_in_plain_and_encrypted() {
    let ask_tls = p(1, &[&(SSL | 1 << 9).to_le_bytes()[..], &[0; 28]].concat());
    let mut decoder = plugin_sdk::testing::decoder::<decoder_mysql::MySql>("{}");
    for (version, system) in [("5.5.5-10.11.6-MariaDB-1", "mariadb"), ("8.0.36", "mysql")] {
        let plain = start().server(&greeting(version, u32::MAX)).client(&ask_tls);
        let encrypted =
            start().tls().client(&login(2, SSL)).server(&p(3, OK)).client(&query("SELECT 1")).server(&answer(&[OK]));
        let rows = plain.then(&encrypted).end().rows_of(&mut decoder);
        assert!(rows[0].contains(&format!("db.system.name={system}")), "{rows:?}");
    }
}
