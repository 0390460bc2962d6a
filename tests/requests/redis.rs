//! Redis against redis-benchmark.

use std::time::Duration;

use host_tests::requests::client;
use host_tests::server::Server;
use host_tests::turn::turn_as_root;

use crate::{close, exact, exact_by, faults, host};

/// Runs it; returns its output: a line of values for each command.
fn benchmark(port: u16, pipeline: &str, sent: u64) -> String {
    let (port, sent) = (port.to_string(), sent.to_string());
    client("redis-benchmark", &["-p", &port, "-t", "set,get", "-n", &sent, "-c", "4", "-P", pipeline, "--csv"])
}

/// Returns the median in a line of `redis-benchmark --csv`: `"GET","90000.00","0.030","0.008","0.023",..`, in milliseconds.
fn median(said: &str, command: &str) -> Duration {
    let line = said.lines().find(|line| line.starts_with(&format!("\"{command}\""))).unwrap_or_else(|| panic!("{said}"));
    let median: f64 = line.split(',').nth(4).unwrap().trim_matches('"').parse().unwrap();
    Duration::from_secs_f64(median / 1e3)
}

#[test]
fn redis_commands_are_counted_exactly_at_both_ends_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const SENT: u64 = 20_000;
    let server = Server::redis();
    let host = host();
    let said = benchmark(server.port, "1", SENT);
    let requests = host.settled_requests();
    for command in ["GET", "SET"] {
        let of = requests.of("redis", "client", server.port).filter(|request| request.method == command);
        close(&format!("redis-benchmark, {command}"), &of, median(&said, command));
    }
    for role in ["server", "client"] {
        // The benchmark asks for the configuration as well.
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
        exact_by(&host, &format!("redis in pipelines, {role}"), &of, 2 * SENT, 16);
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
