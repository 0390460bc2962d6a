//! Sessions over TLS are followed for as long as they last.

use std::process::Command;

use host_tests::server::Server;
use host_tests::turn::turn_as_root;

use crate::{host, output, python};

/// Returns the number of the client's statements seen at each end.
fn seen(host: &host_tests::daemon::Host, protocol: &str, port: u16) -> [u64; 2] {
    let requests = host.settled_requests();
    let counted = |role| requests.of(protocol, role, port).filter(|request| request.route.contains("pg_class")).count();
    [counted("server"), counted("client")]
}

#[test]
fn every_statement_of_pooled_sessions_over_tls_is_told_at_both_ends_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let server = Server::postgresql_with_tls();
    let host = host();
    let Some(mut pool) = python("postgresql_over_tls_for_long", "pool.py") else { return };
    // Seconds between two statements of a session; 1.5 make it last a minute.
    let pause = std::env::var("REPORTS_PAUSE").unwrap_or_else(|_| "0.1".into());
    let said = output(pool.args([&server.port.to_string(), "25", "40", &pause]));
    assert_eq!(said.trim(), "1000");
    assert_eq!(seen(&host, "postgresql", server.port), [1000, 1000], "{:#?}\n{}", host.requests().0, host.stderr());
    let status = host.ask(&["status", "--format", "json"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let unknown = status["paths"].as_array().unwrap().iter().filter_map(|path| path["unknown"].as_array()).flatten();
    let ours: Vec<_> = unknown.filter(|stranger| stranger["port"] == server.port).collect();
    assert!(ours.is_empty(), "what is decoded in plaintext is not unknown: {ours:?}");
}

#[test]
fn a_session_of_libpq_over_tls_is_followed_while_it_waits_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let server = Server::postgresql_with_tls();
    let host = host();
    let psql = host_tests::server::find("psql").unwrap();
    let mut ask = Command::new("sh");
    ask.arg("-c").arg(
        "for turn in 1 2 3 4 5 6 7 8 9 10; do echo 'SELECT relname FROM pg_class LIMIT 1;'; sleep 0.2; done | \
         \"$0\" -qAt \"host=127.0.0.1 port=$1 user=postgres sslmode=require\"",
    );
    output(ask.arg(psql).arg(server.port.to_string()));
    assert_eq!(seen(&host, "postgresql", server.port), [10, 10], "{:#?}\n{}", host.requests().0, host.stderr());
}
