//! Which paths become a route or the name of a method, and which do not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod wire;

use std::collections::BTreeSet;

use decoder_http2::Http2;
use plugin_sdk::conversation::Conversations;
use plugin_sdk::testing::{Talk, decoder};

use wire::{answer, block, frame, get, preface};

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn begun(port: u16) -> Talk {
    begin(Talk::tcp(&format!("10.0.0.7:{port}"), 8080))
}

fn begin(talk: Talk) -> Talk {
    talk.client(&preface()).server(&frame(SETTINGS, 0, 0, b""))
}

/// Returns streams of a connection, and words that occur once.
fn streams(count: u32) -> impl Iterator<Item = (u32, String)> {
    let letter = |number: u32| char::from(b'a' + (number % 26) as u8);
    (0..count).map(move |n| (2 * n + 1, format!("O{}a{}e{}o", letter(n), letter(n / 26), letter(n / 676))))
}

/// Returns the values of a field, of all rows.
fn values(decoder: &mut Conversations<Http2>, talk: &Talk, name: &str) -> Vec<String> {
    let value =
        |row: String| row.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap_or("").to_string();
    talk.rows_of(decoder).into_iter().map(value).collect()
}

fn call(stream: u32, path: &str) -> Vec<u8> {
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", "application/grpc")];
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields))
}

fn trailers(stream: u32, status: &str) -> Vec<u8> {
    let fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", status)];
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields))
}

#[test]
fn a_scanner_of_absent_paths_makes_no_route() {
    let mut decoder = decoder::<Http2>("{}");
    let scan = streams(2000).fold(begun(1), |talk, (stream, word)| {
        talk.client(&get(stream, &format!("/{word}"))).server(&answer(stream, "404", true))
    });
    let routes = values(&mut decoder, &scan, "http.route");
    assert_eq!((routes.len(), routes.iter().all(|route| route == "/*")), (2000, true));
    let later = begun(2).client(&get(1, "/users/1")).server(&answer(1, "200", true));
    assert_eq!(values(&mut decoder, &later, "http.route"), ["/users/{id}"]);
}

#[test]
fn methods_that_a_server_does_not_have_are_no_names_and_others_are_few() {
    for (status, at_client, most) in [("12", false, 1), ("12", true, 65), ("14", false, 65), ("0", false, 257)] {
        let mut decoder = decoder::<Http2>("{}");
        let talk = if at_client { begin(Talk::tcp("10.0.0.7:1", 8080).at_client()) } else { begun(1) };
        let scan = streams(2000).fold(talk, |talk, (stream, word)| {
            talk.client(&call(stream, &format!("/pkg.v1.Echo/{word}"))).server(&trailers(stream, status))
        });
        let methods = values(&mut decoder, &scan, "rpc.method");
        assert_eq!(methods.len(), 2000, "{status}");
        assert_eq!(methods.iter().collect::<BTreeSet<_>>().len(), most, "{status}");
        assert_eq!(methods.last().map(String::as_str), Some("_OTHER"), "{status}");
    }
}

#[test]
fn no_secret_is_a_route_or_the_name_of_a_method() {
    let secret = "AKIAIOSFODNN7EXAMPLE";
    let long = format!("/{}/", "a/".repeat(244));
    for path in [
        "/@",
        "/a/@",
        "/a?b=@",
        "/a#@",
        "/a?b#/@",
        "http://h?next=/@",
        "@",
        "/a;b=@",
        "/pkg.Echo/@",
        "/@/Say",
        "/@.Echo/Say",
        &long,
    ] {
        let path = path.replace('@', secret) + if path.len() > 400 { &secret[..7] } else { "" };
        for request in [get(1, &path), call(1, &path)] {
            let talk = begun(1).client(&request).server(&trailers(1, "0"));
            let rows = talk.rows::<Http2>();
            let is_withheld = |word: &str| word.starts_with("url.path=") || word.starts_with("url.query=");
            assert_eq!(rows.len(), 1, "{path}");
            assert!(!rows[0].split(' ').any(|word| !is_withheld(word) && word.contains(&secret[..7])), "{path}: {rows:?}");
        }
    }
}
