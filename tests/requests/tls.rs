//! Requests that are encrypted on the wire.

use std::path::Path;
use std::process::Command;

use host_tests::requests::client;
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
    // Its library is loaded by now; the client's is found when the client begins, or because nginx has the same.
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
    let own = target_folder().join("go/bin/go");
    let Some(go) = Some(own).filter(|go| go.is_file()).or_else(|| find("go")) else { return skip("Go could not be installed") };
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("server");
    let source = repository().join("tests/requests/go/server.go");
    let mut build = Command::new(go);
    build.env("CGO_ENABLED", "0").env("GO111MODULE", "off").env("GOCACHE", target_folder().join("go-cache"));
    assert!(build.args(["build", "-o"]).args([&program, &source]).status().unwrap().success());
    let in_folder = |folder: &Path, name: &str| folder.join(name).display().to_string();
    let server = Server::start(program.to_str().unwrap(), |folder, port| {
        certificate(folder);
        vec![port.to_string(), in_folder(folder, "cert.pem"), in_folder(folder, "key.pem")]
    });
    let host = host();
    let url = format!("https://127.0.0.1:{}/ok", server.port);
    client("h2load", &["--h1", "-n", &SENT.to_string(), "-c", "2", &url]);
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        let of = requests.of("http", role, server.port);
        exact(&host, &format!("Go over TLS, {role}"), &of, SENT);
    }
    assert_eq!(faults(&host.status()), 0);
}
