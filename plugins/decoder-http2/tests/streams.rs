//! The rows of streams with an unusual course.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod wire;

use decoder_http2::Http2;
use plugin_sdk::testing::{Talk, decoder};

use wire::{answer, block, frame, get, preface};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn begun() -> Talk {
    Talk::tcp("10.0.0.7:40000", 8080).client(&preface()).server(&frame(SETTINGS, 0, 0, b""))
}

/// Returns the rows without the fields that are the same in all of them.
fn rows(talk: &Talk) -> Vec<String> {
    let rows = talk.rows::<Http2>();
    rows.iter()
        .map(|row| row.replace("000000 ", "ms ").replace("kind=2 ", "").replace("http.", "").replace(" url.scheme=http", ""))
        .collect()
}

#[test]
fn responses_come_in_any_order() {
    let talk = begun()
        .client(&[get(1, "/a"), get(3, "/b")].concat())
        .server(&answer(3, "204", true))
        .server(&answer(1, "200", false))
        .server(&frame(DATA, END_STREAM, 1, b"body"));
    assert_eq!(
        rows(&talk),
        [
            "duration=1ms name=GET /b request.method=GET route=/b response.status_code=204 url.path=/b",
            "duration=3ms name=GET /a request.method=GET route=/a response.status_code=200 url.path=/a",
        ]
    );
}

#[test]
fn a_response_ends_with_its_last_byte_and_not_with_the_head_of_its_last_frame() {
    let last = frame(DATA, END_STREAM, 1, &[b'x'; 10_000]);
    let talk = begun().client(&get(1, "/a")).server(&answer(1, "200", false)).cut(4096);
    let whole = talk.clone().server(&last);
    assert!(rows(&whole)[0].starts_with("duration=2ms "), "in the part that was not captured");
    let parts = talk.server(&last[..5000]).after_ms(7).server(&last[5000..]).server(&answer(3, "200", true));
    assert!(rows(&parts)[0].starts_with("duration=10ms "), "{:?}", rows(&parts));
}

#[test]
fn an_interim_response_is_not_the_response() {
    let talk = begun().client(&get(1, "/a")).server(&answer(1, "103", false)).server(&answer(1, "404", true));
    assert_eq!(rows(&talk), ["duration=2ms name=GET /* request.method=GET route=/* response.status_code=404 url.path=/a"]);
}

#[test]
fn a_stream_that_is_reset_is_an_error_by_the_name_of_the_reason() {
    let reset = |code: u8| frame(RST_STREAM, 0, 1, &[0, 0, 0, code]);
    let asked = begun().client(&get(1, "/a"));
    assert!(rows(&asked.clone().client(&reset(8)))[0].contains("error.type=CANCEL "));
    assert!(rows(&asked.clone().server(&reset(7)))[0].contains("error.type=REFUSED_STREAM "));
    assert!(rows(&asked.clone().server(&reset(99)))[0].contains("error.type=_OTHER "));
    let answered = asked.server(&answer(1, "200", false)).server(&reset(0));
    assert!(!rows(&answered)[0].contains("error.type"), "no error, it says");
}

#[test]
fn a_grpc_call_that_is_reset_has_the_status_that_its_client_makes_of_it() {
    let fields = [(":method", "POST"), (":path", "/pkg.Echo/Say"), ("content-type", "application/grpc")];
    let asked = begun().client(&frame(HEADERS, END_HEADERS, 1, &block(&fields)));
    let reset = asked.clone().client(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    assert!(rows(&reset)[0].ends_with("rpc.method=pkg.Echo/Say rpc.response.status_code=CANCELLED is_grpc=1"));
    assert!(!rows(&reset)[0].contains("error.type"), "it is none of the server");
    let proxy = asked.clone().server(&answer(1, "503", true));
    assert!(rows(&proxy)[0].contains("error.type=UNAVAILABLE "));
    let silent = asked.server(&answer(1, "200", true));
    assert!(rows(&silent)[0].contains("rpc.response.status_code=UNKNOWN "), "answered, and no status");
}

#[test]
fn what_a_server_leaves_out_when_it_goes_is_refused_and_the_rest_is_answered() {
    let talk = begun()
        .client(&[get(1, "/a"), get(3, "/b")].concat())
        .server(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]))
        .server(&answer(1, "200", true));
    assert_eq!(
        rows(&talk),
        [
            "duration=1ms error.type=REFUSED_STREAM name=GET /b request.method=GET route=/b url.path=/b",
            "duration=2ms name=GET /a request.method=GET route=/a response.status_code=200 url.path=/a",
        ]
    );
}

#[test]
fn header_blocks_may_go_on_in_any_number_of_frames_of_any_number_of_calls() {
    let fields = block(&[(":method", "PUT"), (":path", "/long")]);
    for size in 1..fields.len() {
        let mut parts = fields.chunks(size);
        let mut frames = vec![frame(HEADERS, END_STREAM, 1, parts.next().unwrap())];
        frames.extend(parts.map(|part| frame(CONTINUATION, 0, 1, part)));
        frames.push(frame(CONTINUATION, END_HEADERS, 1, b""));
        let together = begun().client(&frames.concat()).server(&answer(1, "200", true));
        let apart = frames.iter().fold(begun(), |talk, frame| talk.client(frame)).server(&answer(1, "200", true));
        for talk in [together, apart] {
            assert!(rows(&talk)[0].contains("name=PUT /long "), "{size}");
        }
    }
}

#[test]
fn a_pushed_response_is_no_request_but_its_fields_are_in_the_table() {
    // Adds `:path: /pushed` to the table, then sends a response that refers to a field behind it.
    let promise = frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02\x44\x07/pushed");
    let talk = begun()
        .client(&get(1, "/a"))
        .server(&frame(HEADERS, END_HEADERS, 1, b"\x48\x03418"))
        .server(&promise)
        .server(&answer(2, "200", true))
        .server(&frame(DATA, END_STREAM, 1, b""))
        .client(&get(3, "/b"))
        .server(&frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\xbf"));
    let rows = rows(&talk);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.contains("status_code=418")), "{rows:?}");
}

#[test]
fn requests_without_an_end_say_why() {
    let talk = begun().client(&get(1, "/a"));
    let closed = talk.clone().end();
    assert!(rows(&closed)[0].contains("error.type=connection_closed "));
    let slow = talk.after_ms(31_000).tick().server(&answer(1, "200", true));
    assert_eq!(rows(&slow).len(), 1);
    assert!(rows(&slow)[0].starts_with("duration=31002ms name="), "a watch is no error");
}

#[test]
fn with_a_timeout_silence_counts_for_each_stream_and_the_end_is_told_after_all() {
    let asked = begun().client(&[get(1, "/a"), get(3, "/b")].concat()).server(&answer(1, "200", false));
    let busy = (0..3).fold(asked, |talk, _| talk.after_ms(400).server(&frame(DATA, 0, 1, b"event")).tick());
    let told = |talk: &Talk| talk.rows_with::<Http2>(r#"{"timeout": "500ms"}"#);
    assert_eq!(told(&busy).len(), 1);
    assert!(told(&busy)[0].starts_with("duration=805000000 kind=2 error.type=timeout name=GET /b "), "{:?}", told(&busy));
    let pings = (0..3).fold(busy.clone(), |talk, _| talk.after_ms(400).server(&frame(6, 0, 0, &[0; 8])).tick());
    assert!(told(&pings)[1].contains(" error.type=timeout name=GET /a "), "a PING is nothing of it: {:?}", told(&pings));
    let late = pings.server(&answer(3, "404", true)).server(&frame(DATA, END_STREAM, 1, b"")).tick().end();
    let late = told(&late);
    assert_eq!(late.len(), 4);
    assert!(late[2].contains(" name=GET /b response.late=1 ") && late[2].contains("status_code=404"), "{late:?}");
    assert!(late[3].contains(" name=GET /a response.late=1 ") && late[3].contains("status_code=200"), "{late:?}");
}

#[test]
fn a_request_for_which_there_is_no_room_is_told_as_such() {
    let many = (0..1026).fold(begun(), |talk, call| talk.client(&get(call * 2 + 1, "/a")));
    let told = rows(&many);
    assert!(told.len() == 2 && told.iter().all(|row| row.contains("error.type=unfinished ")), "{told:?}");
}

#[test]
fn a_grpc_call_that_its_client_gives_up_is_cancelled_or_over_its_deadline() {
    let asked = |timeout: &str| {
        let fields =
            [(":method", "POST"), (":path", "/pkg.Echo/Say"), ("content-type", "application/grpc"), ("grpc-timeout", timeout)];
        let begun = Talk::tcp("10.0.0.7:40000", 8080).at_client().client(&preface()).server(&frame(SETTINGS, 0, 0, b""));
        begun.client(&frame(HEADERS, END_HEADERS, 1, &block(&fields)))
    };
    let status = |talk: Talk| {
        let rows = talk.rows::<Http2>();
        let status =
            |row: &String| row.split("rpc.response.status_code=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        rows.iter().map(status).collect::<Vec<_>>().join(" ")
    };
    let reset = |talk: Talk| talk.client(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    for (timeout, waited, says) in [
        ("100m", 99, "DEADLINE_EXCEEDED"),
        ("99914u", 100, "DEADLINE_EXCEEDED"),
        ("1S", 980, "DEADLINE_EXCEEDED"),
        ("100m", 50, "CANCELLED"),
        ("1H", 5000, "CANCELLED"),
        ("soon", 5000, "CANCELLED"),
    ] {
        assert_eq!(status(reset(asked(timeout).after_ms(waited))), says, "{timeout} {waited}");
    }
    assert_eq!(status(asked("100m").after_ms(200).end()), "DEADLINE_EXCEEDED", "it need not say so");
    let answered = asked("100m").server(&answer(1, "200", false)).lost_server(50);
    assert_eq!(status(reset(answered.after_ms(10))), "CANCELLED", "whatever was lost, it was not over");
}

#[test]
fn the_request_before_an_upgrade_is_answered_on_stream_1() {
    const ASKED: &[u8] = b"POST /up?a=b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: \r\ntraceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\nContent-Length: 2\r\n\r\nhi";
    const AGREED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let settings = frame(SETTINGS, 0, 0, b"");
    let rest = |talk: Talk| {
        let talk = talk.client(&preface()).server(&answer(1, "500", true)).client(&get(3, "/next"));
        rows(&talk.server(&answer(3, "404", true)))
    };
    let known = "error.type=500 name=POST /up trace_parent=00-0123456789abcdef0123456789abcdef-0123456789abcdef-01 \
        request.method=POST route=/up response.status_code=500 url.path=/up url.query=a=b";
    let next = "duration=1ms name=GET /* request.method=GET route=/* response.status_code=404 url.path=/next";
    let talk = || Talk::tcp("10.0.0.7:40000", 8080);
    let together = [AGREED, &settings].concat();
    for (whole, ms) in [
        (talk().client(ASKED).server(AGREED).server(&settings), 4),
        (talk().client(ASKED).server(&together), 3),
        (talk().client(&ASKED[..100]).client(&ASKED[100..]).server(&together[..40]).server(&together[40..]), 5),
        (talk().client(&ASKED[..ASKED.len() - 1]).client(&ASKED[ASKED.len() - 1..]).server(&together), 4),
    ] {
        assert_eq!(rest(whole), [format!("duration={ms}ms {known}"), next.to_owned()]);
    }
    let from_consent = rest(talk().server(&together));
    let unknown = "duration=2ms error.type=500 name=HTTP request.method=_OTHER response.status_code=500";
    assert_eq!(from_consent, [unknown, next], "who asked for what is not known, but how it went is");
}

#[test]
fn a_server_that_does_not_agree_goes_on_with_http_1() {
    let asked = Talk::tcp("10.0.0.7:40000", 8080).client(b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n");
    let mut decoder = decoder::<Http2>("{}");
    assert!(asked.server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").rows_of(&mut decoder).is_empty());
    assert_eq!(decoder.disowned().len(), 1);
}

/// A gRPC call whose fields are all indices of entries that were added before the host started, and the server's trailers.
fn older(first: u32, trailers: &[u8]) -> Talk {
    let talk = Talk::tcp("10.0.0.7:40000", 8080);
    let head = frame(HEADERS, END_HEADERS, first, b"\x83\x86\xc0\xc1\xc2\xc3\xc4");
    let asked = talk.client(&[head, frame(DATA, END_STREAM, first, b"\0\0\0\0\x02\x0a\0")].concat());
    asked.server(&frame(HEADERS, END_HEADERS | END_STREAM, first, trailers))
}

#[test]
fn a_grpc_call_whose_status_is_not_known_is_no_success() {
    let unknown = older(77, b"\x88\xc0\xc1\xc2");
    assert_eq!(
        rows(&unknown),
        ["duration=1ms name=_OTHER rpc.system.name=grpc rpc.method=_OTHER rpc.response.status_code=_UNSEEN is_grpc=1"]
    );
    // Its status is a literal with an indexed name, and is added to the table for the next ones.
    let literal = older(77, b"\x88\xc0\x7f\x05\x015").client(&frame(HEADERS, END_HEADERS, 79, b"\x83\x86\xc0"));
    let next = literal.server(&frame(HEADERS, END_HEADERS | END_STREAM, 79, b"\x88\xc0\xbe"));
    for row in rows(&next) {
        assert!(row.contains(" rpc.response.status_code=NOT_FOUND is_grpc=1"), "{row}");
    }
    assert_eq!(rows(&next).len(), 2);
    let ambiguous = older(77, b"\x88\xc0\x7f\x05\x015\x7f\x06\x019");
    assert!(rows(&ambiguous)[0].contains("=_UNSEEN "), "two numbers");
    let named = older(77, b"\x88\xc0\x40\x0bgrpc-status\x0214");
    assert!(rows(&named)[0].contains("error.type=UNAVAILABLE "));
}

#[test]
fn trailers_tell_that_a_call_is_grpc() {
    let asked = Talk::tcp("10.0.0.7:40000", 8080).client(&frame(HEADERS, END_HEADERS, 77, b"\x83\x86\xc0\xc1"));
    let answered = asked.server(&frame(HEADERS, END_HEADERS, 77, b"\x88\xc0")).server(&frame(DATA, 0, 77, b"x"));
    let known = answered.clone().server(&frame(HEADERS, END_HEADERS | END_STREAM, 77, b"\x0f\x35\x0213"));
    assert!(rows(&known)[0].contains("error.type=INTERNAL "), "{:?}", rows(&known));
    let unknown = answered.server(&frame(HEADERS, END_HEADERS | END_STREAM, 77, b"\xc0"));
    assert!(rows(&unknown)[0].contains("rpc.response.status_code=_UNSEEN "), "{:?}", rows(&unknown));
}

#[test]
fn a_response_that_goes_on_is_not_given_up() {
    let mut talk = begun().client(&get(1, "/watch")).server(&answer(1, "200", false));
    for _ in 0..5 {
        talk = talk.after_ms(20_000).server(&frame(DATA, 0, 1, b"event")).tick();
    }
    assert_eq!(rows(&talk), [""; 0]);
    assert!(rows(&talk.server(&frame(DATA, END_STREAM, 1, b"")))[0].starts_with("duration=100012ms "));
}

#[test]
fn a_response_whose_end_was_lost_ends_when_nothing_comes_of_it() {
    let lost = begun().client(&[get(1, "/a"), get(3, "/b")].concat()).server(&answer(1, "200", false)).lost_server(100);
    let later = lost.clone().after_ms(1500).server(&frame(SETTINGS, 1, 0, b"")).tick();
    assert_eq!(rows(&later), ["duration=1ms name=GET /a request.method=GET route=/a response.status_code=200 url.path=/a"]);
    // Nothing of the other one was seen: it may be slow, or its response was lost as well.
    assert_eq!(rows(&later.clone().end())[1], "duration=1ms name=GET /b request.method=GET route=/b url.path=/b");
    assert!(rows(&later.server(&answer(3, "500", true)))[1].contains("error.type=500 "));
    let goes_on = lost.server(&frame(DATA, 0, 1, b"more")).after_ms(1500).tick();
    assert_eq!(rows(&goes_on), [""; 0], "it did not end there");
}

#[test]
fn the_announced_length_tells_that_what_was_not_captured_was_the_end() {
    let head = frame(HEADERS, END_HEADERS, 1, &block(&[(":status", "200"), ("content-length", "9000")]));
    let (first, last) = (frame(DATA, 0, 1, &[b'x'; 5000]), frame(DATA, END_STREAM, 1, &[b'x'; 4000]));
    let asked = begun().client(&get(1, "/a")).cut(4096);
    let whole = asked.clone().server(&[head.as_slice(), &first, &last].concat());
    assert!(rows(&whole)[0].starts_with("duration=1ms name=GET /a "), "{:?}", rows(&whole));
    let half = asked.server(&[head.as_slice(), &first, &last[..100]].concat());
    assert_eq!(rows(&half), [""; 0], "some of it is still to come");
}

#[test]
fn a_client_may_be_told_of_the_response_first() {
    let asked = Talk::tcp("10.0.0.7:40000", 8080).at_client().client(&preface());
    let talk =
        asked.server(&frame(SETTINGS, 0, 0, b"")).server(&answer(1, "404", true)).client(&get(1, "/a")).client(&get(3, "/b"));
    assert_eq!(
        talk.server(&answer(3, "200", true)).rows::<Http2>(),
        [
            "kind=3 error.type=404 name=GET /* http.request.method=GET http.route=/* http.response.status_code=404 url.scheme=http \
             url.path=/a",
            "duration=1000000 kind=3 name=GET /b http.request.method=GET http.route=/b http.response.status_code=200 url.scheme=http \
             url.path=/b",
        ]
    );
}

#[test]
fn frames_are_found_again_where_a_call_does_not_begin_with_one() {
    let talk = begun()
        .client(&get(1, "/a"))
        .server(&[answer(1, "200", false), frame(DATA, 0, 1, &[b'x'; 500])].concat()[..300])
        // The lost bytes hide a frame, and the next call begins in the middle of one.
        .lost_server(1000)
        .client(&get(3, "/b"))
        .server(&[b"xxxxxxxx".as_slice(), &frame(DATA, END_STREAM, 1, b"end"), &answer(3, "500", true)].concat());
    let rows = rows(&talk);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].contains("route=/a response.status_code=200"));
    assert!(rows[1].contains("route=/b response.status_code=500"));
}

#[test]
fn a_request_whose_fields_are_not_known_is_counted_without_a_name() {
    // By indices of entries that were added before the host started.
    let talk = Talk::tcp("10.0.0.7:40000", 8080)
        .client(&frame(HEADERS, END_HEADERS | END_STREAM, 77, &[0xc0, 0xc1, 0xc2]))
        .server(&frame(HEADERS, END_HEADERS | END_STREAM, 77, &[0xc0, 0x88]));
    assert_eq!(rows(&talk), ["duration=1ms name=HTTP request.method=_OTHER response.status_code=200"]);
}

#[test]
fn a_successor_goes_on_with_streams_and_tables() {
    use plugin_sdk::Handover;
    let mut old = decoder::<Http2>("{}");
    let first =
        begun().client(&frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82\x86\x44\x05/late")).server(&answer(1, "200", false));
    assert_eq!(first.rows_of(&mut old), [""; 0]);
    let mut new = decoder::<Http2>("{}");
    new.import_state(old.export_state().unwrap()).unwrap();
    let all = first.records().len();
    let next =
        first.server(&frame(DATA, END_STREAM, 1, b"")).client(&frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x82\x86\xbe"));
    let next = next.server(&answer(3, "204", true));
    let rest = plugin_sdk::testing::run(next.records()[all..].iter().map(Vec::as_slice));
    use plugin_sdk::Decoder;
    let name = new.schema().named("name").unwrap();
    let names = new.decode(&rest, &[name]).unwrap();
    assert_eq!(plugin_sdk::testing::texts(&names.columns[0]), ["GET /late", "GET /late"]);
}
