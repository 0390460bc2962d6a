//! See README.md.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use host_tests::server::certificate;
use host_tests::turn;

const REQUESTS: u64 = 20;

#[test]
fn requests_through_a_proxy_have_the_address_that_their_socket_has_needs_root() {
    let Some(_turn) = turn::turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let mut proxy = Command::new("python3")
        .arg(super::file("tls_after_connect", "proxy.py"))
        .args(["cert.pem", "key.pem"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ports = String::new();
    BufReader::new(proxy.stdout.take().unwrap()).read_line(&mut ports).unwrap();
    let ports: Vec<u16> = ports.split_whitespace().map(|port| port.parse().unwrap()).collect();
    let [origin, plain, secure, socks] = ports[..] else { panic!("{ports:?}") };
    let host = super::host();
    let ways =
        [format!("http://127.0.0.1:{plain}"), format!("https://127.0.0.1:{secure}"), format!("socks5://127.0.0.1:{socks}")];
    for way in &ways {
        let url = format!("https://127.0.0.1:{origin}/[1-{REQUESTS}]");
        let mut curl = Command::new("curl");
        let said = super::output(curl.args(["-sSk", "--http1.1", "--proxy-insecure", "--proxy", way, &url]));
        assert_eq!(said.matches("hello").count() as u64, REQUESTS, "{way}");
    }
    drop(proxy.stdin.take());
    proxy.wait().unwrap();
    let requests = host.settled_requests();
    let gets = |role: &str, port: u16| requests.of("http", role, port).filter(|request| request.method == "GET").count();
    for port in [plain, secure, socks] {
        assert_eq!(gets("client", port), REQUESTS, "{port}: {requests:#?}");
    }
    assert_eq!(gets("server", origin), 3 * REQUESTS, "{requests:#?}");
    assert_eq!(requests.filter(|request| request.server_port == 0).count(), 0, "{requests:#?}");
}
