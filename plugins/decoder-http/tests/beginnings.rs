//! Bytes lost at the beginning of a direction: the exchange that they belong to has no status, all others have their own.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first wrong answer")]

use decoder_http::Http;
use plugin_sdk::testing::Talk;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NO: &[u8] = b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno";
const CREATED: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// Returns path and status of each row, at the server and at the client.
fn told(talk: impl Fn(Talk) -> Talk) -> [Vec<String>; 2] {
    let start = || Talk::tcp("10.0.0.7:40000", 80);
    [start(), start().at_client()].map(|start| {
        let rows = talk(start).end().fields::<Http>();
        let of = |row: &Vec<(String, String)>, name: &str| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
        rows.iter().map(|row| format!("{} {}", of(row, "url.path"), of(row, "http.response.status_code"))).collect()
    })
}

/// Checks that all exchanges but the first have their status.
fn others(talk: impl Fn(Talk) -> Talk) {
    for rows in told(|start| talk(start).client(&get("/bad")).server(NO).client(&get("/third")).server(CREATED)) {
        let first = rows.iter().filter(|row| !row.starts_with("/bad") && !row.starts_with("/third"));
        assert!(first.clone().all(|row| row.ends_with(" 0")), "{rows:?}");
        let others: Vec<_> = rows.iter().filter(|row| !first.clone().any(|first| first == *row)).collect();
        assert_eq!(others, ["/bad 404", "/third 201"]);
    }
}

#[test]
fn an_answer_that_is_lost_first_shifts_no_other() {
    others(|start| start.client(&get("/first")).lost_server(40));
    others(|start| start.client(&get("/first")).unread_server(40));
    others(|start| start.client(&get("/first")).lost_server(40).lost_server(9000));
    others(|start| start.client(&get("/first")).lost_server(40).server(b"the rest of its body"));
}

#[test]
fn a_request_that_is_lost_first_takes_no_answer_from_another() {
    others(|start| start.lost_client(40).server(OK));
    others(|start| start.lost_client(40).lost_server(40));
    others(|start| start.lost_client(40).client(b"the rest of its body").server(OK));
    others(|start| start.unread_client(40).server(OK));
}

#[test]
fn the_first_exchange_of_a_connection_older_than_the_probe_is_told() {
    let [server, client] = told(|start| start.lost_client(100).lost_server(100).older().client(&get("/a")).server(NO));
    assert_eq!((server, client), (vec!["/a 404".to_owned()], vec!["/a 404".to_owned()]));
}
