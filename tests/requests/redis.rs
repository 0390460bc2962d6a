//! Redis against redis-benchmark.

use host_tests::requests::client;
use host_tests::server::Server;
use host_tests::turn::turn_as_root;

use crate::{exact, faults, host};

fn benchmark(port: u16, pipeline: &str, sent: u64) {
    let (port, sent) = (port.to_string(), sent.to_string());
    client("redis-benchmark", &["-p", &port, "-t", "set,get", "-n", &sent, "-c", "4", "-P", pipeline, "-q"]);
}

#[test]
fn redis_commands_are_counted_exactly_at_both_ends_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const SENT: u64 = 20_000;
    let server = Server::redis();
    let host = host();
    benchmark(server.port, "1", SENT);
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        // It asks for the configuration as well.
        let of = requests.of("redis", role, server.port).filter(|request| ["GET", "SET"].contains(&request.method.as_str()));
        exact(&host, &format!("redis, {role}"), &of, 2 * SENT);
        assert_eq!(of.errors(), 0);
    }
    assert_eq!(faults(&host.status()), 0);
}

#[test]
fn pipelined_redis_commands_are_counted_exactly_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const SENT: u64 = 80_000;
    let server = Server::redis();
    let host = host();
    benchmark(server.port, "16", SENT);
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        let of = requests.of("redis", role, server.port).filter(|request| ["GET", "SET"].contains(&request.method.as_str()));
        exact(&host, &format!("redis in pipelines, {role}"), &of, 2 * SENT);
    }
}

#[test]
fn errors_of_redis_are_told_by_their_kind_and_never_by_their_text_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let server = Server::redis();
    let host = host();
    let port = server.port.to_string();
    client("redis-cli", &["-p", &port, "SET", "key", "secret-value"]);
    client("redis-cli", &["-p", &port, "LPUSH", "key", "x"]);
    let requests = host.settled_requests().of("redis", "server", server.port);
    assert_eq!(requests.filter(|request| request.status == "WRONGTYPE").method("LPUSH"), 1, "{requests:#?}");
    assert!(!format!("{requests:?}").contains("secret-value"), "{requests:#?}");
}
