//! One nginx is scanned, and another is not.

use std::io::{Read, Write};
use std::net::TcpStream;

use host_tests::server::Server;
use host_tests::turn::turn_as_root;

const ABSENT: u64 = 5_000;

#[test]
fn a_scanner_takes_no_route_from_anybody_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let (scanned, other) = (Server::nginx(false), Server::nginx(false));
    let host = crate::host();
    ask(scanned.port, ["/users/1".into()]);
    let letter = |number: u64| char::from(b'a' + (number % 26) as u8);
    ask(scanned.port, (0..ABSENT).map(|n| format!("/o{}a{}e{}o", letter(n), letter(n / 26), letter(n / 676))));
    for port in [scanned.port, other.port] {
        ask(port, ["/ok".into(), "/users/2".into(), "/users/3".into()]);
    }
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        for (port, users, absent) in [(scanned.port, 3, ABSENT), (other.port, 2, 0)] {
            let of = requests.of("http", role, port);
            let count = |route: &str| of.filter(|request| request.route == route).count();
            assert_eq!((count("/users/{id}"), count("/ok"), count("/*")), (users, 1, absent), "{role}: {of:#?}");
            assert!(of.0.len() <= 3, "{role}: {of:#?}");
        }
    }
}

/// Sends requests for paths over one connection.
fn ask(port: u16, paths: impl IntoIterator<Item = String>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut buffer = [0; 65_536];
    for path in paths {
        // In one call: a request in parts waits for the acknowledgement of the first.
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "{path}");
            answer.extend_from_slice(&buffer[..read]);
        }
    }
}

/// Whether an answer is complete.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).is_some_and(|length| length.parse() == Ok(body.len()))
}
