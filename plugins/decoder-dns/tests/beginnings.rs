//! Bytes lost at the beginning of a direction of DNS over TCP: answers are still matched with their questions.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first wrong answer")]

use decoder_dns::Dns;
use plugin_sdk::testing::Talk;

/// A message about one letter, with its length before it.
fn message(id: u16, flags: u16, letter: u8) -> Vec<u8> {
    let head: Vec<u8> = [id, flags, 1, 0, 0, 0].iter().flat_map(|word| word.to_be_bytes()).collect();
    let body = [head.as_slice(), &[1, letter, 0, 0, 1, 0, 1]].concat();
    [&(body.len() as u16).to_be_bytes()[..], &body].concat()
}

fn others(talk: impl Fn(Talk) -> Talk) {
    let start = || Talk::tcp("10.0.0.7:40000", 53);
    for start in [start(), start().at_client()] {
        let talk = talk(start).client(&message(2, 0x0100, b'b')).server(&message(2, 0x8183, b'b'));
        let talk = talk.client(&message(3, 0x0100, b'c')).server(&message(3, 0x8180, b'c')).end();
        let rows = talk.fields::<Dns>();
        let of = |row: &Vec<(String, String)>, name: &str| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
        let mut told: Vec<_> = rows.iter().map(|row| of(row, "dns.response_code")).collect();
        told.retain(|code| !code.is_empty());
        assert_eq!(told, ["NXDOMAIN", "NOERROR"]);
    }
}

#[test]
fn an_answer_that_is_lost_first_shifts_no_other() {
    others(|start| start.client(&message(1, 0x0100, b'a')).lost_server(21));
    others(|start| start.client(&message(1, 0x0100, b'a')).unread_server(21));
}

#[test]
fn a_question_that_is_lost_first_takes_no_answer_from_another() {
    others(|start| start.lost_client(21).server(&message(1, 0x8180, b'a')));
    others(|start| start.lost_client(21).lost_server(21));
}
