//! curl and hand-written requests to a proxy that refuses all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use host_tests::turn::turn_as_root;

/// Hosts that curl asks a proxy to connect to.
const HOSTS: [&str; 6] = ["hub.docker.com", "HUGGINGFACE.co", "httpbin.org", "h", "quay.io", "[2001:db8::1]"];

/// Targets of other requests, and the route of each.
const TARGETS: [(&str, &str, &str); 8] = [
    ("GET", "ftp://127.0.0.1/pub", "/pub"),
    ("GET", "ws://127.0.0.1/chat", "/chat"),
    ("GET", "http://127.0.0.1?next=/pub", ""),
    ("GET", "?q", ""),
    ("OPTIONS", "*", "*"),
    ("GET", "http://[::1]:80/pub?a=b", "/pub"),
    ("GET", "example.com:80", ""),
    ("CONNECT", "[::1]:443", ""),
];

#[test]
fn every_form_of_target_is_a_request_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let port = serve();
    let host = crate::host();
    for name in HOSTS {
        let proxy = format!("http://127.0.0.1:{port}");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "20", "--proxy", &proxy, &format!("https://{name}/")]);
        // The proxy refuses it, so curl fails.
        assert!(!curl.stdout(Stdio::null()).status().unwrap().success());
    }
    for (method, target, _) in TARGETS {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{target}: {answer}");
    }
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        let of = requests.of("http", role, port);
        assert_eq!(of.count() as usize, HOSTS.len() + TARGETS.len(), "{role}: {of:#?}");
        assert_eq!(of.method("CONNECT") as usize, HOSTS.len() + 1, "{role}: {of:#?}");
        for (method, target, route) in TARGETS {
            assert!(of.0.iter().any(|of| of.method == method && of.route == route), "{role}, {target}: {of:#?}");
        }
    }
}

/// A server that answers one request of each connection with 403.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
                while !bytes.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => return,
                        Ok(read) => bytes.extend_from_slice(&buffer[..read]),
                    }
                }
                let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n");
            });
        }
    });
    port
}
