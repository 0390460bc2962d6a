//! See README.md.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use host_tests::server::{certificate, find};
use host_tests::turn;

const REQUESTS: u64 = 200;

#[test]
fn what_a_client_writes_when_its_handshake_is_done_is_told_needs_root() {
    let Some(_turn) = turn::turn_as_root() else { return };
    let Some(node) = find("node") else { return turn::skip("Node.js is not installed") };
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let mut talk = Command::new(node)
        .arg(super::file("nested_write_in_handshake", "talk.mjs"))
        .args(["cert.pem", "key.pem", &REQUESTS.to_string()])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(talk.stdout.take().unwrap()).lines().map(Result::unwrap);
    let ports: Vec<u16> = told.next().unwrap().split(' ').map(|port| port.parse().unwrap()).collect();
    let [port, plain] = ports[..] else { panic!("{ports:?}") };
    // The server listens, so its program is known from the start.
    let host = super::host();
    writeln!(talk.stdin.take().unwrap(), "go").unwrap();
    assert_eq!(told.next().unwrap(), format!("{REQUESTS} {REQUESTS} {REQUESTS}"), "what the client counts");
    talk.wait().unwrap();
    let requests = host.settled_requests();
    for role in ["client", "server"] {
        let of = requests.of("http", role, port);
        let answered = of.filter(|request| request.status == "200");
        assert_eq!((of.count(), answered.count()), (2 * REQUESTS, 2 * REQUESTS), "{role}: {of:#?}");
        // Bytes written to another socket from within the callback belong to that socket.
        let of = requests.of("http", role, plain).filter(|request| request.status == "200");
        assert_eq!(of.count(), REQUESTS, "{role}, in the clear: {of:#?}");
    }
}
