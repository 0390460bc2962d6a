//! The server counts its requests.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use host_tests::requests::client;
use host_tests::turn::turn_as_root;

/// Number of requests, by path and status.
type Asked = Arc<Mutex<BTreeMap<(String, String), u64>>>;

/// Answers of a server that does not read bodies without having asked for them: the status for each path.
const REFUSALS: [(&str, &str); 4] = [
    ("/expectation", "417 Expectation Failed"),
    ("/login", "401 Unauthorized"),
    ("/large", "413 Content Too Large"),
    ("/moved", "307 Temporary Redirect"),
];

#[test]
fn a_body_that_was_refused_before_it_was_sent_swallows_no_request_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let asked = Asked::default();
    let port = serve(Arc::clone(&asked));
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body");
    std::fs::write(&body, vec![b'x'; 2_000_000]).unwrap();
    let host = crate::host();
    for (path, _) in REFUSALS {
        let body = format!("@{}", body.display());
        let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
        let (upload, next) = (url(path), url("/next"));
        let mut arguments = vec!["--silent", "--output", "/dev/null", "--data-binary", &body, &upload];
        (0..5).for_each(|_| arguments.extend(["--next", "--silent", "--output", "/dev/null", &next]));
        client("curl", &arguments);
    }
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.get(&("/next".into(), "200".into())), Some(&20), "{asked:?}");
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        let of = requests.of("http", role, port);
        let mut by_status = BTreeMap::new();
        of.0.iter().for_each(|request| *by_status.entry(request.status.clone()).or_insert(0) += request.count);
        let mut truth = BTreeMap::new();
        asked.iter().for_each(|((_, status), count)| *truth.entry(status.clone()).or_insert(0) += count);
        assert_eq!(by_status, truth, "{role}: {of:#?}");
        assert_eq!(of.filter(|request| request.status == "200").method("GET"), 20, "{role}: {of:#?}");
    }
}

/// Starts a server on a port of its own.
fn serve(asked: Asked) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked = Arc::clone(&asked);
            std::thread::spawn(move || answer(stream, &asked));
        }
    });
    port
}

/// Answers the requests of one connection.
fn answer(mut stream: TcpStream, asked: &Asked) {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 65_536]);
    loop {
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        bytes.drain(..end);
        let path = head.split(' ').nth(1).unwrap_or_default().to_string();
        let refused = REFUSALS.iter().find(|(refused, _)| head.contains("expect:") && path == *refused);
        let status = refused.map_or("200 OK", |(_, status)| status);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok()).unwrap_or(0);
        while refused.is_none() && bytes.len() < length {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            }
        }
        if refused.is_none() {
            bytes.drain(..length);
        }
        *asked.lock().unwrap().entry((path, status[..3].to_string())).or_default() += 1;
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
