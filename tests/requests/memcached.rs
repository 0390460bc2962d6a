//! memcached against a client of known counts.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use host_tests::server::Server;
use host_tests::turn::turn_as_root;

use crate::{exact, faults, host};

#[test]
fn memcached_commands_are_counted_exactly_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const SENT: u64 = 10_000;
    let server = Server::memcached();
    let host = host();
    let mut connection = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    connection.set_nodelay(true).unwrap();
    let mut answers = BufReader::new(connection.try_clone().unwrap());
    let mut ask = |command: &[u8], last: &str| {
        connection.write_all(command).unwrap();
        let mut line = String::new();
        while line != last {
            line.clear();
            assert_ne!(answers.read_line(&mut line).unwrap(), 0);
        }
    };
    for _ in 0..SENT {
        ask(b"set key 0 0 5\r\nvalue\r\n", "STORED\r\n");
        ask(b"get key\r\n", "END\r\n");
    }
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        let of = requests.of("memcached", role, server.port);
        exact(&host, &format!("memcached, {role}"), &of, 2 * SENT);
        assert_eq!(of.filter(|request| request.method.eq_ignore_ascii_case("get")).count(), SENT, "{of:#?}");
    }
    assert_eq!(faults(&host.status()), 0);
}
