//! gRPC between Python programs, and plain HTTP/2.

use std::path::PathBuf;
use std::process::Command;

use host_tests::server::Server;
use host_tests::turn::{skip, turn_as_root};
use host_tests::{repository, target_folder};

use crate::{exact, faults, host};

/// Returns a Python with gRPC; `.ci/setup test` installs it.
fn python() -> Option<PathBuf> {
    Some(target_folder().join("grpc/bin/python")).filter(|python| python.is_file())
}

fn script(name: &str) -> String {
    repository().join("tests/requests/grpc").join(name).display().to_string()
}

#[test]
fn grpc_calls_are_counted_exactly_by_method_and_status_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let Some(python) = python() else { return skip("Python's gRPC could not be installed") };
    const SENT: u64 = 500;
    let server = Server::start(python.to_str().unwrap(), |_, port| vec![script("server.py"), port.to_string()]);
    let host = host();
    let client =
        Command::new(&python).args([&script("client.py"), &server.port.to_string(), &SENT.to_string()]).output().unwrap();
    assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        let of = requests.of("grpc", role, server.port);
        exact(&host, &format!("grpc, {role}"), &of, 2 * SENT);
        let status = |status: &str| of.filter(|request| request.status == status).count();
        assert_eq!((status("OK"), status("NOT_FOUND")), (SENT, SENT), "{of:#?}");
        assert!(of.0.iter().all(|request| request.method.contains("Greeter") || request.route.contains("Greeter")), "{of:#?}");
    }
    assert!(!format!("{requests:?}").contains("secret"), "{requests:#?}");
    assert_eq!(faults(&host.status()), 0);
}
