//! Requests that are encrypted on the wire.

use std::path::Path;
use std::process::Command;

use host_tests::requests::{client, number_after};
use host_tests::server::{Server, certificate, find};
use host_tests::turn::{skip, turn_as_root};
use host_tests::{repository, target_folder};

use crate::{exact, faults, host};

#[test]
fn https_requests_are_counted_exactly_at_both_ends_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const SENT: u64 = 5_000;
    let server = Server::nginx(true);
    let host = host();
    // The server's library is loaded by now; the client's is found when the client starts, or because nginx has the same.
    let url = format!("https://127.0.0.1:{}/ok", server.port);
    client("h2load", &["--h1", "-n", &SENT.to_string(), "-c", "2", &url]);
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        let of = requests.of("http", role, server.port);
        exact(&host, &format!("nginx over TLS, {role}"), &of, SENT);
        assert_eq!(of.filter(|request| request.status == "200").count(), SENT, "{of:#?}");
    }
    assert_eq!(faults(&host.status()), 0);
}

#[test]
fn requests_to_a_go_server_over_tls_are_counted_exactly_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const SENT: u64 = 2_000;
    let Some(server) = go_server() else { return skip("Go could not be installed") };
    for (protocol, more) in [("http", &["--h1"][..]), ("http2", &[])] {
        let host = host();
        let url = format!("https://127.0.0.1:{}/ok", server.port);
        client("h2load", &[more, &["-n", &SENT.to_string(), "-c", "2", &url]].concat());
        let requests = host.settled_requests();
        for role in ["server", "client"] {
            exact(&host, &format!("Go over TLS, {protocol}, {role}"), &requests.of(protocol, role, server.port), SENT);
        }
        assert_eq!(faults(&host.status()), 0);
    }
}

#[test]
fn requests_of_hey_to_a_go_server_have_the_statuses_that_it_reports_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const SENT: u64 = 4_000;
    let Some(server) = go_server() else { return skip("Go could not be installed") };
    let host = host();
    let protocols = [("http", &[][..]), ("http2", &["-h2"])];
    for (protocol, more) in protocols {
        for (path, status) in [("ok", 200), ("missing", 404)] {
            let url = format!("https://127.0.0.1:{}/{path}", server.port);
            let number = SENT.to_string();
            let said = client("hey", &[&["-n", &number, "-c", "4"], more, &[&url]].concat());
            assert_eq!(number_after(&said, &format!("[{status}]")), SENT as f64, "{protocol}: {said}");
        }
    }
    let requests = host.settled_requests();
    for (protocol, _) in protocols {
        let of = requests.of(protocol, "server", server.port);
        exact(&host, &format!("hey to Go over TLS, {protocol}, server"), &of, 2 * SENT);
        let status = |status: &str| of.filter(|request| request.status == status).count();
        assert_eq!((status("200"), status("404")), (SENT, SENT), "{of:#?}");
    }
    assert_eq!(faults(&host.status()), 0);
}

/// Builds and starts a server in Go; None without Go. `/ok` answers 200, all else 404.
fn go_server() -> Option<Server> {
    let go = Some(target_folder().join("go/bin/go")).filter(|go| go.is_file()).or_else(|| find("go"))?;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("server");
    let source = repository().join("tests/requests/go/server.go");
    let mut build = Command::new(go);
    build.env("CGO_ENABLED", "0").env("GO111MODULE", "off").env("GOCACHE", target_folder().join("go-cache"));
    assert!(build.args(["build", "-o"]).args([&program, &source]).status().unwrap().success());
    let in_folder = |folder: &Path, name: &str| folder.join(name).display().to_string();
    Some(Server::start(program.to_str().unwrap(), |folder, port| {
        certificate(folder);
        vec![port.to_string(), in_folder(folder, "cert.pem"), in_folder(folder, "key.pem")]
    }))
}
