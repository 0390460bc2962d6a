//! See README.md.

use host_tests::server::Server;
use host_tests::turn;

#[test]
fn statements_behind_a_copy_have_their_own_results_needs_root() {
    let Some(_turn) = turn::turn_as_root() else { return };
    let Some(mut client) = super::python("copy_by_extended_protocol", "client.py") else { return };
    let server = Server::postgresql();
    let host = super::host();
    let said = super::output(client.arg(server.port.to_string()));
    let requests = host.settled_requests();
    for role in ["client", "server"] {
        let mut told: Vec<String> = Vec::new();
        for request in &requests.of("postgresql", role, server.port).0 {
            let code = if request.errors > 0 { &request.status } else { "ok" };
            told.extend((0..request.count).map(|_| format!("{} {} {code}", request.method, request.route)));
        }
        let mut said: Vec<&str> = said.lines().collect();
        said.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, said, "{role}: {requests:#?}");
    }
}
