//! PostgreSQL against pgbench.

use host_tests::requests::client;
use host_tests::server::Server;
use host_tests::turn::turn_as_root;

use crate::{close, exact, faults, host, median_of};

/// Returns the lines that pgbench wrote, one for each transaction, into files with this prefix.
fn transactions(server: &Server, prefix: &str) -> String {
    let folder = server.path("");
    let ours = |file: &std::fs::DirEntry| file.file_name().to_string_lossy().starts_with(&format!("{prefix}."));
    let files = std::fs::read_dir(folder).unwrap().flatten().filter(ours);
    files.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect()
}

#[test]
fn postgresql_statements_are_counted_exactly_in_every_protocol_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const CLIENTS: u64 = 4;
    const EACH: u64 = 1_000;
    let server = Server::postgresql();
    let port = server.port.to_string();
    let at = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
    client("pgbench", &[&at[..], &["-i", "-q", "postgres"]].concat());
    for protocol in ["simple", "extended", "prepared"] {
        let host = host();
        let (clients, each) = (CLIENTS.to_string(), EACH.to_string());
        let log = server.path(protocol).display().to_string();
        let load = ["-S", "-n", "-M", protocol, "-c", &clients, "-t", &each, "--log", "--log-prefix", &log, "postgres"];
        client("pgbench", &[&at[..], &load].concat());
        let requests = host.settled_requests();
        for role in ["server", "client"] {
            let of = requests.of("postgresql", role, server.port);
            let accounts = of.filter(|request| request.method == "SELECT" && request.route.contains("pgbench_accounts"));
            exact(&host, &format!("pgbench {protocol}, {role}"), &accounts, CLIENTS * EACH);
            if role == "client" {
                close(&format!("pgbench {protocol}"), &accounts, median_of(&transactions(&server, protocol), 2));
            }
        }
        assert_eq!(faults(&host.status()), 0);
    }
}

#[test]
fn a_statement_that_fails_is_told_by_its_sqlstate_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let server = Server::postgresql();
    let host = host();
    let port = server.port.to_string();
    let psql = host_tests::server::find("psql").unwrap();
    let failed = std::process::Command::new(psql)
        .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-c", "select * from missing where secret = 'hunter2'"])
        .output()
        .unwrap();
    assert!(!failed.status.success());
    let requests = host.settled_requests().of("postgresql", "server", server.port);
    assert_eq!(requests.filter(|request| request.status == "42P01").errors(), 1, "{requests:#?}");
    assert!(!format!("{requests:?}").contains("hunter2"), "{requests:#?}");
}
