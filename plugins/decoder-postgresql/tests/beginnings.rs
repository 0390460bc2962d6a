//! Bytes lost at the beginning of a direction: the statement that they belong to has no response, all others have their own.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first wrong answer")]

use decoder_postgresql::PostgreSql;
use plugin_sdk::testing::Talk;

const READY: &[u8] = b"Z\0\0\0\x05I";

/// A message.
fn m(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], &(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    m(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

fn done(tag: &str) -> Vec<u8> {
    [&m(b'C', &[tag.as_bytes(), b"\0"].concat())[..], READY].concat()
}

fn failed() -> Vec<u8> {
    [&m(b'E', b"SERROR\0C22012\0Mdivision by zero\0\0")[..], READY].concat()
}

fn startup() -> Vec<u8> {
    let startup = [&0x0003_0000_u32.to_be_bytes()[..], b"user\0bench\0database\0shop\0\0"].concat();
    [&(startup.len() as u32 + 4).to_be_bytes()[..], &startup].concat()
}

fn welcome() -> Vec<u8> {
    [&m(b'R', &[0; 4])[..], &m(b'S', b"TimeZone\0UTC\0"), READY].concat()
}

/// Checks that the other statements of the session have their responses, at both ends.
fn others(talk: impl Fn(Talk) -> Talk) {
    let start = || Talk::tcp("10.0.0.7:40000", 5432);
    for start in [start(), start().at_client()] {
        let talk = talk(start).client(&query("DELETE FROM t")).server(&failed());
        let talk = talk.client(&query("UPDATE t SET a = 1")).server(&done("UPDATE 1"));
        let rows = talk.client(&query("INSERT INTO t VALUES (1)")).server(&done("INSERT 0 1")).end().fields::<PostgreSql>();
        let of = |row: &Vec<(String, String)>, name: &str| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
        let told: Vec<_> =
            rows.iter().map(|row| format!("{} {}", of(row, "db.operation.name"), of(row, "error.type"))).collect();
        let others: Vec<_> = told.iter().filter(|row| !row.starts_with("SELECT")).collect();
        assert_eq!(others, ["DELETE 22012", "UPDATE ", "INSERT "], "{told:?}");
        assert!(told.iter().all(|row| !row.starts_with("SELECT") || row == "SELECT "), "{told:?}");
    }
}

#[test]
fn a_startup_that_is_lost_hides_no_statement() {
    let select = || query("SELECT 1");
    others(|start| start.lost_client(40).server(&welcome()).client(&select()).server(&done("SELECT 1")));
    others(|start| start.client(&startup()).lost_server(200).client(&select()).server(&done("SELECT 1")));
    others(|start| start.lost_client(40).lost_server(200).client(&select()).server(&done("SELECT 1")));
    others(|start| start.lost_client(40).client(b"\0\0\0\x08 the end of a value").lost_server(200));
}

#[test]
fn a_question_for_encryption_that_is_lost_costs_nothing() {
    others(|start| start.lost_client(8).lost_server(1).client(&startup()).server(&welcome()));
    others(|start| start.lost_client(8).server(b"N").client(&startup()).server(&welcome()));
}

#[test]
fn an_answer_that_is_lost_first_shifts_no_other() {
    others(|start| start.client(&startup()).lost_server(200).client(&query("SELECT 1")).lost_server(40));
    others(|start| start.client(&startup()).lost_server(200).client(&query("SELECT 1")).unread_server(40));
}
