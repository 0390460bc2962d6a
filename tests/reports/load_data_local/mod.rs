//! See README.md.

use host_tests::server::Server;
use host_tests::turn;

#[test]
fn a_file_is_no_command_however_many_packets_it_has_needs_root() {
    let Some(_turn) = turn::turn_as_root() else { return };
    let Some(mut client) = super::python("load_data_local", "client.py") else { return };
    let server = Server::mariadb();
    let host = super::host();
    let said = super::output(client.arg(server.port.to_string()));
    let requests = host.settled_requests();
    for role in ["client", "server"] {
        let of = requests.of("mariadb", role, server.port);
        for line in said.lines() {
            let [method, route, code] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let told = of.filter(|request| request.method == method && request.route == route);
            let status = if code == "ok" { "" } else { code };
            assert_eq!(
                (told.count(), told.filter(|request| request.status == status).count()),
                (1, 1),
                "{role} {line}: {of:#?}"
            );
        }
        assert_eq!(of.errors(), 1, "{role}: {of:#?}");
    }
    assert!(!format!("{requests:?}").contains("hunter2"), "{requests:#?}");
}
