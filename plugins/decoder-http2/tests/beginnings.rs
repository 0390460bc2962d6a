//! Bytes lost at the beginning of a direction: the stream that they belong to has no status, all others have their own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod wire;

use decoder_http2::Http2;
use plugin_sdk::testing::Talk;

use wire::{answer, frame, get, preface};

/// Checks that the other requests of the connection have their responses, at both ends.
fn others(talk: impl Fn(Talk) -> Talk) {
    let start = || Talk::tcp("10.0.0.7:40000", 8080);
    for start in [start(), start().at_client()] {
        let talk = talk(start).client(&get(3, "/bad")).server(&answer(3, "404", true));
        let rows = talk.client(&get(5, "/third")).server(&answer(5, "201", true)).end().fields::<Http2>();
        let of = |row: &Vec<(String, String)>, name: &str| row.iter().find(|(known, _)| known == name).unwrap().1.clone();
        let told: Vec<_> =
            rows.iter().map(|row| format!("{} {}", of(row, "url.path"), of(row, "http.response.status_code"))).collect();
        let others: Vec<_> = told.iter().filter(|row| row.starts_with("/bad") || row.starts_with("/third")).collect();
        assert_eq!(others, ["/bad 404", "/third 201"], "{told:?}");
        assert!(told.iter().all(|row| !row.starts_with("/first") || row == "/first 0"), "{told:?}");
    }
}

#[test]
fn an_answer_that_is_lost_first_shifts_no_other() {
    others(|start| start.client(&preface()).client(&get(1, "/first")).lost_server(100));
    others(|start| start.client(&preface()).client(&get(1, "/first")).unread_server(100));
    others(|start| start.client(&preface()).client(&get(1, "/first")).lost_server(100).server(b"the end of a body"));
}

#[test]
fn a_preface_or_a_request_that_is_lost_first_hides_no_stream() {
    let settings = || frame(4, 0, 0, b"");
    others(|start| start.lost_client(60).server(&settings()).server(&answer(1, "200", true)));
    others(|start| start.lost_client(60).lost_server(100));
    others(|start| start.lost_client(24).client(&get(1, "/first")).server(&settings()).lost_server(50));
}
