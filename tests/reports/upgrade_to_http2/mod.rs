//! All exchanges after an upgrade are reported, however quickly they come.

use host_tests::server::free_port;
use host_tests::turn::turn_as_root;

use crate::{host, output, python};

#[test]
fn every_request_behind_an_upgrade_to_http2_is_told_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let host = host();
    for (requests, calls) in [(20_u64, "apart"), (20, "together"), (3000, "apart")] {
        let port = free_port();
        let Some(mut upgrade) = python("upgrade_to_http2", "upgrade.py") else { return };
        let said = output(upgrade.args([&port.to_string(), &requests.to_string(), calls]));
        assert_eq!(said.trim(), requests.to_string());
        let told = host.settled_requests();
        for role in ["server", "client"] {
            let of = |request: &host_tests::requests::Request| request.server_port == port && request.role == role;
            let behind = told.filter(|request| of(request) && request.route == "/behind").count();
            let upgrades =
                told.filter(|request| of(request) && request.route == "/upgrade" && request.protocol == "http").count();
            assert_eq!((behind, upgrades), (requests, 1), "{requests} {calls}, {role}: {:#?}\n{}", told.0, host.stderr());
        }
    }
}
