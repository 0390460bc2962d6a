//! The conversations for measuring decoders: exchanges like those of load tools for real servers.

use plugin_sdk::testing::Talk;

/// A conversation that many connections have at the same time.
pub(crate) struct Conversation {
    pub(crate) protocol: &'static str,
    /// A description of the exchange.
    pub(crate) what: &'static str,
    port: u16,
    /// Number of bytes captured of each call.
    capture: usize,
    /// The start of the conversation, sent once.
    greeting: fn(Talk) -> Talk,
    /// Returns an exchange by its number.
    exchange: fn(Talk, u32) -> Talk,
}

/// Number of connections that take turns.
const CONNECTIONS: u64 = 16;
/// Number of exchanges on each connection.
const EXCHANGES: u32 = 32;

pub(crate) const TALKS: &[Conversation] = &[
    Conversation { protocol: "http", what: "wrk, nginx", port: 80, capture: 512, greeting: silent, exchange: wrk },
    Conversation { protocol: "http", what: "a browser", port: 80, capture: 512, greeting: silent, exchange: browser },
    Conversation { protocol: "http2", what: "h2load, nginx", port: 80, capture: 1024, greeting: preface, exchange: h2load },
    Conversation { protocol: "redis", what: "redis-benchmark", port: 6379, capture: 256, greeting: silent, exchange: get },
    Conversation {
        protocol: "redis",
        what: "16 in a pipeline",
        port: 6379,
        capture: 1024,
        greeting: silent,
        exchange: pipeline,
    },
    Conversation { protocol: "memcached", what: "get", port: 11211, capture: 256, greeting: silent, exchange: value },
    Conversation { protocol: "dns", what: "dig, one address", port: 53, capture: 512, greeting: silent, exchange: look_up },
    Conversation { protocol: "postgresql", what: "pgbench -S", port: 5432, capture: 512, greeting: login, exchange: select },
    Conversation {
        protocol: "postgresql",
        what: "pgbench -S -M prepared",
        port: 5432,
        capture: 1024,
        greeting: prepare,
        exchange: execute,
    },
    Conversation { protocol: "mysql", what: "mariadb-slap", port: 3306, capture: 1024, greeting: hello, exchange: slap },
];

/// Returns the records of many such conversations, in turns, as a run; each conversation ends, so that the run can be repeated.
pub(crate) fn run(conversation: &Conversation) -> Vec<u8> {
    let talk = |number: u64| {
        let client = format!("10.0.0.7:{}", 40_000 + number);
        let between = if conversation.protocol == "dns" { Talk::udp } else { Talk::tcp };
        let talk = between(&client, conversation.port).cut(conversation.capture);
        let talk = (conversation.greeting)(talk.connection(number + 1));
        (0..EXCHANGES).fold(talk, conversation.exchange).end()
    };
    let mut talks: Vec<_> = (0..CONNECTIONS).map(|number| talk(number).records().into_iter()).collect();
    let mut records = Vec::new();
    loop {
        let before = records.len();
        // Two calls each: a request and its response are rarely separated.
        records.extend(talks.iter_mut().flat_map(|talk| [talk.next(), talk.next()]).flatten());
        if records.len() == before {
            return plugin_sdk::testing::run(records.iter().map(Vec::as_slice));
        }
    }
}

fn silent(talk: Talk) -> Talk {
    talk
}

// === HTTP ===

const NGINX: &str = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\nContent-Type: text/html\r\n\
                     Content-Length: 615\r\nLast-Modified: Mon, 23 Nov 2026 09:00:00 GMT\r\nConnection: keep-alive\r\n\
                     ETag: \"6741a0f0-267\"\r\nAccept-Ranges: bytes\r\n\r\n";

fn wrk(talk: Talk, _: u32) -> Talk {
    talk.client(b"GET /ok HTTP/1.1\r\nHost: 127.0.0.1:18080\r\n\r\n").server(&[NGINX.as_bytes(), &[b'x'; 615]].concat())
}

fn browser(talk: Talk, number: u32) -> Talk {
    let request = format!(
        "GET /api/v1/users/{number}/orders?page=2&token=abcdef HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36\r\n\
         Accept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\n\
         traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n"
    );
    let chunked = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
                    1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";
    talk.client(request.as_bytes()).server(chunked)
}

// === HTTP/2 ===

/// A frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    [&[a, b, c, kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

fn preface(talk: Talk) -> Talk {
    let settings = frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]);
    talk.client(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat())
        .server(&[settings, frame(4, 1, 0, &[])].concat())
}

fn h2load(talk: Talk, number: u32) -> Talk {
    let stream = number * 2 + 1;
    // GET, http, `/` of the static table; the authority and the agent are added to the dynamic one, and later found there.
    let request: &[u8] =
        if number == 0 { b"\x82\x86\x84\x41\x0flocalhost:18080\x7a\x0dh2load nghttp" } else { &[0x82, 0x86, 0x84, 0xbf, 0xbe] };
    let response: &[u8] =
        if number == 0 { b"\x88\x76\x05nginx\x5f\x09text/html\x5c\x03615" } else { &[0x88, 0xc0, 0xbf, 0xbe] };
    let server = [frame(1, 4, stream, response), frame(0, 1, stream, &[b'x'; 615])].concat();
    talk.client(&frame(1, 5, stream, request)).server(&server)
}

// === Redis ===

fn get(talk: Talk, _: u32) -> Talk {
    talk.client(b"*2\r\n$3\r\nGET\r\n$16\r\nkey:__rand_int__\r\n").server(b"$3\r\nxxx\r\n")
}

fn pipeline(talk: Talk, _: u32) -> Talk {
    talk.client(&b"*3\r\n$3\r\nSET\r\n$16\r\nkey:__rand_int__\r\n$3\r\nxxx\r\n".repeat(16)).server(&b"+OK\r\n".repeat(16))
}

// === memcached ===

fn value(talk: Talk, _: u32) -> Talk {
    talk.client(b"get memtier-42\r\n").server(b"VALUE memtier-42 0 5\r\nhello\r\nEND\r\n")
}

// === DNS ===

fn look_up(talk: Talk, number: u32) -> Talk {
    let message = |flags: &[u8; 2], answers: u8, behind: &[u8]| {
        let id = (number as u16).to_be_bytes();
        let question = b"\x07example\x03com\0\0\x01\0\x01";
        [&id[..], flags, &[0, 1, 0, answers, 0, 0, 0, 0], question, behind].concat()
    };
    let answer = b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x5d\xb8\xd8\x22";
    talk.client(&message(&[1, 0], 0, b"")).server(&message(&[0x81, 0x80], 1, answer))
}

// === PostgreSQL ===

/// A message.
fn message(kind: &[u8], body: &[u8]) -> Vec<u8> {
    [kind, &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

fn login(talk: Talk) -> Talk {
    let startup = message(b"", b"\0\x03\0\0user\0bench\0database\0postgres\0application_name\0pgbench\0\0");
    talk.client(&startup).server(&[message(b"R", &[0; 4]), message(b"Z", b"I")].concat())
}

fn select(talk: Talk, number: u32) -> Talk {
    let query = format!("SELECT abalance FROM pgbench_accounts WHERE aid = {};\0", 50_000 + number);
    let row = b"\0\x01abalance\0\0\0\x40\0\0\x03\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
    let answer = [message(b"T", row), message(b"D", b"\0\x01\0\0\0\x010"), message(b"C", b"SELECT 1\0"), message(b"Z", b"I")];
    talk.client(&message(b"Q", query.as_bytes())).server(&answer.concat())
}

fn prepare(talk: Talk) -> Talk {
    let parse = message(b"P", b"P0\0SELECT abalance FROM pgbench_accounts WHERE aid = $1;\0\0\0");
    login(talk).client(&[parse, message(b"S", b"")].concat()).server(&[message(b"1", b""), message(b"Z", b"I")].concat())
}

fn execute(talk: Talk, number: u32) -> Talk {
    let bind = format!("\0P0\0\0\0\0\x01\0\0\0\x05{}\0\x01\0\0", 50_000 + number);
    let asked = [message(b"B", bind.as_bytes()), message(b"D", b"P\0"), message(b"E", b"\0\0\0\0\0"), message(b"S", b"")];
    let row = b"\0\x01abalance\0\0\0\x40\0\0\x03\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
    let answer = [
        message(b"2", b""),
        message(b"T", row),
        message(b"D", b"\0\x01\0\0\0\x010"),
        message(b"C", b"SELECT 1\0"),
        message(b"Z", b"I"),
    ];
    talk.client(&asked.concat()).server(&answer.concat())
}

// === MySQL ===

/// A packet.
fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes()[..3], &[number], body].concat()
}

fn hello(talk: Talk) -> Talk {
    let hello =
        [&b"\x0a5.5.5-10.11.6-MariaDB\0\x07\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15"[..], &[0; 10], b"ijklmnopqrst\0"]
            .concat();
    let login = [&[0x84, 0xa2, 0x1a, 0, 0, 0, 0, 1, 0x2d][..], &[0; 23], b"app\0\0"].concat();
    talk.server(&packet(0, &hello)).client(&packet(1, &login)).server(&packet(2, &[0, 0, 0, 2, 0, 0, 0]))
}

fn slap(talk: Talk, number: u32) -> Talk {
    let asked = packet(0, format!("\x03select id from items where id = {number}").as_bytes());
    let (header, rest) = asked.split_at(4);
    let column = b"\x03def\x04shop\x05items\x05items\x02id\x02id\x0c\x3f\0\x0b\0\0\0\x03\x03\x50\0\0\0";
    let line = &[0xfe, 0, 0, 0x22, 0];
    let bodies: [&[u8]; 5] = [&[1], column, line, b"\x011", line];
    let answered: Vec<u8> = (1..).zip(bodies).flat_map(|(number, body)| packet(number, body)).collect();
    // The server reads a header with a call of its own.
    talk.client(header).client(rest).server(&answered)
}
