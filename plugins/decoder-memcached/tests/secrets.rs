//! Secrets in every place where a client or a server can write one: no field of any row has one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_memcached::Memcached;
use plugin_sdk::testing::Talk;

/// The text that must not be in any field, in any case of letters.
const SECRET: &str = "HUNTER";

const COMMANDS: &[&str] = &[
    "get hunter2\r\n",
    "gets hunter2 hunter3\r\n",
    "gat 0 hunter2\r\n",
    "set hunter 0 0 7\r\nhunter2\r\n",
    // Login of the text protocol: credentials as the value of a key.
    "set hunter 0 0 14\r\nhunter hunter2\r\n",
    "set hunter 0 0 3\r\nhunter2 is longer\r\n",
    "cas hunter 0 0 7 9\r\nhunter2\r\n",
    "append hunter 0 0 7 noreply\r\nhunter2\r\n",
    "delete hunter2\r\n",
    "incr hunter2 1\r\n",
    "touch hunter2 0\r\n",
    "mg hunter2 v k Ohunter2 q\r\n",
    "ms hunter2 7 Ohunter2\r\nhunter2\r\n",
    "md hunter2 k q\r\n",
    "ma hunter2 N0\r\n",
    "me hunter2\r\n",
    "stats hunter2\r\n",
    "hunter2\r\n",
    "HUNTER2 hunter2\r\n",
];

const REPLIES: &[&str] = &[
    "STORED\r\n",
    "VALUE hunter2 0 7\r\nhunter2\r\nEND\r\n",
    "VA 7 khunter2 Ohunter2\r\nhunter2\r\n",
    "HD khunter2\r\n",
    "ME hunter2 size=7\r\n",
    "CLIENT_ERROR hunter2\r\n",
    "SERVER_ERROR HUNTER2\r\n",
    "HUNTER hunter2\r\n",
    "STAT hunter2 HUNTER\r\nEND\r\n",
    "key=hunter2 exp=1\r\nEND\r\n",
];

/// A binary message.
fn binary(magic: u8, opcode: u8, status: u8, key: &str, value: &str) -> Vec<u8> {
    let mut message = vec![magic, opcode, 0, key.len() as u8, 0, 0, 0, status];
    message.extend(((key.len() + value.len()) as u32).to_be_bytes());
    message.extend([0; 12]);
    [message, key.into(), value.into()].concat()
}

fn keeps_the_secret(talk: &Talk) -> usize {
    let rows = talk.fields::<Memcached>();
    for (name, value) in rows.iter().flatten() {
        assert!(!value.to_uppercase().contains(SECRET), "{name}={value}");
    }
    rows.len()
}

#[test]
fn no_key_no_value_and_no_reply_is_told() {
    let mut told = 0;
    for bytes in COMMANDS.iter().map(|command| command.as_bytes()) {
        for reply in REPLIES.iter().map(|reply| reply.as_bytes()) {
            let talk = || Talk::tcp("10.0.0.7:40000", 11211).client(b"get a\r\n").server(b"END\r\n");
            let half = bytes.len() / 2;
            told += keeps_the_secret(&talk().client(bytes).server(reply).end());
            told += keeps_the_secret(&talk().client(&bytes[..half]).client(&bytes[half..]).server(reply).end());
            told += keeps_the_secret(&talk().cut(half).client(bytes).server(reply).end());
            told += keeps_the_secret(&talk().lost_client(9).client(&bytes[half..]).server(reply).end());
            told += keeps_the_secret(&talk().client(bytes).lost_server(9).server(reply).end());
        }
    }
    assert!(told > 1000, "{told}");
}

#[test]
fn neither_is_what_a_binary_client_logs_in_with() {
    for opcode in 0..=u8::MAX {
        for status in [0, 0x20, 0x21, 0x81, 0xff] {
            let asked = Talk::tcp("10.0.0.7:40000", 11211).client(&binary(0x80, opcode, 0, "hunter", "\0hunter\0hunter2"));
            let rows = keeps_the_secret(&asked.server(&binary(0x81, opcode, status, "hunter", "HUNTER2")).end());
            assert_eq!(rows, 1, "{opcode:#x}");
        }
    }
}
