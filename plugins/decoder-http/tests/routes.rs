//! Which paths become routes: those of a service, not the values in its requests.

use std::sync::atomic::{AtomicU16, Ordering};

use decoder_http::Http;
use plugin_sdk::conversation::Conversations;
use plugin_sdk::testing::{Talk, decoder};

const OK: &str = "200 OK";

/// A service on this port, and a client that requests these paths over one connection.
fn asked(port: u16, paths: impl IntoIterator<Item = String>, status: &str) -> Talk {
    static NEXT: AtomicU16 = AtomicU16::new(1024);
    let talk = Talk::tcp(&format!("10.0.0.7:{}", NEXT.fetch_add(1, Ordering::Relaxed)), port);
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    let ask =
        |talk: Talk, path: String| talk.client(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).server(answer.as_bytes());
    paths.into_iter().fold(talk, ask)
}

/// Returns the routes of a talk's rows.
fn routes(decoder: &mut Conversations<Http>, talk: &Talk) -> Vec<String> {
    let route = |row: String| row.split(' ').find_map(|word| word.strip_prefix("http.route=")).unwrap_or("").to_string();
    talk.rows_of(decoder).into_iter().map(route).collect()
}

fn one(path: &str) -> [String; 1] {
    [path.into()]
}

/// Returns words that occur only once.
fn words(count: usize) -> impl Iterator<Item = String> {
    let letter = |number: usize| char::from(b'a' + (number % 26) as u8);
    (0..count).map(move |n| format!("/o{}a{}e{}o", letter(n), letter(n / 26), letter(n / 676)))
}

#[test]
fn a_scanner_of_absent_paths_makes_no_route_and_takes_none_away() {
    for status in ["404 Not Found", "405 Method Not Allowed", "400 Bad Request", "410 Gone", "501 Not Implemented"] {
        let mut decoder = decoder::<Http>("{}");
        assert_eq!(routes(&mut decoder, &asked(80, one("/before/1"), OK)), ["/before/{id}"]);
        let scan = routes(&mut decoder, &asked(80, words(5000), status));
        assert_eq!((scan.len(), scan.iter().all(|route| route == "/*")), (5000, true), "{status}");
        for (port, path, wanted) in [
            (80, "/before/2", "/before/{id}"),
            (80, "/later", "/later"),
            (81, "/before/3", "/before/{id}"),
            (81, "/later", "/later"),
        ] {
            assert_eq!(routes(&mut decoder, &asked(port, one(path), OK)), [wanted], "{status}");
        }
        assert_eq!(routes(&mut decoder, &asked(80, one("/before/4"), status)), ["/before/{id}"], "what is a route stays one");
    }
}

#[test]
fn a_service_that_answers_whatever_it_is_asked_spoils_no_other() {
    for (status, most) in [(OK, 256), ("302 Found", 64), ("403 Forbidden", 64), ("502 Bad Gateway", 64)] {
        let mut decoder = decoder::<Http>("{}");
        assert_eq!(routes(&mut decoder, &asked(81, one("/before"), OK)), ["/before"]);
        let mut scan = routes(&mut decoder, &asked(80, words(5000), status));
        scan.sort_unstable();
        scan.dedup();
        assert_eq!((scan.len(), &*scan[0]), (most + 1, "/*"), "{status}");
        for path in ["/before", "/later"] {
            assert_eq!(routes(&mut decoder, &asked(81, one(path), OK)), [path], "{status}");
        }
    }
}

#[test]
fn requests_without_answer_have_a_route_and_few() {
    let mut decoder = decoder::<Http>("{}");
    let silent = |port: u16, path: &str| {
        Talk::tcp(&format!("10.0.0.8:{port}"), 80).client(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).end()
    };
    assert_eq!(routes(&mut decoder, &silent(1, "/slow/1")), ["/slow/{id}"]);
    let rest = words(1000).zip(1000..).filter(|(path, port)| routes(&mut decoder, &silent(*port, path)) == ["/*"]).count();
    assert_eq!(rest, 1000 - 63);
    assert_eq!(routes(&mut decoder, &asked(80, one("/found"), OK)), ["/found"]);
}

#[test]
fn a_successor_that_takes_the_connections_over_learns_the_routes_anew() {
    use plugin_sdk::Handover;
    let mut old = decoder::<Http>("{}");
    assert_eq!(routes(&mut old, &asked(80, one("/a"), OK)), ["/a"]);
    let talk = Talk::tcp("10.0.0.7:1", 80).client(b"POST /b HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n");
    assert!(routes(&mut old, &talk).is_empty());
    let mut new = decoder::<Http>("{}");
    new.import_state(old.export_state().unwrap()).unwrap();
    let all = talk.server(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n").client(b"GET /c HTTP/1.1\r\n\r\n");
    let all = all.server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(routes(&mut new, &all), ["/b", "/c"], "a body that is due is due to both");
}
