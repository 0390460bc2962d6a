//! Files that a client sends, and other packets of it that are not commands.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod wire;

use plugin_sdk::testing::Talk;
use wire::{OK, answer, c, column, execute, p, query, session, start, told};

const LOAD: &str = "LOAD DATA LOCAL INFILE 'a' INTO TABLE t";

/// Appends the server's request for the file.
fn ask(talk: Talk) -> Talk {
    talk.client(&query(LOAD)).server(&p(1, b"\xfba"))
}

/// Returns the packets of a file, numbered from `first`, each beginning as a command does.
fn file(first: u8, packets: usize) -> Vec<Vec<u8>> {
    let number = |index: usize| first.wrapping_add(index as u8);
    (0..packets).map(|index| p(number(index), b"\x03SELECT hunter2 FROM secrets\n")).collect()
}

/// Appends a file, and the server's response to it.
fn loaded(packets: usize, talk: Talk) -> Talk {
    let talk = file(2, packets).iter().fold(ask(talk), |talk, packet| talk.client(packet));
    let last = 2_u8.wrapping_add(packets as u8);
    talk.client(&p(last, b"")).server(&p(last.wrapping_add(1), OK))
}

/// Appends commands, each of which has its own result if those before it have.
fn then(talk: Talk) -> Vec<String> {
    let refused = answer(&[b"\xff\x7a\x04#42S02no"]);
    let talk = talk.client(&query("SELECT a FROM first")).after_ms(10).server(&answer(&[OK]));
    let talk = talk.client(&query("SELECT a FROM second")).after_ms(10).server(&refused);
    told(talk.client(&query("SELECT a FROM third")).after_ms(10).server(&answer(&[OK])))
}

const REST: [&str; 3] = ["SELECT first 11", "SELECT second 11 1146", "SELECT third 11"];

#[test]
fn a_file_of_more_packets_than_there_are_numbers_is_a_file_to_its_end() {
    for packets in [1, 252, 253, 254, 255, 256, 300, 510, 1000] {
        let rows = then(loaded(packets, session()));
        assert_eq!(rows[1..], REST, "{packets}");
        assert!(rows[0].starts_with("LOAD t ") && !rows[0].contains("connection"), "{packets}: {rows:?}");
    }
}

#[test]
fn a_file_may_come_in_calls_of_any_length_of_which_little_is_captured() {
    let all: Vec<u8> = file(2, 700).concat();
    for (call, cut) in [(1000, 1000), (1000, 64), (8192, 1024), (37, 37), (40_000, 512)] {
        let talk = all.chunks(call).fold(ask(session()).cut(cut), |talk, bytes| talk.client(bytes));
        let end = 2_u8.wrapping_add(700_u16 as u8);
        let rows = then(talk.client(&p(end, b"")).cut(usize::MAX).server(&p(end.wrapping_add(1), OK)));
        assert_eq!(rows[1..], REST, "{call} {cut}: {rows:?}");
    }
}

#[test]
fn nothing_of_a_file_is_told_whatever_call_is_lost() {
    for lost in 0..6 {
        let mut talk = ask(session());
        for (index, packet) in file(2, 600).chunks(100).enumerate() {
            let bytes = packet.concat();
            talk = if index == lost { talk.lost_client(bytes.len() as u32) } else { talk.client(&bytes) };
        }
        let end = 2_u8.wrapping_add(600_u16 as u8);
        let talk = talk.client(&p(end, b"")).server(&p(end.wrapping_add(1), OK));
        let rows = then(talk.clone());
        assert!(rows[0].starts_with("LOAD t "), "{lost}: {rows:?}");
        assert_eq!(rows[rows.len() - 2..], REST[1..], "{lost}: {rows:?}");
        assert!(column(talk, "db.query.text").iter().all(|text| !text.contains("hunter2")), "{lost}");
    }
}

#[test]
fn a_file_for_which_the_server_was_not_seen_to_ask_is_one_too() {
    let talk = session().client(&query(LOAD)).lost_server(6);
    let talk = file(2, 300).iter().fold(talk, |talk, packet| talk.client(packet));
    let rows = then(talk.client(&p(46, b"")).server(&p(47, OK)));
    assert_eq!(rows[1..], REST, "{rows:?}");
}

#[test]
fn a_session_that_is_in_the_middle_of_a_file_when_it_is_met_tells_nothing_of_it() {
    for first in [2, 17, 254, 255, 0, 1] {
        let talk = file(first, 600).iter().fold(start(), |talk, packet| talk.client(packet));
        let end = first.wrapping_add(600_u16 as u8);
        let talk = talk.client(&p(end, b"")).server(&p(end.wrapping_add(1), OK));
        let rows = then(talk);
        assert_eq!(rows, REST, "{first}: {rows:?}");
    }
}

#[test]
fn a_file_that_the_server_refuses_early_is_a_file_to_its_end() {
    let refused = |number| p(number, b"\xff\x7a\x04#42S02no");
    let talk = file(2, 300).iter().fold(ask(session()), |talk, packet| talk.client(packet)).server(&refused(3));
    let talk = file(46, 300).iter().fold(talk, |talk, packet| talk.client(packet)).client(&p(90, b""));
    let rows = then(talk);
    assert!(rows[0].starts_with("LOAD t") && rows[0].ends_with("1146"), "{rows:?}");
    assert_eq!(rows[1..], REST);
}

#[test]
fn an_empty_file_and_several_files_of_one_query_are_read_too() {
    assert_eq!(then(loaded(0, session()))[1..], REST);
    let more = &[0, 0, 0, 0x0a, 0, 0, 0][..];
    let talk = ask(session()).client(&p(2, b"x")).client(&p(3, b"")).server(&[p(4, more), p(5, b"\xfbb")].concat());
    let talk = talk.client(&p(6, b"\x03SELECT hunter2")).client(&p(7, b"")).server(&p(8, OK));
    assert_eq!(then(talk)[1..], REST);
}

#[test]
fn how_far_a_file_has_come_does_not_end_it() {
    let talk = file(2, 100).iter().fold(ask(session()), |talk, packet| talk.client(packet));
    let talk = talk.server(&p(102, b"\xff\xff\xff\x01\x01\x02\0\0\0\x04load"));
    let talk = file(102, 300).iter().fold(talk, |talk, packet| talk.client(packet));
    let rows = then(talk.client(&p(146, b"")).server(&p(147, OK)));
    assert_eq!(rows[1..], REST, "{rows:?}");
}

#[test]
fn what_is_sent_with_a_prepared_statement_is_no_command() {
    let long = c(0x18, b"\x01\0\0\0\0\0\x03SELECT hunter2");
    let talk = session().client(&[long.clone(), long, execute(1)].concat()).server(&answer(&[OK]));
    assert_eq!(then(talk)[1..], REST);
}

#[test]
fn a_password_that_is_asked_for_again_is_no_file() {
    let talk = session().client(&c(0x11, b"app\0\0other\0\x2d\0")).server(&p(1, b"\xfeplugin\0"));
    let talk = talk.client(&p(2, b"hunter2")).server(&p(3, OK));
    assert_eq!(then(talk), REST);
}

#[test]
fn a_login_is_no_packet_of_a_file() {
    let line =
        [&(1_u32 << 9 | 1 << 3).to_le_bytes()[..], b"some text of a file that is as long as a login is, hunter2\0hunter2\0"]
            .concat();
    let talk = start().client(&p(2, &line)).client(&p(3, b"")).server(&p(4, OK));
    assert!(column(talk.client(&query("SELECT 1")).server(&answer(&[OK])), "db.namespace").iter().all(String::is_empty));
}
