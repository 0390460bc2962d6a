//! Redis, memcached and DNS: arguments, keys, values and records.

use crate::play::Talk;
use crate::{Place, Planted, Shape};

/// Commands of Redis, a word an argument: `{}` is the secret.
const COMMANDS: [(&str, Shape, &[&str]); 22] = [
    ("redis key", Shape::Word, &["GET", "{}"]),
    ("redis value", Shape::Word, &["SET", "k", "{}"]),
    ("redis password", Shape::Word, &["AUTH", "{}"]),
    ("redis user and password", Shape::Word, &["AUTH", "u", "{}"]),
    ("redis password of a greeting", Shape::Word, &["HELLO", "3", "AUTH", "u", "{}"]),
    ("redis setting", Shape::Word, &["CONFIG", "SET", "requirepass", "{}"]),
    ("redis rule", Shape::Word, &["ACL", "SETUSER", "u", ">{}"]),
    ("redis replication", Shape::Word, &["MIGRATE", "h", "1", "k", "0", "9", "AUTH", "{}"]),
    ("redis script", Shape::Word, &["EVAL", "return '{}'", "0"]),
    ("redis argument of a script", Shape::Word, &["EVALSHA", "abc", "0", "{}"]),
    ("redis field", Shape::Word, &["HSET", "h", "{}", "v"]),
    ("redis channel", Shape::Word, &["PUBLISH", "{}", "m"]),
    ("redis message", Shape::Word, &["PUBLISH", "c", "{}"]),
    ("redis name of a client", Shape::Word, &["CLIENT", "SETNAME", "{}"]),
    ("redis unknown command", Shape::Word, &["{}", "a"]),
    ("redis unknown command like a key", Shape::Key, &["{}"]),
    ("redis unknown subcommand", Shape::Word, &["CONFIG", "{}"]),
    ("redis command of a module", Shape::Word, &["JSON.SET", "k", "$", "{}"]),
    ("redis text", Shape::Word, &["ECHO", "{}"]),
    ("redis database", Shape::Digits, &["SELECT", "{}"]),
    ("redis pattern", Shape::Word, &["KEYS", "{}*"]),
    ("redis wait", Shape::Word, &["BLPOP", "{}", "0"]),
];

/// Commands of memcached.
const LINES: [(&str, Shape, &str, &str); 7] = [
    ("memcached key", Shape::Word, "get {}\r\n", "END\r\n"),
    ("memcached keys", Shape::Word, "get a {} b\r\n", "END\r\n"),
    ("memcached value", Shape::Word, "set k 0 0 12\r\n{}\r\n", "STORED\r\n"),
    ("memcached log-in", Shape::Word, "set _ _ _ 14\r\nu {}\r\n", "STORED\r\n"),
    ("memcached meta key", Shape::Word, "mg {} v\r\n", "EN\r\n"),
    ("memcached opaque", Shape::Word, "mg k v O{}\r\n", "EN\r\n"),
    ("memcached value in an answer", Shape::Word, "get k\r\n", "VALUE k 0 12\r\n{}\r\nEND\r\n"),
];

pub(crate) fn redis(first: usize) -> Vec<Planted> {
    let mut places: Vec<Place> = Vec::new();
    for (place, shape, words) in COMMANDS {
        places.push((place, shape, Box::new(move |secret| greeted().client(command(words, secret)).server("+OK\r\n"))));
    }
    let inline = |words: &'static str| move |secret: &str| greeted().client(words.replace("{}", secret)).server("+OK\r\n");
    places.push(("redis inline value", Shape::Word, Box::new(inline("SET k \"a {}\"\r\n"))));
    places.push(("redis inline command", Shape::Word, Box::new(inline("{} a\r\n"))));
    for (place, answer) in [
        ("redis error", "-ERR {} no\r\n"),
        ("redis kind of an error", "-{} no\r\n"),
        ("redis text in an answer", "$12\r\n{}\r\n"),
        ("redis status", "+{}\r\n"),
    ] {
        let make = move |secret: &str| greeted().client(command(&["GET", "k"], secret)).server(answer.replace("{}", secret));
        places.push((place, Shape::Word, Box::new(make)));
    }
    crate::planted(first, places)
}

pub(crate) fn memcached(first: usize) -> Vec<Planted> {
    let mut places: Vec<Place> = Vec::new();
    for (place, shape, ask, answer) in LINES {
        let make = move |secret: &str| {
            let greeted = Talk::default().client("set a 0 0 1\r\nx\r\n").server("STORED\r\n");
            greeted.client(ask.replace("{}", secret)).server(answer.replace("{}", secret))
        };
        places.push((place, shape, Box::new(make)));
    }
    crate::planted(first, places)
}

/// Records of DNS. The requested name is the subject of a lookup, and is exported.
pub(crate) fn dns(first: usize) -> Vec<Planted> {
    let text = |secret: &str| [&[secret.len() as u8][..], secret.as_bytes()].concat();
    let places: Vec<Place> = vec![
        ("dns text", Shape::Word, Box::new(move |secret| lookup(16, &text(secret)))),
        ("dns alias", Shape::Word, Box::new(move |secret| lookup(5, &[&text(secret)[..], &[0]].concat()))),
    ];
    crate::planted(first, places)
}

fn greeted() -> Talk {
    Talk::default().client("*1\r\n$4\r\nPING\r\n").server("+PONG\r\n")
}

fn command(words: &[&str], secret: &str) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.replace("{}", secret);
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

/// Returns a question for `host.test`, and one record of this kind in its answer.
fn lookup(kind: u16, data: &[u8]) -> Talk {
    let question = [&b"\x04host\x04test\0"[..], &kind.to_be_bytes(), &[0, 1]].concat();
    let head = |flags: u16, answers: u16| {
        [0x1234_u16, flags, 1, answers, 0, 0].into_iter().flat_map(u16::to_be_bytes).collect::<Vec<u8>>()
    };
    let mut record = vec![0xc0, 12];
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 60]);
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    Talk::default().client([head(0x0100, 0), question.clone()].concat()).server([head(0x8180, 1), question, record].concat())
}
