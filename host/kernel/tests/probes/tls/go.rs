//! crypto/tls of Go: a server and a client in one program, beside this file.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{
    CLIENT, Folder, RECEIVED, REQUESTS, SENT, SERVER, Server, ciphertext_is_silent, conversation, drain_until_ends, free_port,
    messages, one_record_each, probe, run, until_traced,
};

/// Returns the toolchain: that of `GO`, of the PATH, or the one that `.ci/setup test` installs.
fn go() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/go/bin/go");
    let candidates = [std::env::var_os("GO").map(PathBuf::from), Some("go".into()), Some(installed)];
    let works = |go: &PathBuf| Command::new(go).arg("version").output().is_ok_and(|output| output.status.success());
    candidates.into_iter().flatten().find(works).unwrap_or_else(|| panic!("there is no Go: run `.ci/setup test`, or set GO"))
}

fn build(folder: &Folder, flags: &[&str]) -> PathBuf {
    let program = folder.join("go-tls");
    let mut build = Command::new(go());
    build.env("CGO_ENABLED", "0").env("GO111MODULE", "off").arg("build").args(flags).arg("-o").arg(&program);
    run(build.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/probes/tls/conversation.go")));
    program
}

fn go_talks_to_go(name: &str, flags: &[&str], serving: &str) {
    let (folder, port) = (Folder::new(name), free_port());
    let program = build(&folder, flags);
    let mut serve = Command::new(&program);
    serve.arg(serving).arg(port.to_string()).arg(folder.join("cert.pem")).arg(folder.join("key.pem"));
    let server = Server::start(&mut serve, port);
    let mut probe = probe(port);
    until_traced(&probe, &program, true);
    let answers = run(Command::new(&program).args(["get", &format!("https://127.0.0.1:{port}/"), &REQUESTS.to_string()]));
    assert_eq!(answers.matches("hello from Go").count(), REQUESTS);
    drop(server);
    let records = drain_until_ends(&mut probe, 2);
    one_record_each(&messages(&records, CLIENT, SENT), "GET /", port, REQUESTS);
    one_record_each(&messages(&records, CLIENT, RECEIVED), "HTTP/1.1 200 OK\r\n", port, REQUESTS);
    one_record_each(&messages(&records, SERVER, SENT), "HTTP/1.1 200 OK\r\n", port, REQUESTS);
    // While a handler works, a goroutine waits for the next request's first byte, and reads only that.
    let requests = conversation(&messages(&records, SERVER, RECEIVED), port);
    assert_eq!(requests.matches("GET /").count(), REQUESTS);
    ciphertext_is_silent(&records);
    // A write comes before the reads that it causes, though other goroutines do them.
    let client: Vec<_> =
        records.iter().filter(|record| record.number("role") == CLIENT && super::is_plaintext(record)).collect();
    let directions =
        client.iter().filter(|record| record.number("kind") == super::DATA).map(|record| record.number("direction"));
    assert!(directions.enumerate().all(|(index, direction)| direction == if index % 2 == 0 { SENT } else { RECEIVED }));
}

#[test]
fn go_programs_are_read_where_their_functions_return_needs_root() {
    needs_root!();
    go_talks_to_go("go", &[], "serve");
}

#[test]
fn a_stripped_go_program_is_read_by_its_table_of_functions_needs_root() {
    needs_root!();
    go_talks_to_go("go-stripped", &["-ldflags=-s -w"], "serve-wrapped");
}

#[test]
fn a_go_program_at_a_random_address_is_read_as_well_needs_root() {
    needs_root!();
    go_talks_to_go("go-pie", &["-buildmode=pie", "-ldflags=-s -w"], "serve");
}
