//! Mutated conversations, and inputs that broke other parsers.

use decoder_http::Http;
use plugin_sdk::testing::{Talk, mutated};

fn talks() -> Vec<Talk> {
    let talk = || Talk::tcp("10.0.0.7:40000", 80);
    let get = b"GET /users/42?a=b HTTP/1.1\r\nHost: example\r\nTraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n";
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world";
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1F\r\n0123456789012345678901234567890\r\n0\r\n\r\n";
    let post = b"POST /a/b HTTP/1.1\r\nContent-Length: 300\r\nExpect: 100-continue\r\n\r\n";
    vec![
        talk().client(get).server(ok).client(get).server(chunked).end(),
        talk().at_client().client(&get.repeat(4)).server(&ok.repeat(2)).server(&ok.repeat(2)).end(),
        talk().cut(128).client(post).server(b"HTTP/1.1 100 Continue\r\n\r\n").client(&[b'x'; 300]).server(ok).tick().end(),
        talk()
            .tls()
            .client(b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
            .server(b"HTTP/1.1 101 S\r\n\r\n")
            .client(&[0x81; 9]),
        talk()
            .client(b"HEAD / HTTP/1.0\r\n\r\n")
            .server(b"HTTP/1.0 304 Not Modified\r\n\r\n")
            .client(get)
            .server(b"HTTP/1.0 200 OK\r\n\r\nx")
            .end(),
    ]
}

#[test]
fn a_hundred_thousand_mutated_conversations_do_no_harm() {
    let sum = mutated::<Http>(&talks(), 100_000, 0x5eed);
    assert!(sum.rows > 50_000, "most of them are still worth something: {sum:?}");
}

/// Lengths that overflow (CVE-2026-45686), negative lengths, and sizes of chunks that wrap around.
#[test]
fn lengths_that_no_body_can_have_are_survived() {
    let request = b"GET / HTTP/1.1\r\n\r\n";
    let numbers =
        ["9223372036854775807", "18446744073709551615", "18446744073709551616", "-1", "4294967295", "0x7fffffff", "1e99", ""];
    for number in numbers {
        for head in ["Content-Length: ", "Transfer-Encoding: chunked\r\n\r\n"] {
            let response = format!("HTTP/1.1 200 OK\r\n{head}{number}\r\n\r\nbody");
            let post = format!("POST / HTTP/1.1\r\n{head}{number}\r\n\r\nbody");
            let talk =
                Talk::tcp("10.0.0.7:1", 80).client(request).server(response.as_bytes()).server(b"body").server(&[0; 300]);
            let talk = talk.lost_server(u32::MAX / 2).server(response.as_bytes()).client(post.as_bytes()).client(request).end();
            assert!(!talk.rows::<Http>().is_empty(), "{head}{number}");
        }
    }
}

#[test]
fn floods_are_bounded() {
    let head = [b"GET / HTTP/1.1\r\n".as_slice(), &b"a: b\r\n".repeat(2000)].concat();
    let flood = Talk::tcp("10.0.0.7:1", 80).client(&head).client(&head).client(&head).end();
    assert!(flood.rows::<Http>().len() <= 3);
    let asked = (0..5000).fold(Talk::tcp("10.0.0.7:2", 80), |talk, _| talk.client(b"GET / HTTP/1.1\r\n\r\n"));
    assert_eq!(asked.rows::<Http>().len(), 5000 - 128, "so many wait of a client that never listens, and the others are told");
    assert_eq!(asked.end().rows::<Http>().len(), 5000);
}
