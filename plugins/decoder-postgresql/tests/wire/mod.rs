//! Parts of sessions.

#![allow(dead_code, reason = "each test needs some of it")]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first wrong answer")]

use decoder_postgresql::PostgreSql;
use plugin_sdk::testing::Talk;

pub(crate) const READY: &[u8] = b"Z\0\0\0\x05I";

/// A message.
pub(crate) fn m(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], &(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    m(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

pub(crate) fn done(tag: &str) -> Vec<u8> {
    [&m(b'C', &[tag.as_bytes(), b"\0"].concat())[..], READY].concat()
}

pub(crate) fn parse(name: &str, sql: &str) -> Vec<u8> {
    m(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

pub(crate) fn bind(portal: &str, name: &str) -> Vec<u8> {
    m(b'B', format!("{portal}\0{name}\0\0\0\0\0\0\0").as_bytes())
}

pub(crate) fn execute(portal: &str) -> Vec<u8> {
    m(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

pub(crate) fn sync() -> Vec<u8> {
    m(b'S', b"")
}

/// A session, logged in to `shop`.
pub(crate) fn session() -> Talk {
    let startup = [&0x0003_0000_u32.to_be_bytes()[..], b"user\0bench\0database\0shop\0\0"].concat();
    let startup = [&(startup.len() as u32 + 4).to_be_bytes()[..], &startup].concat();
    Talk::tcp("10.0.0.7:40000", 5432).client(&startup).server(&[&m(b'R', &[0; 4])[..], READY].concat())
}

/// Returns operation or error of each row, and its duration in calls.
pub(crate) fn told(talk: Talk) -> Vec<String> {
    let rows = talk.end().fields::<PostgreSql>();
    let of = |row: &Vec<(String, String)>, name: &str| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let told = |row| {
        let millis = of(row, "duration").parse::<u64>().unwrap() / 1_000_000;
        let error = Some(of(row, "error.type")).filter(|error| !error.is_empty());
        format!("{} {millis}{}", of(row, "name"), error.map(|error| format!(" {error}")).unwrap_or_default())
    };
    rows.iter().map(told).collect()
}

/// Returns an error of the server.
pub(crate) fn failed(code: &str) -> Vec<u8> {
    m(b'E', format!("SERROR\0C{code}\0Mno\0\0").as_bytes())
}

/// Returns a setting, as the server reports it.
pub(crate) fn says(name: &str, value: &str) -> Vec<u8> {
    m(b'S', format!("{name}\0{value}\0").as_bytes())
}

/// Returns one field of each row.
pub(crate) fn column(talk: Talk, name: &str) -> Vec<String> {
    let of = |row: &Vec<(String, String)>| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
    talk.end().fields::<PostgreSql>().iter().map(of).collect()
}
