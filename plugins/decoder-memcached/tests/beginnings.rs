//! Bytes lost at the beginning of a direction: the command that they belong to has no reply, all others have their own.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first wrong answer")]

use decoder_memcached::Memcached;
use plugin_sdk::testing::Talk;

/// Checks that the other commands of the conversation have their replies, at both ends.
fn others(talk: impl Fn(Talk) -> Talk) {
    let start = || Talk::tcp("10.0.0.7:40000", 11211);
    for start in [start(), start().at_client()] {
        let talk = talk(start).client(b"delete k\r\n").server(b"NOT_FOUND\r\n").client(b"incr n 1\r\n").server(b"2\r\n");
        let rows = talk.client(b"delete k\r\n").server(b"DELETED\r\n").end().fields::<Memcached>();
        let of = |row: &Vec<(String, String)>, name: &str| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
        let told: Vec<_> =
            rows.iter().map(|row| format!("{} {}", of(row, "name"), of(row, "db.response.status_code"))).collect();
        let others: Vec<_> = told.iter().filter(|row| row.starts_with("delete") || row.starts_with("incr")).collect();
        assert_eq!(others, ["delete NOT_FOUND", "incr ", "delete DELETED"], "{told:?}");
        assert!(told.iter().all(|row| !row.starts_with("get") || row == "get "), "{told:?}");
    }
}

#[test]
fn a_reply_that_is_lost_first_shifts_no_other() {
    others(|start| start.client(b"get k\r\n").lost_server(5));
    others(|start| start.client(b"get k\r\n").unread_server(5));
    others(|start| start.client(b"get k\r\n").lost_server(9000).server(b"the rest\r\nEND\r\n"));
}

#[test]
fn a_command_that_is_lost_first_takes_no_reply_from_another() {
    others(|start| start.lost_client(7).server(b"END\r\n"));
    others(|start| start.lost_client(7).lost_server(5));
    others(|start| start.unread_client(7).server(b"END\r\n"));
}
