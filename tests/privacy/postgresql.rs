//! PostgreSQL: statements in every way of quoting, bound values, and the server's answers.

use crate::play::Talk;
use crate::{Place, Planted, Shape};

/// Statements: `{}` is the secret.
const STATEMENTS: [(&str, Shape, &str); 40] = [
    ("postgresql string", Shape::Word, "SELECT * FROM t WHERE a = '{}'"),
    ("postgresql string with a quote", Shape::Word, "SELECT 'it''s {}'"),
    ("postgresql escape string", Shape::Word, r"SELECT E'it\'s {}'"),
    ("postgresql escape string that goes on", Shape::Word, "SELECT E'a'\n'b\\'{}'"),
    ("postgresql escape string that goes on behind a comment", Shape::Word, "SELECT E'a' -- it\n'b\\'{}'"),
    ("postgresql string that goes on", Shape::Word, "SELECT 'a'\n  '{}'"),
    ("postgresql string with a backslash at its end", Shape::Word, r"SELECT 'a\', '{}'"),
    ("postgresql string with an escaped quote", Shape::Word, r"SELECT 'a\' {} ', 'b'"),
    ("postgresql unicode string", Shape::Word, r"SELECT U&'\0061{}'"),
    ("postgresql unicode string with its own escape", Shape::Word, "SELECT U&'!0061{}' UESCAPE '!'"),
    ("postgresql national string", Shape::Word, "SELECT N'{}'"),
    ("postgresql bits", Shape::Hex, "SELECT X'{}'"),
    ("postgresql dollars", Shape::Word, "SELECT $${}$$"),
    ("postgresql dollars with a tag", Shape::Word, "SELECT $a$ ' {} $a$"),
    ("postgresql dollars with another tag inside", Shape::Word, "SELECT $a$ $b$ {} $b$ ' $a$"),
    (
        "postgresql dollars with a long tag",
        Shape::Word,
        "SELECT $aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa$ {} $aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa$",
    ),
    ("postgresql comment", Shape::Word, "SELECT 1 -- {}"),
    ("postgresql comment ended by a carriage return", Shape::Word, "SELECT 1 -- it's\r, '{}'"),
    ("postgresql comment of many lines", Shape::Word, "SELECT /* {} */ 1"),
    ("postgresql comment in a comment", Shape::Word, "SELECT /* /* ' */ {} */ 1"),
    ("postgresql number", Shape::Digits, "SELECT * FROM cards WHERE number = {}"),
    ("postgresql number behind a sign", Shape::Digits, "SELECT -{}"),
    ("postgresql setting", Shape::Word, "SET app.key = {}"),
    ("postgresql setting, quoted", Shape::Word, "SET app.key TO '{}'"),
    ("postgresql setting of a transaction", Shape::Word, "SET LOCAL app.key = {}"),
    ("postgresql password", Shape::Word, "ALTER USER u PASSWORD '{}'"),
    ("postgresql role", Shape::Word, "CREATE ROLE r LOGIN ENCRYPTED PASSWORD '{}'"),
    ("postgresql options", Shape::Word, "CREATE USER MAPPING FOR u SERVER s OPTIONS (password '{}')"),
    ("postgresql program", Shape::Word, "COPY t FROM PROGRAM 'curl -u {}'"),
    ("postgresql notification", Shape::Word, "NOTIFY c, '{}'"),
    ("postgresql block", Shape::Word, "DO $$ BEGIN PERFORM '{}'; END $$"),
    ("postgresql execute", Shape::Word, "EXECUTE p('{}', 1)"),
    ("postgresql comment on", Shape::Word, "COMMENT ON TABLE t IS '{}'"),
    ("postgresql json", Shape::Word, r#"INSERT INTO t VALUES ('{"password":"{}"}')"#),
    ("postgresql array", Shape::Word, "SELECT ARRAY['a', '{}']"),
    ("postgresql cast", Shape::Word, "SELECT '{}'::text, CAST('{}' AS text)"),
    ("postgresql type before a string", Shape::Word, "SELECT bytea '{}'"),
    ("postgresql string without an end", Shape::Word, "SELECT 'a {}"),
    ("postgresql dollars without an end", Shape::Word, "SELECT $q$ a {}"),
    ("postgresql second statement", Shape::Word, "SELECT 1; SET x = {}; SELECT '{}'"),
];

/// Returns every place, in a session of its own.
pub(crate) fn planted(first: usize) -> Vec<Planted> {
    let mut places: Vec<Place> = Vec::new();
    for (place, shape, statement) in STATEMENTS {
        places.push((place, shape, Box::new(move |secret| session(&query(&statement.replace("{}", secret)), &done()))));
    }
    places.push(("postgresql bound value", Shape::Word, Box::new(|secret| session(&bound(secret), &bound_answer()))));
    places.push((
        "postgresql message of an error",
        Shape::Word,
        Box::new(|secret| session(&query("INSERT INTO t VALUES (1)"), &failed(secret))),
    ));
    places.push(("postgresql row", Shape::Word, Box::new(|secret| session(&query("SELECT a FROM t"), &row(secret)))));
    places.push((
        "postgresql password message",
        Shape::Word,
        Box::new(|secret| {
            let cleartext = message(b'R', &3_u32.to_be_bytes());
            let login = Talk::default().client(startup("u")).server(cleartext);
            login.client(message(b'p', &zero_ended(secret))).server(ready(&[])).client(query("SELECT 1")).server(done())
        }),
    ));
    places.push((
        "postgresql name of an application",
        Shape::Word,
        Box::new(|secret| {
            let login = Talk::default().client(startup(&format!("u\0application_name\0{secret}"))).server(ready(&[]));
            login.client(query("SELECT 1")).server(done())
        }),
    ));
    crate::planted(first, places)
}

/// Returns a session: the log-in, one statement and its answer.
fn session(asked: &[u8], answered: &[u8]) -> Talk {
    let parameter = message(b'S', b"standard_conforming_strings\0on\0");
    Talk::default().client(startup("u")).server(ready(&parameter)).client(asked).server(answered)
}

fn startup(user: &str) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    body.extend(format!("user\0{user}\0database\0d\0\0").as_bytes());
    let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}

fn ready(parameters: &[u8]) -> Vec<u8> {
    [message(b'R', &0_u32.to_be_bytes()), parameters.to_vec(), message(b'Z', b"I")].concat()
}

fn query(statement: &str) -> Vec<u8> {
    message(b'Q', &zero_ended(statement))
}

fn done() -> Vec<u8> {
    [message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat()
}

fn failed(secret: &str) -> Vec<u8> {
    let fields = format!("SERROR\0C23505\0Mduplicate key {secret}\0DKey (a)=({secret}) already exists.\0n{secret}\0\0");
    [message(b'E', fields.as_bytes()), message(b'Z', b"I")].concat()
}

fn row(secret: &str) -> Vec<u8> {
    let mut body = 1_u16.to_be_bytes().to_vec();
    body.extend((secret.len() as u32).to_be_bytes());
    body.extend(secret.as_bytes());
    [message(b'D', &body), done()].concat()
}

fn bound(secret: &str) -> Vec<u8> {
    let parse = message(b'P', b"\0SELECT a FROM t WHERE a = $1\0\0\0");
    let mut body = b"\0\0\0\0\0\x01".to_vec();
    body.extend((secret.len() as u32).to_be_bytes());
    body.extend(secret.as_bytes());
    body.extend(0_u16.to_be_bytes());
    [parse, message(b'B', &body), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat()
}

fn bound_answer() -> Vec<u8> {
    [message(b'1', b""), message(b'2', b""), done()].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend((body.len() as u32 + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

fn zero_ended(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}
