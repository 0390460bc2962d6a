//! Secrets in every place where a client or a server can write one: no field of any row has one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_redis::Redis;
use plugin_sdk::testing::Talk;

/// The text that must not be in any field, in any case of letters.
const SECRET: &str = "HUNTER";

/// Commands with the secret in every argument that a user chooses.
const COMMANDS: &[&[&str]] = &[
    &["AUTH", "hunter2"],
    &["AUTH", "hunter", "hunter2"],
    &["HELLO", "3", "AUTH", "hunter", "hunter2", "SETNAME", "hunter"],
    &["CONFIG", "SET", "requirepass", "hunter2"],
    &["CONFIG", "SET", "masterauth", "hunter2", "hunter", "x"],
    &["CONFIG", "hunter2"],
    &["ACL", "SETUSER", "hunter", "on", ">hunter2", "~hunter*", "+@all"],
    &["ACL", "hunter2"],
    &["EVAL", "return redis.call('AUTH', 'hunter2')", "1", "hunter", "hunter2"],
    &["EVALSHA", "hunter2", "0"],
    &["SCRIPT", "LOAD", "return 'hunter2'"],
    &["FUNCTION", "LOAD", "#!lua name=hunter2"],
    &["FCALL", "hunter2", "1", "hunter"],
    &["SET", "hunter", "hunter2"],
    &["MIGRATE", "hunter", "6379", "hunter", "0", "100", "AUTH2", "hunter", "hunter2"],
    &["CLIENT", "SETNAME", "hunter2"],
    &["CLIENT", "REPLY", "hunter2"],
    &["SELECT", "hunter2"],
    &["SUBSCRIBE", "hunter2"],
    &["PUBLISH", "hunter", "hunter2"],
    &["REPLICAOF", "hunter", "6379"],
    &["SENTINEL", "SET", "hunter", "auth-pass", "hunter2"],
    &["hunter2"],
    &["HUNTER2", "hunter2"],
    &["PING", "hunter2"],
    &["ECHO", "hunter2"],
];

/// Replies that a server may send to any of them.
const REPLIES: &[&str] = &[
    "+OK\r\n",
    "+HUNTER2\r\n",
    "$7\r\nhunter2\r\n",
    "*2\r\n$7\r\nhunter2\r\n+HUNTER2\r\n",
    "-HUNTER hunter2\r\n",
    "-HUNTER\r\n",
    "-ERR hunter2\r\n",
    "-WRONGPASS HUNTER\r\n",
    "!14\r\nHUNTER hunter2\r\n",
    "=11\r\ntxt:hunter2\r\n",
    "%1\r\n+hunter2\r\n+HUNTER\r\n",
    ">2\r\n+HUNTER\r\n+hunter2\r\n",
];

/// A command with the lengths of its strings.
fn counted(command: &[&str]) -> Vec<u8> {
    let strings: String = command.iter().map(|text| format!("${}\r\n{text}\r\n", text.len())).collect();
    format!("*{}\r\n{strings}", command.len()).into_bytes()
}

/// An inline command: without quotes, and with each kind.
fn typed(command: &[&str]) -> [Vec<u8>; 3] {
    let line = |quote: &str| {
        let words: Vec<String> = command.iter().map(|word| format!("{quote}{}{quote}", word.replace('\'', "\\'"))).collect();
        format!("{}\r\n", words.join(" ")).into_bytes()
    };
    [line(""), line("\""), line("'")]
}

fn keeps_the_secret(talk: &Talk) -> usize {
    let rows = talk.fields::<Redis>();
    for (name, value) in rows.iter().flatten() {
        assert!(!value.to_uppercase().contains(SECRET), "{name}={value}");
    }
    rows.len()
}

#[test]
fn no_argument_and_no_reply_is_told() {
    let mut told = 0;
    for command in COMMANDS {
        for bytes in [vec![counted(command)], typed(command).to_vec()].concat() {
            for reply in REPLIES {
                let talk = || Talk::tcp("10.0.0.7:40000", 6379).client(b"*1\r\n$4\r\nPING\r\n").server(b"+PONG\r\n");
                told += keeps_the_secret(&talk().client(&bytes).server(reply.as_bytes()).end());
                let half = bytes.len() / 2;
                told += keeps_the_secret(&talk().client(&bytes[..half]).client(&bytes[half..]).server(reply.as_bytes()).end());
                told += keeps_the_secret(&talk().cut(half).client(&bytes).server(reply.as_bytes()).end());
                told += keeps_the_secret(&talk().lost_client(9).client(&bytes[half..]).server(reply.as_bytes()).end());
                told += keeps_the_secret(&talk().client(&bytes).lost_server(9).server(reply.as_bytes()).end());
            }
        }
    }
    assert!(told > 10_000, "{told}");
}

#[test]
fn neither_is_what_stands_in_a_transaction() {
    let mut talk = Talk::tcp("10.0.0.7:40000", 6379).client(b"MULTI\r\n").server(b"+OK\r\n");
    for command in COMMANDS {
        talk = talk.client(&counted(command)).server(b"+QUEUED\r\n");
    }
    let talk = talk.client(b"EXEC\r\n").server(b"-EXECABORT hunter2 HUNTER\r\n").end();
    assert_eq!(keeps_the_secret(&talk), COMMANDS.len() + 2);
}
