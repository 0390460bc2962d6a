//! DNS against dnsmasq.

use std::fmt::Write as _;

use host_tests::requests::client;
use host_tests::server::Server;
use host_tests::turn::turn_as_root;

use crate::{exact, faults, host};

#[test]
fn dns_queries_are_counted_exactly_by_name_and_answer_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const ROUNDS: u64 = 500;
    let server = Server::dnsmasq();
    let mut queries = String::new();
    (0..10).for_each(|number| writeln!(queries, "host-{number}.test A").unwrap());
    (0..10).for_each(|number| writeln!(queries, "nobody-{number}.test A").unwrap());
    let file = server.path("queries");
    std::fs::write(&file, queries).unwrap();
    let host = host();
    let (port, rounds) = (server.port.to_string(), ROUNDS.to_string());
    let said = client(
        "dnsperf",
        &["-s", "127.0.0.1", "-p", &port, "-d", file.to_str().unwrap(), "-n", &rounds, "-c", "4", "-Q", "5000"],
    );
    assert!(said.contains(&format!("Queries completed:    {}", ROUNDS * 20)), "{said}");
    client("dig", &["@127.0.0.1", "-p", &port, "+tcp", "+short", "host-1.test", "A"]);
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        let of = requests.of("dns", role, server.port);
        exact(&host, &format!("dns, {role}"), &of, ROUNDS * 20 + 1);
        let status = |status: &str| of.filter(|request| request.status == status).count();
        assert_eq!((status("NOERROR"), status("NXDOMAIN")), (ROUNDS * 10 + 1, ROUNDS * 10), "{of:#?}");
        assert!(of.0.iter().any(|request| request.route.starts_with("host-1.test")), "{of:#?}");
    }
    assert_eq!(faults(&host.status()), 0);
}
