//! Attacks on decoders that published advisories describe.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod wire;

use std::time::{Duration, Instant};

use decoder_http2::Http2;
use plugin_sdk::Decoder;
use plugin_sdk::conversation::{Beginning, Opinion, Sender, Transport};
use plugin_sdk::testing::{Talk, decoder};

use wire::{answer, block, frame, get, preface};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn begun() -> Talk {
    Talk::tcp("10.0.0.7:40000", 8080).client(&preface()).server(&frame(SETTINGS, 0, 0, b""))
}

/// Returns the approximate number of bytes that a decoder holds for all its connections: those of its state.
fn held(talk: &Talk) -> usize {
    use plugin_sdk::Handover;
    let mut decoder = decoder::<Http2>("{}");
    decoder.decode(&talk.run(), &[]).unwrap();
    decoder.export_state().unwrap().bytes.len()
}

#[test]
fn continuation_flood_fills_nothing() {
    // CVE-2024-27316 and similar: a header block that never ends.
    let mut talk = begun().client(&frame(HEADERS, END_STREAM, 1, &block(&[(":method", "GET"), (":path", "/")])));
    let part = frame(CONTINUATION, 0, 1, &[0; 4000]);
    for _ in 0..1000 {
        talk = talk.client(&part);
    }
    assert!(held(&talk) < 20_000, "{}", held(&talk));
    let rows = talk.client(&frame(CONTINUATION, END_HEADERS, 1, b"")).server(&answer(1, "431", true)).rows::<Http2>();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].contains("http.response.status_code=431"));
}

#[test]
fn empty_continuations_cost_no_more_than_reading_them() {
    let mut talk = begun().client(&frame(HEADERS, END_STREAM, 1, b"\x82\x84"));
    let parts = frame(CONTINUATION, 0, 1, b"").repeat(400);
    for _ in 0..1000 {
        talk = talk.client(&parts);
    }
    let run = talk.run();
    let begun = Instant::now();
    decoder::<Http2>("{}").decode(&run, &[]).unwrap();
    // 400,000 frames: a loop over all earlier ones would take seconds. The bound is that of a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_table_of_four_gigabytes_is_announced_and_not_made() {
    let settings = frame(SETTINGS, 0, 0, &[0, 1, 0xff, 0xff, 0xff, 0xff, 0, 5, 0xff, 0xff, 0xff, 0xff]);
    let mut talk = begun().server(&settings);
    let fields: Vec<u8> = (0..300).flat_map(|n| format!("\x44\x23/{n:034}").into_bytes()).collect();
    let mut update = vec![0x3f, 0xff, 0xff, 0xff, 0x7f];
    update.extend(&fields);
    for stream in 0..40 {
        talk = talk.client(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * stream + 1, &update));
    }
    assert!(held(&talk) < 100_000, "{}", held(&talk));
}

#[test]
fn a_bomb_of_references_is_one_request() {
    let mut bomb = b"\x82\x86\x44\x7f\xc1\x1e".to_vec();
    bomb.extend(std::iter::repeat_n(b'/', 4000));
    bomb.extend([0xbe; 8000]);
    let rows =
        begun().client(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)).server(&answer(1, "200", true)).rows::<Http2>();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].len() < 1500, "{}", rows[0].len());
}

#[test]
fn rapid_reset_is_a_row_for_every_request_and_nothing_else() {
    // CVE-2023-44487: requests that are reset at once.
    let mut talk = begun();
    for n in 0..5000 {
        let stream = 2 * n + 1;
        talk = talk.client(&[get(stream, "/"), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat());
    }
    assert!(held(&talk) < 1000, "{}", held(&talk));
    let rows = talk.rows::<Http2>();
    assert_eq!(rows.len(), 5000);
    assert!(rows.iter().all(|row| row.contains("error.type=CANCEL")));
}

#[test]
fn requests_that_nobody_answers_are_rows_when_there_are_too_many() {
    let talk = (0..3000).fold(begun(), |talk, n| talk.client(&get(2 * n + 1, "/")));
    assert_eq!(talk.rows::<Http2>().len(), 3000 - 1024);
    assert_eq!(talk.end().rows::<Http2>().len(), 3000);
}

#[test]
fn hostile_connections_together_have_a_bound() {
    // Each has a table of 64 KiB, and requests that are not answered.
    let fields: Vec<u8> = (0..300).flat_map(|n| format!("\x44\x23/{n:034}").into_bytes()).collect();
    let update = [[0x3f, 0xe1, 0xff, 0x03].as_slice(), &fields].concat();
    let requests = |talk: Talk, n: u32| talk.client(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &update));
    let mut decoder = decoder::<Http2>("{}");
    let mut forgotten = 0;
    for connection in 1..=400 {
        let talk = begun().connection(connection).client(&preface());
        let rows = (0..4).fold(talk, requests).rows_of(&mut decoder);
        assert!(rows.iter().all(|row| row.contains("error.type=unfinished")));
        forgotten += rows.len() / 4;
    }
    // 8 MiB for all, about 64 KiB for each.
    assert!((200..380).contains(&forgotten), "{forgotten}");
}

#[test]
fn what_is_something_else_is_given_back() {
    let mut talk = Talk::tcp("10.0.0.7:40000", 8080);
    for _ in 0..4 {
        talk =
            talk.client(b"GET / HTTP/1.1\r\nhost: example.org\r\n\r\n").server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }
    let mut decoder = decoder::<Http2>("{}");
    assert_eq!(talk.rows_of(&mut decoder), [""; 0]);
    assert_eq!(decoder.disowned().len(), 1);
}

#[test]
fn connections_are_known_by_how_they_begin_and_by_frames_in_a_row() {
    let decoder = decoder::<Http2>("{}");
    let opinion =
        |sender, payload: &[u8]| decoder.recognise(&Beginning { server_port: 0, sender, transport: Transport::Tcp, payload });
    let server = Some(Sender::Server);
    assert_eq!(opinion(None, &preface()), Opinion::FromClient);
    assert_eq!(opinion(None, b"PRI * HT"), Opinion::Unsure);
    assert_eq!(opinion(server, &frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 128])), Opinion::FromServer);
    assert_eq!(opinion(None, &frame(SETTINGS, 1, 0, b"")), Opinion::Yes);
    assert_eq!(opinion(None, &get(77, "/a")), Opinion::FromClient);
    assert_eq!(opinion(None, &answer(77, "200", false)), Opinion::FromServer);
    let window = frame(8, 0, 0, &[0, 0, 0, 9]);
    assert_eq!(opinion(None, &[window.clone(), frame(0, 0, 5, &[b'x'; 900])].concat()[..256]), Opinion::Yes);
    assert_eq!(opinion(None, &frame(0, 0, 5, &[b'x'; 900])[..256]), Opinion::Unsure, "one frame alone");
    for other in [
        b"GET / HTTP/1.1\r\nhost: example.org\r\n\r\n".as_slice(),
        b"*1\r\n$4\r\nPING\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f\x00\x00\x00\x00",
        b"\x4a\x00\x00\x00\x0a8.0.33\x00\x0c\x00\x00\x00",
        &[0; 64],
        &[0xff; 64],
    ] {
        assert_eq!(opinion(None, other), Opinion::No, "{other:02x?}");
    }
}
