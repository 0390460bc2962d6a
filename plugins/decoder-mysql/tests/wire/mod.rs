//! Parts of sessions.

#![allow(dead_code, reason = "each test needs some of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_mysql::MySql;
use plugin_sdk::testing::Talk;

pub(crate) const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
pub(crate) const SSL: u32 = 1 << 11;
pub(crate) const LINE: &[u8] = &[0xfe, 0, 0, 2, 0];

/// A packet.
pub(crate) fn p(number: u8, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes()[..3], &[number], body].concat()
}

/// A command.
pub(crate) fn c(code: u8, body: &[u8]) -> Vec<u8> {
    p(0, &[&[code], body].concat())
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    c(3, sql.as_bytes())
}

pub(crate) fn execute(id: u32) -> Vec<u8> {
    c(0x17, &[&id.to_le_bytes()[..], &[0, 1, 0, 0, 0]].concat())
}

/// Packets of a server, numbered from 1.
pub(crate) fn answer(bodies: &[&[u8]]) -> Vec<u8> {
    bodies.iter().enumerate().flat_map(|(index, body)| p(index as u8 + 1, body)).collect()
}

/// A result of one column: with EOF packets around the rows as older servers send them, or without.
pub(crate) fn result(rows: &[&[u8]], is_old: bool) -> Vec<u8> {
    let column = b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x01\0\0\0\x03\x81\0\0\0\0";
    let mut bodies: Vec<&[u8]> = vec![&[1], column];
    bodies.extend(is_old.then_some(LINE));
    bodies.extend(rows);
    bodies.push(if is_old { LINE } else { &[0xfe, 0, 0, 2, 0, 0, 0] });
    answer(&bodies)
}

pub(crate) fn greeting(version: &str, capabilities: u32) -> Vec<u8> {
    let [a, b, c, d] = capabilities.to_le_bytes();
    let tail = [&b"\0\x07\0\0\0abcdefgh\0"[..], &[a, b, 0xff, 2, 0, c, d, 21], &[0; 10], b"ijklmnopqrst\0"].concat();
    p(0, &[b"\x0a", version.as_bytes(), &tail].concat())
}

pub(crate) fn login(number: u8, capabilities: u32) -> Vec<u8> {
    let capabilities = capabilities | 1 | 1 << 3 | 1 << 9 | 1 << 15;
    let head = [&capabilities.to_le_bytes()[..], &[0, 0, 0, 1, 45], &[0; 23]].concat();
    p(number, &[&head[..], b"app\0\x03abcshop\0mysql_native_password\0"].concat())
}

pub(crate) fn start() -> Talk {
    Talk::tcp("10.0.0.7:40000", 3306)
}

/// A session whose login was accepted.
pub(crate) fn session() -> Talk {
    start().server(&greeting("8.0.36", u32::MAX)).client(&login(1, 0)).server(&p(2, OK))
}

/// Returns name, error and calls of each row.
pub(crate) fn told(talk: Talk) -> Vec<String> {
    let of = |row: &Vec<(String, String)>, name: &str| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let told = |row| {
        let millis = of(row, "duration").parse::<u64>().unwrap() / 1_000_000;
        format!(
            "{} {millis} {} {}",
            of(row, "name"),
            of(row, "error.type"),
            of(row, "db.response.returned_rows").replace('0', "")
        )
    };
    talk.end().fields::<MySql>().iter().map(|row| told(row).split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

pub(crate) fn disowns(talk: &Talk) -> bool {
    disowned_from(talk).is_some()
}

/// Returns the record and byte from which a connection is disowned; `Some(None)` for all of it.
pub(crate) fn disowned_from(talk: &Talk) -> Option<Option<(u32, u32)>> {
    let mut decoder = plugin_sdk::testing::decoder::<MySql>("{}");
    let _ = talk.rows_of(&mut decoder);
    decoder.disowned().first().map(|of| of.from)
}

/// Returns one field of each row.
pub(crate) fn column(talk: Talk, name: &str) -> Vec<String> {
    let of = |row: &Vec<(String, String)>| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
    talk.end().fields::<MySql>().iter().map(of).collect()
}
