//! HTTP/1.1 against nginx.

use host_tests::requests::client;
use host_tests::server::Server;
use host_tests::turn::{measured, turn_as_root};

use crate::{Wrk, close, exact, faults, host, median_of};

#[test]
fn http_requests_are_counted_exactly_at_both_ends_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const SENT: u64 = 20_000;
    let server = Server::nginx(false);
    let host = host();
    let load = |path: &str| {
        let url = format!("http://127.0.0.1:{}{path}", server.port);
        let said = client("h2load", &["--h1", "-n", &SENT.to_string(), "-c", "4", &url]);
        assert!(said.contains(&format!("{SENT} done")), "{said}");
    };
    load("/ok");
    load("/users/42");
    load("/missing");
    load("/broken");
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        let of = requests.of("http", role, server.port);
        exact(&host, &format!("nginx, {role}"), &of, 4 * SENT);
        let status = |status: &str| of.filter(|request| request.status == status).count();
        assert_eq!((status("200"), status("404"), status("500")), (2 * SENT, SENT, SENT), "{of:#?}");
        // A missing page is not an error of the server.
        assert_eq!(of.errors(), if role == "server" { SENT } else { 2 * SENT });
        assert!(of.0.iter().all(|request| request.method == "GET"), "{of:#?}");
        assert_eq!(of.filter(|request| request.route == "/users/{id}").count(), SENT, "{of:#?}");
    }
    assert!(requests.of("http", "server", server.port).0.iter().all(|request| request.comm == "nginx"), "{requests:#?}");
    assert_eq!(faults(&host.status()), 0);
}

#[test]
fn durations_of_http_requests_are_those_that_the_client_measures_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let server = Server::nginx(false);
    let host = host();
    let url = format!("http://127.0.0.1:{}/ok", server.port);
    let wrk = Wrk::run(&url, 2);
    let requests = host.settled_requests().of("http", "client", server.port);
    measured(&format!("wrk: {} requests, host {}", wrk.requests, requests.count()));
    assert!(wrk.has_made(requests.count()), "{} {requests:#?}", wrk.requests);
    close("wrk", &requests, wrk.median);
}

#[test]
fn durations_of_http_requests_are_those_that_h2load_writes_down_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let server = Server::nginx(false);
    let host = host();
    let (url, log) = (format!("http://127.0.0.1:{}/ok", server.port), server.path("log").display().to_string());
    client("h2load", &["--h1", "-n", "20000", "-c", "4", "--log-file", &log, &url]);
    let requests = host.settled_requests().of("http", "client", server.port);
    exact(&host, "h2load", &requests, 20_000);
    close("h2load", &requests, median_of(&std::fs::read_to_string(&log).unwrap(), 2));
}

#[test]
fn connections_older_than_the_host_are_seen_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    use std::io::{Read, Write};
    let server = Server::nginx(false);
    let mut old = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let mut ask = || {
        old.write_all(b"GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = [0; 1024];
        let mut length = 0;
        while !answer[..length].ends_with(b"fine") {
            length += old.read(&mut answer[length..]).unwrap();
        }
    };
    ask();
    let host = host();
    (0..100).for_each(|_| ask());
    let requests = host.settled_requests();
    exact(&host, "an old connection, server", &requests.of("http", "server", server.port), 100);
    exact(&host, "an old connection, client", &requests.of("http", "client", server.port), 100);
}
