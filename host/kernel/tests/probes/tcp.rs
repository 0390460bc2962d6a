//! Connections: both ends of every one, with owner, bytes and errors.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use host_kernel::LoadOptions;

use crate::reading::{Record, by_comm, on_thread, start};

const CONNECTIONS: usize = 5_000;
const CLIENT: i64 = 1;
const SERVER: i64 = 2;

/// Accepts `count` connections on a thread of this name, reads each to its end, answers, closes.
fn serve(name: &str, address: &str, count: usize) -> (SocketAddr, JoinHandle<()>) {
    let address = address.to_owned();
    let (tell, told) = std::sync::mpsc::channel();
    let server = thread::Builder::new().name(name.into()).spawn(move || {
        let listener = TcpListener::bind(address).unwrap();
        tell.send(listener.local_addr().unwrap()).unwrap();
        for _ in 0..count {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            stream.read_to_end(&mut request).unwrap();
            stream.write_all(b"answer").unwrap();
        }
    });
    (told.recv().unwrap(), server.unwrap())
}

/// Sends a message, reads the answer, closes.
fn call(address: SocketAddr, words: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(words).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"answer");
}

fn of_role(records: &[Record], role: i64) -> Vec<&Record> {
    records.iter().filter(|record| record.number("role") == role).collect()
}

#[test]
fn each_end_of_every_connection_makes_one_record_for_its_owner_needs_root() {
    needs_root!();
    each_end_of_every_connection("tcp-client", "tcp-server", false);
}

#[test]
fn without_storage_in_sockets_they_make_the_same_records_needs_root() {
    needs_root!();
    each_end_of_every_connection("plain-client", "plain-server", true);
}

fn each_end_of_every_connection(client: &str, server: &str, plain: bool) {
    let mut clients = start("tcp", &LoadOptions { plain, ..by_comm(client) });
    let mut servers = start("tcp", &LoadOptions { plain, ..by_comm(server) });
    assert_eq!(clients.loaded.passed_over().len(), usize::from(plain));
    let (address, server) = serve(server, "127.0.0.1:0", CONNECTIONS);
    on_thread(client, move || (0..CONNECTIONS).for_each(|_| call(address, b"hello")));
    server.join().unwrap();
    for (probe, role, sent, received) in [(&mut clients, CLIENT, 5, 6), (&mut servers, SERVER, 6, 5)] {
        let records = probe.drain_at_least(CONNECTIONS);
        let counters = probe.counters(records.len());
        assert_eq!((counters.produced, counters.lost, counters.missed), (CONNECTIONS as u64, 0, 0));
        assert_eq!(of_role(&records, role).len(), CONNECTIONS);
        for record in &records {
            let port = record.number(if role == CLIENT { "remote_port" } else { "local_port" });
            assert_eq!(port, i64::from(address.port()));
            assert!(record.number("local_port") > 0 && record.number("remote_port") > 0);
            assert_eq!((record.number("bytes_sent"), record.number("bytes_received")), (sent, received));
            assert_eq!((record.number("error"), record.number("family")), (0, 2));
            assert_eq!(&record.bytes("local_address")[..4], Ipv4Addr::LOCALHOST.octets());
            assert_eq!(&record.bytes("remote_address")[..4], Ipv4Addr::LOCALHOST.octets());
            assert_eq!(record.number("pid"), i64::from(std::process::id()));
            assert!(record.number("duration_ns") > 0 && record.number("connect_us") > 0 && record.number("srtt_us") > 0);
        }
    }
}

#[test]
fn a_refused_connection_tells_its_error_needs_root() {
    needs_root!();
    let mut probe = start("tcp", &by_comm("tcp-refused"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    on_thread("tcp-refused", move || TcpStream::connect(closed).unwrap_err());
    let records = probe.drain_at_least(1);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].number("error"), 111);
    assert_eq!((records[0].number("connect_us"), records[0].number("role")), (0, CLIENT));
    assert_eq!(records[0].number("remote_port"), i64::from(closed.port()));
    assert_eq!(records[0].number("last_state"), 2, "SYN_SENT");
}

#[test]
fn ipv6_addresses_are_whole_and_mapped_ones_are_ipv4_needs_root() {
    needs_root!();
    let mut probe = start("tcp", &by_comm("tcp-six"));
    let (six, first) = serve("tcp-six-server", "[::1]:0", 1);
    let (any, second) = serve("tcp-any-server", "[::]:0", 1);
    on_thread("tcp-six", move || {
        call(six, b"six");
        call(SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), any.port())), b"mapped");
    });
    first.join().unwrap();
    second.join().unwrap();
    let records = probe.drain_at_least(2);
    assert_eq!(records[0].number("family"), 10);
    assert_eq!(records[0].bytes("remote_address"), Ipv6Addr::LOCALHOST.octets());
    assert_eq!(records[1].number("family"), 2);
    assert_eq!(&records[1].bytes("remote_address")[..4], Ipv4Addr::LOCALHOST.octets());
}

#[test]
fn a_listener_older_than_the_probe_has_its_owner_all_the_same_needs_root() {
    needs_root!();
    for plain in [false, true] {
        let (address, server) = serve("tcp-old-server", "127.0.0.1:0", 1);
        // Sockets belong to processes, and iterators see the process: its name is that of the main thread.
        let own = std::fs::read_to_string("/proc/self/comm").unwrap();
        let mut probe = start("tcp", &LoadOptions { plain, ..by_comm(own.trim()) });
        call(address, b"hello");
        server.join().unwrap();
        let records = probe.drain_at_least(1);
        let served = records.iter().find(|record| record.number("local_port") == i64::from(address.port())).unwrap();
        assert_eq!((served.number("role"), served.number("pid")), (SERVER, i64::from(std::process::id())));
    }
}

#[test]
fn a_connection_older_than_the_probe_has_no_role_and_no_duration_needs_root() {
    needs_root!();
    for plain in [false, true] {
        a_connection_older_than_the_probe(plain);
    }
}

fn a_connection_older_than_the_probe(plain: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let own = std::fs::read_to_string("/proc/self/comm").unwrap();
    let mut probe = start("tcp", &LoadOptions { plain, ..by_comm(own.trim()) });
    let port = i64::from(client.local_addr().unwrap().port());
    drop(client);
    drop(accepted);
    let records = probe.drain_at_least(2);
    let ends: Vec<_> =
        records.iter().filter(|record| record.number("local_port") == port || record.number("remote_port") == port).collect();
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|end| (end.number("role"), end.number("duration_ns")) == (0, 0)));
    assert!(ends.iter().all(|end| end.number("pid") == i64::from(std::process::id())));
}

#[test]
fn the_cgroup_is_that_of_the_socket_needs_root() {
    needs_root!();
    let cgroup = crate::exec::Cgroup::new("tcp");
    let mut probe = start("tcp", &cgroup.options());
    let (address, server) = serve("tcp-cg-server", "127.0.0.1:0", 1);
    let script = "import socket,sys\ns=socket.create_connection((\"127.0.0.1\",int(sys.argv[1])))\ns.sendall(b\"x\")\ns.shutdown(1)\ns.recv(9)";
    let pid = cgroup.run(&format!("exec python3 -c '{script}' {}", address.port()));
    server.join().unwrap();
    let records = probe.drain_at_least(1);
    assert_eq!(records.len(), 1, "the server's end is in another cgroup");
    assert_eq!((records[0].number("role"), records[0].number("pid")), (CLIENT, i64::from(pid)));
    assert_eq!(records[0].number("cgroup_id") as u64, cgroup.id());
}
