//! MySQL and MariaDB: statements in every way of quoting, bound values, and the server's answers.

use crate::play::Talk;
use crate::{Place, Planted, Shape};

/// Statements: `{}` is the secret.
const STATEMENTS: [(&str, Shape, &[u8]); 30] = [
    ("mysql string", Shape::Word, b"SELECT * FROM t WHERE a = '{}'"),
    ("mysql string in double quotes", Shape::Word, b"SELECT \"{}\""),
    ("mysql string with an escaped quote", Shape::Word, br"SELECT 'it\'s {}'"),
    ("mysql string with a doubled quote", Shape::Word, b"SELECT 'it''s {}'"),
    ("mysql string with a backslash at its end", Shape::Word, br"SELECT 'a\', '{}'"),
    ("mysql string with a double quote in single ones", Shape::Word, b"SELECT 'a\"', '{}'"),
    ("mysql string of a character set", Shape::Word, b"SELECT _utf8mb4'{}'"),
    ("mysql national string", Shape::Word, b"SELECT N'{}'"),
    ("mysql string that goes on", Shape::Word, b"SELECT 'a' '{}'"),
    ("mysql string with a trail byte of Shift JIS", Shape::Word, b"SELECT '\x83\\', '{}'"),
    ("mysql string with a trail byte of GBK", Shape::Word, b"SELECT '\xb0\\', '{}'"),
    ("mysql hexadecimal", Shape::Hex, b"SELECT x'{}'"),
    ("mysql hexadecimal number", Shape::Hex, b"SELECT 0x{}"),
    ("mysql number", Shape::Digits, b"SELECT * FROM cards WHERE number = {}"),
    ("mysql comment", Shape::Word, b"SELECT 1 -- {}"),
    ("mysql comment behind a hash", Shape::Word, b"SELECT 1 # {}"),
    ("mysql comment behind a hash with a quote", Shape::Word, b"SELECT 1 # it's\n, '{}'"),
    ("mysql no comment: two signs without a space", Shape::Word, b"SELECT 1--'{}'"),
    ("mysql comment of many lines", Shape::Word, b"SELECT /* {} */ 1"),
    ("mysql comment with code", Shape::Word, b"SELECT /*!40101 '{}' */"),
    ("mysql comment with code with an end in a string", Shape::Word, b"SELECT /*! 'x*/ {}' */"),
    ("mysql hint", Shape::Word, b"SELECT /*+ SET_VAR(a='{}') */ 1"),
    ("mysql variable", Shape::Word, b"SET @a = '{}'"),
    ("mysql password", Shape::Word, b"ALTER USER u IDENTIFIED BY '{}'"),
    ("mysql password of old", Shape::Word, b"SET PASSWORD FOR u = PASSWORD(\"{}\")"),
    ("mysql grant", Shape::Word, b"GRANT ALL ON *.* TO u IDENTIFIED BY '{}'"),
    ("mysql replication", Shape::Word, b"CHANGE MASTER TO MASTER_PASSWORD='{}'"),
    ("mysql string without an end", Shape::Word, b"SELECT 'a {}"),
    ("mysql comment without an end", Shape::Word, b"SELECT 1 /* {}"),
    ("mysql second statement", Shape::Word, b"SELECT 1; SET @x = '{}'"),
];

/// Returns every place, in a session of its own.
pub(crate) fn planted(first: usize) -> Vec<Planted> {
    let mut places: Vec<Place> = Vec::new();
    for (place, shape, statement) in STATEMENTS {
        places.push((place, shape, Box::new(move |secret| session(&query(&put(statement, secret)), &ok()))));
    }
    places.push((
        "mysql message of an error",
        Shape::Word,
        Box::new(|secret| session(&query(b"INSERT INTO t VALUES (1)"), &failed(secret))),
    ));
    places.push((
        "mysql value in an answer",
        Shape::Word,
        Box::new(|secret| {
            let info = [&b"\0\0\0\x02\0\0\0"[..], secret.as_bytes()].concat();
            session(&query(b"UPDATE t SET a = 1"), &packet(1, &info))
        }),
    ));
    crate::planted(first, places)
}

fn put(statement: &[u8], secret: &str) -> Vec<u8> {
    let at = statement.windows(2).position(|two| two == b"{}").unwrap();
    [&statement[..at], secret.as_bytes(), &statement[at + 2..]].concat()
}

/// Returns a session: the log-in, one statement and its answer.
fn session(asked: &[u8], answered: &[u8]) -> Talk {
    let mut greeting = b"\x0a8.0.36\0".to_vec();
    greeting.extend(7_u32.to_le_bytes());
    greeting.extend(b"abcdefgh\0");
    greeting.extend([0xff, 0xf7, 0x2d, 0x02, 0x00, 0xff, 0xdf, 21]);
    greeting.extend([0; 10]);
    greeting.extend(b"ijklmnopqrst\0mysql_native_password\0");
    let mut login = 0x000f_a68d_u32.to_le_bytes().to_vec();
    login.extend((1_u32 << 24).to_le_bytes());
    login.push(45);
    login.extend([0; 23]);
    login.extend(b"u\0\0d\0mysql_native_password\0");
    Talk::default().server(packet(0, &greeting)).client(packet(1, &login)).server(packet(2, OK)).client(asked).server(answered)
}

const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

fn ok() -> Vec<u8> {
    packet(1, OK)
}

fn query(statement: &[u8]) -> Vec<u8> {
    packet(0, &[&[3][..], statement].concat())
}

fn failed(secret: &str) -> Vec<u8> {
    packet(1, &[&[0xff, 0x26, 0x04][..], format!("#23000Duplicate entry '{secret}' for key 'a'").as_bytes()].concat())
}

fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_le_bytes();
    [&length[..3], &[number], body].concat()
}
