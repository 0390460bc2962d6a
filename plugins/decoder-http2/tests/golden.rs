//! The rows of conversations between real clients and servers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod wire;

use std::collections::HashMap;

use decoder_http2::Http2;

use plugin_sdk::testing::Talk;
use wire::{CAPTURED, Call, conversation, say, talk};

/// Returns the rows without their durations.
fn rows(talk: Talk) -> Vec<String> {
    let rows = talk.end().rows::<Http2>();
    rows.iter().map(|row| row.split_once(' ').unwrap().1.to_owned()).collect()
}

/// Returns the values of these fields in each row.
fn of(rows: &[String], fields: &[&str]) -> Vec<String> {
    let value = |row: &str, field: &str| {
        let found = row.split(' ').find_map(|word| word.strip_prefix(field)?.strip_prefix('=').map(str::to_owned));
        found.unwrap_or_default()
    };
    rows.iter().map(|row| fields.iter().map(|field| value(row, field)).collect::<Vec<_>>().join(" ")).collect()
}

/// Returns the methods that the conversation in `grpc.calls` calls.
fn grpc_methods() -> Vec<String> {
    let mut methods = ["Get"; 4].to_vec();
    methods.extend(["Missing", "Watch", "Add", "Slow", "Crash", "Nowhere"]);
    methods.extend(["Get"; 8]);
    methods.into_iter().map(|method| format!("shop.v1.Cart/{method}")).collect()
}

#[test]
fn grpc_of_python_is_calls_with_the_status_of_their_trailers() {
    let rows = rows(talk(&conversation!("grpc")));
    let says = of(&rows, &["rpc.method", "rpc.response.status_code", "error.type"]);
    let errors = ["Slow DEADLINE_EXCEEDED DEADLINE_EXCEEDED", "Crash UNKNOWN UNKNOWN", "Nowhere UNIMPLEMENTED UNIMPLEMENTED"];
    let mut expected = vec!["Get OK "; 4];
    expected.extend(["Missing NOT_FOUND ", "Watch OK ", "Add OK "]);
    expected.extend(errors);
    expected.extend(["Get OK "; 8]);
    // A method that the server does not have does not become a name.
    let name = |call: &str| format!("shop.v1.Cart/{call}").replace("shop.v1.Cart/Nowhere", "_OTHER");
    assert_eq!(says, expected.iter().map(|call| name(call)).collect::<Vec<_>>());
    assert_eq!(
        rows[3],
        "kind=2 name=shop.v1.Cart/Get trace_parent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 url.scheme=http \
         url.path=/shop.v1.Cart/Get rpc.system.name=grpc rpc.service=shop.v1.Cart rpc.method=shop.v1.Cart/Get \
         rpc.response.status_code=OK is_grpc=1"
    );
    assert!(!rows.concat().contains("4711"), "what the server said of an error stays here");
}

#[test]
fn to_its_client_every_status_but_ok_is_an_error() {
    let calls = conversation!("grpc");
    let rows = rows(say(Talk::tcp("10.0.0.7:40000", 8080).cut(CAPTURED).at_client(), &calls));
    assert_eq!(of(&rows, &["kind", "rpc.response.status_code", "error.type"])[4], "3 NOT_FOUND NOT_FOUND");
}

#[test]
fn h2load_and_nginx_are_all_there() {
    let rows = rows(talk(&conversation!("h2load")));
    let three = ["GET /users/{id} 200", "GET /users/{id} 200", "GET /small.txt 200"];
    let expected: Vec<_> = std::iter::repeat_n(three, 8).flatten().collect();
    assert_eq!(of(&rows, &["http.request.method", "http.route", "http.response.status_code"]), expected);
}

#[test]
fn nghttp_pads_its_frames_and_says_its_priorities() {
    let rows = rows(talk(&conversation!("nghttp")));
    assert_eq!(of(&rows, &["http.route", "http.response.status_code"]), ["/users/{id} 200", "/small.txt 200", "/* 404"]);
    assert!(rows.iter().all(|row| row.contains("trace_parent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")));
}

#[test]
fn httpx_puts_nearly_all_into_the_table() {
    let rows = rows(talk(&conversation!("httpx")));
    let says = of(&rows, &["name", "http.response.status_code", "error.type", "url.query"]);
    let names = rows.iter().map(|row| row.split_once("name=").unwrap().1.split(" http.").next().unwrap()).collect::<Vec<_>>();
    assert_eq!(names[..3], ["GET /users/{id}", "GET /users/{id}/orders/{id}", "GET /*"]);
    assert!(names[3].starts_with("GET /users/{id} trace_parent=00-4bf92f"), "{}", names[3]);
    assert_eq!(names[4..], ["POST /post", "HTTP /fail", "HEAD /large.txt", "GET /large.txt", "GET /small.txt"]);
    assert_eq!(says[0], "GET 200  token=s3cret");
    assert_eq!(says[2], "GET 404  x=1");
    assert_eq!(says[5], "HTTP 503 503 ");
    assert_eq!(of(&rows, &["http.request.method"])[5], "_OTHER");
    let durations = talk(&conversation!("httpx")).end().rows::<Http2>();
    assert!(durations[7].starts_with("duration=5000000 "), "the body of 200,000 bytes comes in five calls: {}", durations[7]);
}

#[test]
fn every_request_is_there_when_bodies_are_longer_than_what_is_captured() {
    // 6 at a time, 200,000 bytes or 6 in each response, 64 KiB in each call, of which 4 KiB are captured.
    let rows = rows(talk(&conversation!("large")));
    assert_eq!(rows.len(), 12);
    assert!(of(&rows, &["error.type"]).iter().all(String::is_empty), "what was not seen is no error");
    assert_eq!(of(&rows, &["http.response.status_code"]).iter().filter(|status| *status == "200").count(), 4);
}

#[test]
fn calls_may_be_cut_anywhere() {
    for calls in [conversation!("grpc"), conversation!("h2load"), conversation!("nghttp")] {
        let whole = rows(talk(&calls));
        for size in [1, 2, 3, 5, 8, 13, 100] {
            let pieces = calls.iter().flat_map(|call| {
                call.bytes.chunks(size).map(|bytes| Call { is_server: call.is_server, bytes: bytes.to_vec() })
            });
            let pieces: Vec<_> = pieces.collect();
            let mut cut = rows(talk(&pieces));
            // The end of a response and the next request may have been in one call.
            cut.sort();
            let mut whole = whole.clone();
            whole.sort();
            assert_eq!(cut, whole, "{size}");
        }
    }
}

#[test]
fn a_connection_that_is_older_than_the_host_has_all_requests_that_begin_later() {
    let calls = conversation!("grpc");
    for first in 1..calls.len() {
        let rows = rows(talk(&calls[first..]));
        let methods = of(&rows, &["rpc.method"]);
        let all = grpc_methods();
        // Requests that began before are missing; those that began later are all there, though not all have a name.
        let begun = begun(&calls[first..]);
        assert_eq!(rows.len(), begun, "{first}: {rows:#?}");
        for (method, expected) in methods.iter().rev().zip(all.iter().rev()) {
            assert!(["", "_OTHER", expected.as_str()].contains(&method.as_str()), "{first}: {method} {expected}");
        }
    }
}

#[test]
fn a_lost_call_costs_no_request_but_those_in_it() {
    for calls in [conversation!("grpc"), conversation!("h2load")] {
        let whole = rows(talk(&calls)).len();
        for lost in 1..calls.len() {
            let before = talk(&calls[..lost]);
            let bytes = calls[lost].bytes.len() as u32;
            let before = if calls[lost].is_server { before.lost_server(bytes) } else { before.lost_client(bytes) };
            let rows = rows(say(before, &calls[lost + 1..]));
            assert_eq!(rows.len(), whole - begun(&calls[lost..=lost]), "{lost}: {rows:#?}");
            let mut errors = of(&rows, &["error.type"]);
            errors.retain(|error| !error.is_empty() && error.chars().any(char::is_lowercase));
            // The loss of a response at the very end of the connection cannot be detected.
            assert!(errors.len() <= begun(&calls[lost..=lost]).max(8), "{lost}: {errors:?}");
        }
    }
}

/// Returns path and status of each request, by the number that it has whatever is lost of the conversation.
fn by_number(talk: Talk) -> HashMap<String, (String, String)> {
    let rows = talk.end().fields::<Http2>();
    let of = |row: &[(String, String)], names: &[&str]| {
        let value = |name: &&str| row.iter().find(|(field, _)| field == name).unwrap().1.clone();
        names.iter().map(value).filter(|value| value != "0").collect::<String>()
    };
    let row = |row: &Vec<(String, String)>| {
        let name = of(row, &["url.path"]);
        (of(row, &["correlation"]), (name, of(row, &["rpc.response.status_code", "http.response.status_code"])))
    };
    rows.iter().map(row).collect()
}

fn at_client() -> Talk {
    Talk::tcp("10.0.0.7:40000", 8080).at_client()
}

#[test]
fn nothing_that_is_said_after_a_gap_is_wrong() {
    for calls in [conversation!("grpc"), conversation!("h2load"), conversation!("httpx"), conversation!("nghttp")] {
        let whole = by_number(say(at_client(), &calls));
        assert!(whole.len() > 2);
        let mut talks: Vec<_> = (20..500).map(|cut| say(at_client().cut(cut), &calls)).collect();
        for lost in 1..calls.len() {
            for count in 1..=3.min(calls.len() - lost) {
                let lose = |talk: Talk, call: &Call| {
                    let bytes = call.bytes.len() as u32;
                    if call.is_server { talk.lost_server(bytes) } else { talk.lost_client(bytes) }
                };
                let talk = calls[lost..lost + count].iter().fold(say(at_client(), &calls[..lost]), lose);
                talks.push(say(talk, &calls[lost + count..]));
            }
        }
        for talk in talks {
            for (number, (name, status)) in by_number(talk) {
                let (true_name, true_status) = &whole[&number];
                assert!(name.is_empty() || name == *true_name, "{name} {true_name}");
                // Without any content type it counts as HTTP; a reset before a gap can be noticed counts as cancelled.
                let is_cancelled = status == "CANCELLED" && true_status == "DEADLINE_EXCEEDED";
                assert!(["", "200", "_UNSEEN", true_status].contains(&&*status) || is_cancelled, "{status} {true_status}");
            }
        }
    }
}

#[test]
fn names_are_found_again_after_a_gap() {
    let calls = conversation!("grpc");
    // The last fields of the first request's header block, which were added to the table, were not captured.
    let first = rows(say(Talk::tcp("10.0.0.7:40000", 8080).cut(256), &calls[..20]));
    let first = of(&first, &["rpc.method", "rpc.response.status_code"]);
    assert_eq!(
        first,
        [["shop.v1.Cart/Get OK"; 4].as_slice(), &["shop.v1.Cart/Missing NOT_FOUND", "shop.v1.Cart/Watch OK"]].concat()
            [..first.len()]
    );
    // A call of the client is lost that added nothing to the table.
    let lost = talk(&calls[..6]).lost_client(calls[6].bytes.len() as u32);
    let rows = rows(say(lost, &calls[7..]));
    let methods = of(&rows, &["rpc.method", "rpc.response.status_code"]);
    let is_known = |method: &String| method.starts_with("shop.v1.Cart/") || method == "_OTHER UNIMPLEMENTED";
    assert!(methods.iter().all(is_known), "{rows:#?}");
}

/// Returns the number of requests that begin in these calls, each of which begins with a frame: HEADERS of the client.
fn begun(calls: &[Call]) -> usize {
    let mut begun = 0;
    for call in calls.iter().filter(|call| !call.is_server) {
        let mut rest = call.bytes.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap_or(&call.bytes);
        while let Some((&[a, b, c, kind, ..], _)) = rest.split_first_chunk::<9>() {
            begun += usize::from(kind == 1);
            rest = rest.get(9 + u32::from_be_bytes([0, a, b, c]) as usize..).unwrap_or_default();
        }
    }
    begun
}
