//! MariaDB against its own load generator.

use host_tests::requests::client;
use host_tests::server::Server;
use host_tests::turn::turn_as_root;

use crate::{exact, faults, host};

#[test]
fn mariadb_queries_are_counted_exactly_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const SENT: u64 = 4_000;
    let server = Server::mariadb();
    let port = server.port.to_string();
    let at = ["--no-defaults", "-h", "127.0.0.1", "-P", &port, "-u", "root"];
    client(
        "mariadb",
        &[
            &at[..],
            &["-e", "create database shop; create table shop.items (id int primary key); insert into shop.items values (1)"],
        ]
        .concat(),
    );
    let host = host();
    let sent = SENT.to_string();
    let load =
        ["--create-schema=shop", "--query=select id from items where id = 1", "--concurrency=2", "--number-of-queries", &sent];
    client("mariadb-slap", &[&at[..], &load, &["--delimiter=;", "--no-drop"]].concat());
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        let of = requests.of("mariadb", role, server.port);
        let of = of.filter(|request| request.method == "SELECT" && request.route.contains("items"));
        exact(&host, &format!("mariadb, {role}"), &of, SENT);
    }
    assert_eq!(faults(&host.status()), 0);
}
