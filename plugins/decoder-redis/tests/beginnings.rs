//! Bytes lost at the beginning of a direction: the command that they belong to has no reply, all others have their own.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first wrong answer")]

use decoder_redis::Redis;
use plugin_sdk::testing::Talk;

const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
const DEL: &[u8] = b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n";
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const WRONG: &[u8] = b"-WRONGTYPE no\r\n";

/// Checks that the first command of the conversation has no error, and that the others have theirs, at both ends.
fn others(talk: impl Fn(Talk) -> Talk) {
    let start = || Talk::tcp("10.0.0.7:40000", 6379);
    for start in [start(), start().at_client()] {
        let talk = talk(start).client(DEL).server(WRONG).client(PING).server(b"+PONG\r\n").client(DEL).server(b":1\r\n").end();
        let rows = talk.fields::<Redis>();
        let of = |row: &Vec<(String, String)>, name: &str| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
        let told: Vec<_> = rows.iter().map(|row| format!("{} {}", of(row, "name"), of(row, "error.type"))).collect();
        let others: Vec<_> = told.iter().filter(|row| !["GET ", "OTHER "].contains(&row.as_str())).collect();
        assert_eq!(others, ["DEL WRONGTYPE", "PING ", "DEL "], "{told:?}");
    }
}

#[test]
fn a_reply_that_is_lost_first_shifts_no_other() {
    others(|start| start.client(GET).lost_server(7));
    others(|start| start.client(GET).unread_server(7));
    others(|start| start.client(GET).lost_server(9000).server(b"the rest\r\n"));
}

#[test]
fn a_command_that_is_lost_first_takes_no_reply_from_another() {
    others(|start| start.lost_client(20).server(b"$1\r\nv\r\n"));
    others(|start| start.lost_client(20).lost_server(7));
    others(|start| start.unread_client(20).server(b"$1\r\nv\r\n"));
}
