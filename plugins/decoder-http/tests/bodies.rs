//! Ends of bodies: of those that cannot be read, and of those that were announced and did not come.

use decoder_http::Http;
use plugin_sdk::testing::Talk;

const GET: &[u8] = b"GET /file HTTP/1.1\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const EXPECT: &[u8] = b"POST /upload HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n";
const EXPECT_CHUNKS: &[u8] = b"POST /upload HTTP/1.1\r\nexpect:100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n";

fn talk() -> Talk {
    Talk::tcp("10.0.0.7:40000", 80)
}

/// Returns duration in ms, method, status, size of the request's body and of the response's.
fn brief(talk: &Talk) -> Vec<String> {
    let row = |row: String| {
        let value = |name: &str| {
            let value = row.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap_or("-");
            value.strip_suffix("000000").map_or(value.to_string(), |ms| format!("{ms}ms"))
        };
        let names = ["duration", "http.request.method", "http.response.status_code", "http.request.body.size"];
        names.map(value).join(" ") + " " + &value("http.response.body.size")
    };
    talk.rows::<Http>().into_iter().map(row).collect()
}

fn both_ends() -> [Talk; 2] {
    [talk(), talk().at_client()]
}

#[test]
fn a_response_ends_with_the_last_byte_that_nobody_can_read() {
    for (name, head, calls, size) in [
        ("one call", "Content-Length: 3000", [3000, 0, 0], "3000"),
        ("three calls", "Content-Length: 3000", [1000, 1000, 1000], "3000"),
        ("a range", "Content-Range: bytes 0-2999/5000\r\nContent-Length: 3000", [2000, 0, 1000], "3000"),
        ("two gigabytes", "Content-Length: 6442450944", [0x8000_0000, 0x8000_0000, 0x8000_0000], "6442450944"),
    ] {
        let head = format!("HTTP/1.1 206 Partial Content\r\n{head}\r\n\r\n");
        for talk in both_ends() {
            let talk = talk.client(GET).server(head.as_bytes());
            let talk =
                calls.into_iter().filter(|&bytes| bytes > 0).fold(talk, |talk, bytes| talk.after_ms(8).unread_server(bytes));
            let ms = 1 + 9 * calls.iter().filter(|&&bytes| bytes > 0).count();
            let talk = talk.after_ms(50).client(GET).server(OK);
            assert_eq!(brief(&talk), [format!("{ms}ms GET 206 - {size}"), "1ms GET 200 - 5".into()], "{name}");
        }
    }
}

#[test]
fn the_part_of_a_body_that_came_with_its_head_counts() {
    let first = [b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n".as_slice(), &[b'x'; 500]].concat();
    let talk = talk().cut(256).client(GET).server(&first).after_ms(3).unread_server(2500).client(GET).server(OK);
    assert_eq!(brief(&talk), ["5ms GET 200 - 3000", "1ms GET 200 - 5"]);
}

#[test]
fn chunks_that_nobody_can_read_are_counted_by_their_sizes() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (first, unread) in [("1388\r\n", [5002, 0]), ("1388\r\n", [3000, 2002]), ("1388\r\nabc", [4999, 0])] {
        let talk = talk().client(GET).server(&[head, first.as_bytes()].concat());
        let talk = unread.into_iter().filter(|&bytes| bytes > 0).fold(talk, Talk::unread_server);
        let calls = 2 + unread.iter().filter(|&&bytes| bytes > 0).count();
        let talk = talk.server(b"0\r\n\r\n").client(GET).server(OK);
        assert_eq!(brief(&talk), [format!("{calls}ms GET 200 - 5000"), "1ms GET 200 - 5".into()], "{first:?} {unread:?}");
    }
}

#[test]
fn of_chunks_that_were_lost_there_is_no_size_and_of_those_that_follow_there_is() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let post = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for lost in [Talk::unread_server, Talk::lost_server] {
        let talk =
            lost(talk().client(GET).server(head), 5000).server(b"x\r\n0\r\n\r\n").client(GET).server(head).server(b"0\r\n\r\n");
        assert_eq!(brief(&talk)[0].rsplit(' ').next(), Some("-"));
        assert_eq!(brief(&talk)[1], "2ms GET 200 - 5");
    }
    for lost in [Talk::unread_client, Talk::lost_client] {
        let talk = lost(talk().client(post), 5000).server(OK).client(GET).server(OK);
        assert_eq!(brief(&talk), ["2ms POST 200 - 5", "1ms GET 200 - 5"]);
    }
}

#[test]
fn a_body_that_ends_with_the_connection_ends_with_its_last_byte() {
    let head = b"HTTP/1.0 200 OK\r\n\r\n";
    let talk = talk().client(b"GET / HTTP/1.0\r\n\r\n").server(head).unread_server(9000).after_ms(5).unread_server(9000);
    assert_eq!(brief(&talk.after_ms(70).end()), ["8ms GET 200 - -"]);
}

#[test]
fn what_has_no_body_ends_with_its_head_whatever_follows() {
    for (request, head) in [
        (&b"HEAD / HTTP/1.1\r\n\r\n"[..], "200 OK\r\nContent-Length: 3000"),
        (GET, "304 Not Modified\r\nContent-Length: 3000"),
        (GET, "204 No Content"),
        (GET, "200 OK\r\nContent-Length: 0"),
    ] {
        let head = format!("HTTP/1.1 {head}\r\n\r\n");
        let talk = talk().client(request).server(head.as_bytes()).after_ms(9).client(GET).server(OK);
        assert_eq!(brief(&talk).len(), 2, "{head}");
        assert!(brief(&talk)[0].starts_with("1ms "), "{head}");
    }
}

#[test]
fn of_a_body_whose_end_was_lost_the_response_lasts_as_long_as_it_was_seen() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n";
    let talk = talk().client(GET).server(head).lost_server(3000).after_ms(900).client(GET).server(OK);
    assert_eq!(brief(&talk), ["1ms GET 200 - 3000", "1ms GET 200 - 5"]);
}

#[test]
fn a_request_body_that_nobody_can_read_is_passed_over() {
    let length = b"POST /up HTTP/1.1\r\nContent-Length: 3000\r\n\r\n".as_slice();
    let chunks = b"POST /up HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nbb8\r\n".as_slice();
    for talk in both_ends() {
        for (post, unread, rest) in [(length, 3000, &b""[..]), (chunks, 3002, b"0\r\n\r\n")] {
            let talk = talk.clone().client(post).unread_client(1000).unread_client(unread - 1000);
            let talk = if rest.is_empty() { talk } else { talk.client(rest) };
            let rows = brief(&talk.server(OK).client(GET).server(OK));
            assert_eq!((rows.len(), &rows[1][..]), (2, "1ms GET 200 - 5"), "{rows:?}");
            assert!(rows[0].ends_with("POST 200 3000 5"), "{rows:?}");
        }
    }
}

#[test]
fn a_body_that_is_not_sent_after_a_final_answer_swallows_no_request() {
    for status in
        ["417 Expectation Failed", "401 Unauthorized", "413 Too Large", "307 Temporary Redirect", "200 OK", "500 Oops"]
    {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let code = &status[..3];
        for talk in both_ends() {
            for post in [EXPECT, EXPECT_CHUNKS] {
                let talk = talk.clone().client(post).server(answer.as_bytes());
                let talk = (0..20).fold(talk, |talk, _| talk.client(GET).server(OK));
                let rows = brief(&talk);
                assert_eq!(rows[0], format!("1ms POST {code} - -"), "of a body that was not sent there is no size");
                assert_eq!(rows[1..], vec!["1ms GET 200 - 5"; 20], "{status}");
            }
        }
    }
}

#[test]
fn the_request_behind_such_an_answer_may_be_in_pieces_pipelined_or_the_same_again() {
    let no = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n";
    for at in 1..GET.len() {
        let talk = talk().client(EXPECT).server(no).client(&GET[..at]).client(&GET[at..]).server(OK);
        assert_eq!(brief(&talk), ["1ms POST 417 - -", "2ms GET 200 - 5"], "in pieces of {at}");
    }
    let talk = talk().client(EXPECT).server(no).client(&[b"\r\n", GET, GET].concat()).server(&[OK, OK].concat());
    assert_eq!(brief(&talk), ["1ms POST 417 - -", "1ms GET 200 - 5", "1ms GET 200 - 5"]);
    let talk = self::talk().client(EXPECT).server(no).client(EXPECT).server(no).client(GET).server(OK);
    assert_eq!(brief(&talk), ["1ms POST 417 - -", "1ms POST 417 - -", "1ms GET 200 - 5"]);
    let long = [b"GET /file HTTP/1.1\r\nCookie: ".as_slice(), &[b'x'; 400], b"\r\n\r\n"].concat();
    let talk = self::talk().cut(128).client(EXPECT).server(no).client(&long).server(OK).client(GET).server(OK);
    assert_eq!(brief(&talk), ["1ms POST 417 - -", "1ms GET 200 - 5", "1ms GET 200 - 5"]);
}

#[test]
fn a_client_may_send_the_body_all_the_same() {
    let no = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    let chunks = [b"7d0\r\n".as_slice(), &[b'x'; 2000], b"\r\n0\r\n\r\n"].concat();
    for talk in both_ends() {
        for (post, body) in [(EXPECT, &[b'x'; 2000][..]), (EXPECT, &[b'X'; 2000]), (EXPECT_CHUNKS, &chunks)] {
            for at in [1, 3, 700, 1999] {
                let talk = talk.clone().client(post).server(no).client(&body[..at]).client(&body[at..]).client(GET).server(OK);
                assert_eq!(brief(&talk), ["1ms POST 413 - -", "1ms GET 200 - 5"], "in pieces of {at}");
            }
        }
    }
}

#[test]
fn a_body_that_was_asked_for_is_a_body_whatever_it_looks_like() {
    let body = [GET.repeat(90), vec![b' '; 2000 - 90 * GET.len()]].concat();
    for interim in ["100 Continue", "102 Processing"] {
        let interim = format!("HTTP/1.1 {interim}\r\n\r\n");
        let talk = talk().client(EXPECT).server(interim.as_bytes()).client(&body).server(OK).client(GET).server(OK);
        assert_eq!(brief(&talk), ["3ms POST 200 2000 5", "1ms GET 200 - 5"]);
    }
    let unasked = talk().client(EXPECT).client(&body).server(OK).client(GET).server(OK);
    assert_eq!(brief(&unasked), ["2ms POST 200 2000 5", "1ms GET 200 - 5"]);
}

#[test]
fn who_does_not_wait_to_be_asked_has_announced_what_it_sends() {
    let post = b"POST /login HTTP/1.1\r\nContent-Length: 9\r\n\r\n";
    let talk =
        talk().client(post).server(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n").client(b"name=word").client(GET).server(OK);
    assert_eq!(brief(&talk), ["1ms POST 401 9 -", "1ms GET 200 - 5"]);
}

#[test]
fn an_answer_to_a_request_before_says_nothing_of_a_body_that_is_due() {
    let talk = talk().client(GET).client(EXPECT).server(OK).client(&GET.repeat(100)[..2000]).server(OK).client(GET).server(OK);
    assert_eq!(brief(&talk), ["2ms GET 200 - 5", "3ms POST 200 2000 5", "1ms GET 200 - 5"]);
}
