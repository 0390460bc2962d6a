//! Bytes lost at the beginning of a direction: the statement that they belong to has no response, all others have their own.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first wrong answer")]

use decoder_mysql::MySql;
use plugin_sdk::testing::Talk;

const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

/// A packet.
fn p(number: u8, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes()[..3], &[number], body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    p(0, &[b"\x03", sql.as_bytes()].concat())
}

fn failed() -> Vec<u8> {
    p(1, b"\xff\x7a\x04#42S02Table 'shop.t' doesn't exist")
}

fn greeting() -> Vec<u8> {
    let tail =
        [&b"\0\x07\0\0\0abcdefgh\0"[..], &[0xff, 0xf7, 0xff, 2, 0, 0xff, 0xff, 21], &[0; 10], b"ijklmnopqrst\0"].concat();
    p(0, &[b"\x0a8.0.36", tail.as_slice()].concat())
}

fn login() -> Vec<u8> {
    let capabilities: u32 = 1 | 1 << 3 | 1 << 9 | 1 << 15;
    let head = [&capabilities.to_le_bytes()[..], &[0, 0, 0, 1, 45], &[0; 23]].concat();
    p(1, &[&head[..], b"app\0\x03abcshop\0mysql_native_password\0"].concat())
}

/// Checks that the other statements of the session have their responses, at both ends.
fn others(talk: impl Fn(Talk) -> Talk) {
    let start = || Talk::tcp("10.0.0.7:40000", 3306);
    for start in [start(), start().at_client()] {
        let talk = talk(start).client(&query("DELETE FROM t")).server(&failed());
        let talk = talk.client(&query("UPDATE t SET a = 1")).server(&p(1, OK));
        let rows = talk.client(&query("INSERT INTO t VALUES (1)")).server(&p(1, OK)).end().fields::<MySql>();
        let of = |row: &Vec<(String, String)>, name: &str| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
        let told: Vec<_> =
            rows.iter().map(|row| format!("{} {}", of(row, "db.operation.name"), of(row, "error.type"))).collect();
        let others: Vec<_> = told.iter().filter(|row| !row.starts_with("SET")).collect();
        assert_eq!(others, ["DELETE 1146", "UPDATE ", "INSERT "], "{told:?}");
        assert!(told.iter().all(|row| !row.starts_with("SET") || row == "SET "), "{told:?}");
    }
}

#[test]
fn a_greeting_or_a_login_that_is_lost_hides_no_statement() {
    let set = || query("SET NAMES utf8mb4");
    others(|start| start.lost_server(80).client(&login()).server(&p(2, OK)).client(&set()).server(&p(1, OK)));
    others(|start| start.server(&greeting()).lost_client(100).server(&p(2, OK)).client(&set()).server(&p(1, OK)));
    others(|start| start.lost_server(80).lost_client(100).server(&p(2, OK)).client(&set()).server(&p(1, OK)));
    others(|start| start.lost_server(80).lost_client(100).lost_server(11).client(&set()).server(&p(1, OK)));
}

#[test]
fn an_answer_that_is_lost_first_shifts_no_other() {
    let set = || query("SET NAMES utf8mb4");
    others(|start| start.lost_server(80).lost_client(100).lost_server(11).client(&set()).lost_server(11));
    others(|start| start.lost_server(80).client(&login()).lost_server(11).client(&set()).lost_server(11));
    others(|start| start.lost_server(80).client(&login()).lost_server(11).client(&set()).unread_server(11));
}
