//! The rows of conversations, field by field.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_http::Http;
use plugin_sdk::conversation::{Beginning, Opinion, Protocol, Sender, Transport};
use plugin_sdk::testing::{Talk, decoder};

const GET: &[u8] = b"GET /users/42?token=secret HTTP/1.1\r\nHost: api.example\r\nUser-Agent: curl/8\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

fn talk() -> Talk {
    Talk::tcp("10.0.0.7:40000", 80)
}

/// Returns the fields that distinguish the rows: duration in ms, error, method, status, route.
fn brief(talk: &Talk) -> Vec<String> {
    let wanted = ["duration=", "error.type=", "http.request.method=", "http.response.status_code=", "http.route="];
    let brief = |row: String| {
        let words = row.split(' ').filter_map(|word| wanted.iter().find_map(|name| word.strip_prefix(name)));
        words.map(|word| word.strip_suffix("000000").map_or(word.into(), |ms| format!("{ms}ms"))).collect::<Vec<_>>().join(" ")
    };
    talk.rows::<Http>().into_iter().map(brief).collect()
}

#[test]
fn a_request_and_its_response_are_a_row() {
    assert_eq!(
        talk().client(GET).server(OK).rows::<Http>(),
        [concat!(
            "duration=1000000 kind=2 name=GET /users/{id} http.request.method=GET http.response.status_code=200 ",
            "http.route=/users/{id} url.path=/users/42 url.query=token=secret http.request.header.host=api.example ",
            "http.response.body.size=5"
        )]
    );
}

#[test]
fn every_row_says_who_talked_to_whom() {
    let rows = talk().tls().peer_local().client(GET).server(OK).fields::<Http>();
    let value = |name: &str| rows[0].iter().find(|(known, _)| known == name).unwrap().1.clone();
    for (name, wanted) in [
        ("server.address", "10.0.0.1"),
        ("server.port", "80"),
        ("client.address", "10.0.0.7"),
        ("client.port", "40000"),
        ("network.transport", "tcp"),
        ("network.protocol.name", "http"),
        ("network.protocol.version", "1.1"),
        ("tls.established", "1"),
        ("process.pid", "4711"),
        ("process.executable.name", "nginx"),
        ("linux.cgroup.id", "77"),
        ("time", "1000000"),
    ] {
        assert_eq!(value(name), wanted, "{name}");
    }
    assert_ne!(value("correlation"), "0");
}

#[test]
fn what_fails_depends_on_whose_fault_it_is() {
    assert_eq!(brief(&talk().client(GET).server(NOT_FOUND)), ["1ms GET 404 /*"]);
    assert_eq!(brief(&talk().at_client().client(GET).server(NOT_FOUND)), ["1ms 404 GET 404 /*"]);
    let broken = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(brief(&talk().client(GET).server(broken)), ["1ms 503 GET 503 /users/{id}"]);
}

#[test]
fn a_trace_parent_is_taken_over_and_nothing_that_only_looks_like_one() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = |parent: &str| format!("GET / HTTP/1.1\r\nTraceparent: {parent}\r\n\r\n").into_bytes();
    // Its flags are passed on unchanged, also those of an unsampled caller.
    for parent in [parent, &parent.replace("-01", "-00")] {
        assert!(talk().client(&request(parent)).server(OK).rows::<Http>()[0].contains(&format!("trace_parent={parent}")));
    }
    let bad = parent.replace('b', "X");
    assert!(!talk().client(&request(&bad)).server(OK).rows::<Http>()[0].contains("trace_parent"));
}

#[test]
fn pipelined_requests_meet_their_own_responses() {
    let requests = [GET, b"\r\nHEAD /a HTTP/1.1\r\n\r\n", b"DELETE /b HTTP/1.1\r\n\r\n"].concat();
    let responses = [OK, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", NOT_FOUND].concat();
    let rows = ["2ms GET 200 /users/{id}", "2ms HEAD 200 /a", "2ms DELETE 404 /*"];
    let cut = |at: usize| talk().client(&requests).server(&responses[..at]).server(&responses[at..]);
    assert_eq!(brief(&talk().client(&requests).after_ms(1).server(&responses)), rows);
    for at in 1..OK.len() {
        assert_eq!(brief(&cut(at)), ["2ms GET 200 /users/{id}", "2ms HEAD 200 /a", "2ms DELETE 404 /*"], "cut at {at}");
    }
}

#[test]
fn a_request_in_pieces_is_one_request() {
    for at in 1..GET.len() - 1 {
        let talk = talk().client(&GET[..at]).client(&GET[at..]).server(OK);
        assert_eq!(brief(&talk), ["2ms GET 200 /users/{id}"], "in pieces of {at}");
    }
}

#[test]
fn bodies_are_passed_over_whatever_they_look_like_and_end_the_row() {
    let post = b"POST /up HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 38750\r\n\r\n";
    let body = b"GET /not-a-request HTTP/1.1\r\n\r\n".repeat(1250);
    let response = b"HTTP/1.1 201 Created\r\nContent-Length: 300000\r\n\r\nHTTP/1.1 500 Not a response\r\n\r\n";
    let talk = talk()
        .cut(256)
        .client(post)
        .server(b"HTTP/1.1 100 Continue\r\n\r\n")
        .client(&body[..20_000])
        .client(&body[20_000..38_750])
        .server(response)
        .unread_server(100_000)
        .lost_server(100_000)
        .server(&b"HTTP/1.1 404 No\r\n\r\n".repeat(6000)[..100_000 - 31])
        .client(GET)
        .server(OK);
    let rows = talk.rows::<Http>();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].contains("status_code=201") && rows[0].contains("body.size=300000"), "{}", rows[0]);
    assert!(rows[0].starts_with("duration=7000000 "), "up to the last byte: {}", rows[0]);
}

#[test]
fn chunks_are_counted_and_their_end_is_the_end() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = b"6\r\nabcdef\r\n1f4\r\n";
    let end = b"\r\n0\r\nTrailer: x\r\n\r\n";
    let talk = talk().cut(300).client(GET).server(head).server(chunks).server(&[b'x'; 500]).server(end).client(GET).server(OK);
    let rows = talk.rows::<Http>();
    assert!(rows[0].starts_with("duration=4000000 ") && rows[0].ends_with("response.body.size=506"), "{}", rows[0]);
    assert_eq!(rows.len(), 2);
}

#[test]
fn what_has_no_body_has_none_whatever_it_says() {
    let responses = ["204 No Content", "304 Not Modified"];
    for status in responses {
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: 77\r\n\r\n");
        let rows = talk().client(GET).server(response.as_bytes()).client(GET).server(OK).rows::<Http>();
        assert_eq!(rows.len(), 2, "{status}");
        assert!(!rows[0].contains("response.body.size"));
    }
}

#[test]
fn a_response_without_a_length_ends_with_the_connection() {
    let talk = talk().client(b"GET / HTTP/1.0\r\n\r\n").server(b"HTTP/1.0 200 OK\r\n\r\nabc").server(b"def").after_ms(9).end();
    assert_eq!(brief(&talk), ["2ms GET 200 /"]);
}

#[test]
fn a_websocket_is_a_request_and_then_nothing() {
    let upgrade = b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    let talk = talk().client(upgrade).server(switch).client(GET).server(OK).lost_client(999).client(GET).end();
    assert_eq!(brief(&talk), ["1ms GET 101 /chat"]);
    let connect = b"CONNECT example.com:443 HTTP/1.1\r\n\r\n";
    let talk = self::talk().client(connect).server(b"HTTP/1.1 200 Established\r\n\r\n").client(GET).server(OK);
    assert_eq!(brief(&talk), ["1ms CONNECT 200"]);
}

#[test]
fn http2_is_disowned_with_prior_knowledge_and_by_upgrade() {
    let mut decoder = decoder::<Http>("{}");
    let preface = Talk::tcp("10.0.0.7:1", 80).client(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").client(GET).server(OK);
    assert!(preface.rows_of(&mut decoder).is_empty());
    let upgraded = Talk::tcp("10.0.0.7:2", 80)
        .client(b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n")
        .server(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n");
    assert_eq!(upgraded.rows_of(&mut decoder).len(), 1);
    let disowned: Vec<_> = decoder.disowned().iter().map(|of| (of.connection, of.from)).collect();
    assert_eq!(disowned, [(1 << 16 | 80, None), (2 << 16 | 80, None)]);
    assert!(decoder.disowned().is_empty());
}

/// Returns the position from which the one connection of a talk is disowned.
fn given_back(talk: &Talk, rows: usize) -> Option<(u32, u32)> {
    let mut decoder = decoder::<Http>("{}");
    assert_eq!(talk.rows_of(&mut decoder).len(), rows);
    decoder.disowned()[0].from
}

#[test]
fn an_upgrade_behind_other_requests_is_given_back_with_the_consent() {
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n";
    let upgrade = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n";
    let before = || talk().client(GET).server(OK).client(upgrade);
    let together = [&switch[..], b"\0\0\0\x04\0\0\0\0\0"].concat();
    assert_eq!(given_back(&before().server(switch).client(GET), 2), Some((3, 0)));
    assert_eq!(given_back(&before().server(&together).client(GET), 2), Some((3, 0)));
    // The record of the preface comes before that of the 101 response: a server may read and write in two threads.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let early = before().client(preface).server(switch);
    assert_eq!(given_back(&early, 2), Some((3, 0)));
}

#[test]
fn what_goes_through_a_tunnel_is_given_back_from_its_first_byte() {
    let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
    let asked = || talk().client(b"CONNECT a:1 HTTP/1.1\r\n\r\n");
    assert_eq!(given_back(&asked().server(established).client(GET), 1), Some((2, 0)));
    let together = [&established[..], b"220 ready\r\n"].concat();
    assert_eq!(given_back(&asked().server(&together), 1), Some((1, established.len() as u32)));
}

#[test]
fn what_never_was_http_is_disowned_and_what_once_was_is_not() {
    let mut decoder = decoder::<Http>("{}");
    let talk = talk().client(b"*1\r\n$4\r\nPING\r\n").server(b"+PONG\r\n").client(b"*1\r\n").server(b"+PONG\r\n");
    assert!(talk.rows_of(&mut decoder).is_empty());
    assert_eq!(decoder.disowned().len(), 1);
    let talk = Talk::tcp("10.0.0.8:1", 80).client(GET).server(OK);
    let talk = (0..9).fold(talk, |talk, _| talk.client(b"rubbish").server(b"rubbish")).client(GET).server(OK);
    assert_eq!(talk.rows_of(&mut decoder).len(), 2, "it is found again behind the rubbish");
    assert!(decoder.disowned().is_empty());
}

#[test]
fn requests_without_response_are_told_of_when_they_are_given_up() {
    assert_eq!(brief(&talk().client(GET).after_ms(4).end()), ["5ms connection_closed GET /users/{id}"]);
    assert_eq!(brief(&talk().client(GET).flush()), ["1ms unfinished GET /users/{id}"]);
    let slow = talk().client(GET).after_ms(3_600_000).tick();
    assert_eq!(brief(&slow.clone().server(OK)), ["3600002ms GET 200 /users/{id}"], "a long poll is no error");
    assert_eq!(brief(&slow.end()), ["3600002ms connection_closed GET /users/{id}"]);
}

/// Returns the rows with a timeout of half a second, with `late` if a row timed out.
fn impatient(talk: &Talk) -> Vec<String> {
    let mark = |row: &String| if row.contains("response.late=1") { "late " } else { "" };
    let rows = talk.rows_with::<Http>(r#"{"timeout": "500ms"}"#);
    let words = |row: &String| {
        let wanted = ["duration", "error.type", "http.response.status_code", "url.path"];
        let value = |name: &str| row.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned));
        wanted.map(|name| value(name).unwrap_or_default()).join(" ").replace("000000 ", "ms ")
    };
    rows.iter().map(|row| format!("{}{}", mark(row), words(row))).collect()
}

#[test]
fn with_a_timeout_what_comes_too_late_is_told_as_the_end_after_all() {
    let two = b"GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\n\r\n";
    let late = talk().client(two).after_ms(500).tick().server(OK).server(OK).client(GET).server(OK);
    assert_eq!(
        impatient(&late),
        ["501ms timeout  /a", "501ms timeout  /b", "late 502ms  200 /a", "late 503ms  200 /b", "1ms  200 /users/42",]
    );
}

#[test]
fn a_body_that_goes_on_is_not_given_up_however_old_its_request_is() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
    let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n";
    let endless = b"HTTP/1.1 200 OK\r\n\r\n";
    for (head, part, last) in
        [(chunked, b"4\r\nabcd\r\n".as_slice(), b"0\r\n\r\n".as_slice()), (sized, b"abcd", b"abcd"), (endless, b"abcd", b"")]
    {
        let begun = talk().client(GET).server(head);
        let whole = (0..9).fold(begun, |talk, _| talk.after_ms(400).server(part).tick());
        assert_eq!(impatient(&whole), [""; 0]);
        let whole = if last.is_empty() { whole.end() } else { whole.after_ms(400).server(last) };
        let rows = impatient(&whole);
        assert!(rows.len() == 1 && rows[0].contains("ms  200 ") && !rows[0].starts_with("late"), "{rows:?}");
        assert!(rows[0].starts_with(if last.is_empty() { "3618ms" } else { "4020ms" }), "{rows:?}");
    }
    let upload = (0..9).fold(talk().client(b"PUT /up HTTP/1.1\r\nContent-Length: 36\r\n\r\n"), |talk, _| {
        talk.after_ms(400).client(b"abcd").tick()
    });
    assert_eq!(impatient(&upload.server(OK)), ["3619ms  200 /up"]);
}

#[test]
fn a_body_that_stalls_is_told_and_so_is_its_end() {
    let begun = talk().client(GET).server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    let stalled = begun.after_ms(500).tick().tick();
    assert_eq!(impatient(&stalled), ["502ms timeout 200 /users/42"]);
    assert_eq!(impatient(&stalled.server(b"0\r\n\r\n"))[1], "late 504ms  200 /users/42");
}

#[test]
fn requests_for_which_there_is_no_room_are_told_as_such() {
    let many = (0..130).fold(talk(), |talk, _| talk.client(GET));
    let told = brief(&many);
    assert!(told.len() == 2 && told.iter().all(|row| row.contains("unfinished")), "{told:?}");
}

#[test]
fn a_lost_response_takes_its_request_along_and_no_other() {
    let talk = talk().client(b"GET /a HTTP/1.1\r\n\r\n").server(OK).client(GET).lost_server(44);
    let talk = talk.client(b"GET /b HTTP/1.1\r\n\r\n").server(OK).client(GET).server(OK);
    assert_eq!(brief(&talk), ["1ms GET 200 /a", "1ms GET 200 /b", "1ms GET 200 /users/{id}"]);
}

#[test]
fn a_lost_request_leaves_a_response_that_meets_nobody() {
    for talk in [talk(), talk().at_client()] {
        let talk = talk.client(GET).server(OK).lost_client(30).server(OK).client(b"GET /b HTTP/1.1\r\n\r\n").server(NOT_FOUND);
        let rows = talk.rows::<Http>();
        assert_eq!(rows.len(), 2);
        assert!(rows[1].contains("status_code=404") && rows[1].contains("/b"), "{}", rows[1]);
    }
}

#[test]
fn a_client_whose_response_is_told_of_first_has_its_row_all_the_same() {
    let talk =
        talk().at_client().client(GET).server(OK).server(NOT_FOUND).client(b"GET /b HTTP/1.1\r\n\r\n").client(GET).server(OK);
    assert_eq!(brief(&talk), ["1ms GET 200 /users/{id}", "404 GET 404 /*", "1ms GET 200 /users/{id}"]);
}

#[test]
fn a_head_that_is_cut_is_still_a_request_and_a_response() {
    let long = |first: &str, tail: &str| format!("{first}\r\nCookie: {}\r\n{tail}\r\n\r\n", "x".repeat(600)).into_bytes();
    let request = long("GET /cut/77 HTTP/1.1", "Accept: */*");
    let whole = [long("HTTP/1.1 200 OK\r\nContent-Length: 99", "A: b"), vec![b'x'; 99]].concat();
    let talk = talk().cut(256).client(&request).server(&whole).client(&request).server(&whole);
    assert_eq!(brief(&talk), ["1ms GET 200 /cut/{id}"; 2], "head and body in one call");
    let head = long("HTTP/1.1 200 OK", "Content-Length: 4000");
    let talk = self::talk()
        .cut(256)
        .client(&request)
        .server(&head)
        .server(&[b'x'; 4000])
        .client(&request)
        .server(&head)
        .after_ms(2000)
        .tick();
    assert_eq!(brief(&talk), ["2ms GET 200 /cut/{id}", "1ms GET 200 /cut/{id}"], "the next request, or silence, ends it");
}

#[test]
fn a_method_that_nobody_knows_is_other() {
    let rows = talk().client(b"PROPFIND /dav HTTP/1.1\r\n\r\n").server(OK).rows::<Http>();
    assert!(rows[0].contains("name=HTTP /dav http.request.method=_OTHER http.request.method_original=PROPFIND"), "{}", rows[0]);
}

#[test]
fn the_operators_routes_are_used() {
    let rows =
        talk().client(b"GET /users/alice HTTP/1.1\r\n\r\n").server(OK).rows_with::<Http>(r#"{"routes": ["/users/{name}"]}"#);
    assert!(rows[0].contains("http.route=/users/{name} "), "{}", rows[0]);
}

#[test]
fn beginnings_are_recognised_with_the_end_that_sent_them() {
    let http = Http::bind(plugin_sdk::Config::new("{}")).unwrap();
    let ask =
        |payload| http.recognise(&Beginning { server_port: 0, sender: None::<Sender>, transport: Transport::Tcp, payload });
    assert_eq!(ask(GET), Opinion::FromClient);
    assert_eq!(ask(OK), Opinion::FromServer);
    assert_eq!(ask(b"PROPFIND http://a/b HTTP/1.1\r\n"), Opinion::FromClient);
    assert_eq!(ask(b"GE"), Opinion::Unsure);
    for other in [b"PRI * HTTP/2.0\r\n\r\n".as_slice(), b"*1\r\n$4\r\nPING\r\n", b"SSH-2.0-OpenSSH_9\r\n", b"\x16\x03\x01"] {
        assert_eq!(ask(other), Opinion::No, "{other:?}");
    }
}
