//! Payload of sockets: every call in both directions, at both ends, with the same sequence numbers.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use host_kernel::LoadOptions;

use crate::calls;
use crate::reading::{Probe, Record, passes_over, start};

pub(crate) const RECEIVED: i64 = 0;
pub(crate) const SENT: i64 = 1;
pub(crate) const CLIENT: i64 = 1;
pub(crate) const SERVER: i64 = 2;
const NO_PAYLOAD: i64 = 2;

pub(crate) fn options(port: u16) -> LoadOptions {
    LoadOptions { ports: vec![port], exclude_pid: None, ..LoadOptions::default() }
}

/// A listener and a probe that sees its port only.
pub(crate) fn listen(address: &str) -> (TcpListener, SocketAddr, Probe) {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let probe = start("l7", &options(address.port()));
    (listener, address, probe)
}

pub(crate) fn connect(listener: &TcpListener, address: SocketAddr) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(address).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

/// Two ends of one connection, younger than the probe.
pub(crate) fn pair() -> (TcpStream, TcpStream, Probe) {
    let (listener, address, probe) = listen("127.0.0.1:0");
    let (client, server) = connect(&listener, address);
    (client, server, probe)
}

pub(crate) fn exact(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Returns the content of a record in short: role, direction, total, payload.
pub(crate) fn told(record: &Record) -> (i64, i64, i64, String) {
    let payload = String::from_utf8_lossy(record.bytes("payload")).into_owned();
    (record.number("role"), record.number("direction"), record.number("total"), payload)
}

pub(crate) fn ends(records: &[Record]) -> usize {
    records.iter().filter(|record| record.number("kind") == 1).count()
}

#[test]
fn a_round_trip_is_four_records_and_two_ends_needs_root() {
    needs_root!();
    let (mut client, mut server, mut probe) = pair();
    client.write_all(b"question").unwrap();
    exact(&mut server, 8);
    server.write_all(b"answer").unwrap();
    exact(&mut client, 6);
    let port = i64::from(client.peer_addr().unwrap().port());
    let from = i64::from(client.local_addr().unwrap().port());
    drop(client);
    drop(server);
    let records = probe.drain_at_least(6);
    let data: Vec<_> = records.iter().take(4).map(told).collect();
    assert_eq!(data[0], (CLIENT, SENT, 8, "question".into()));
    assert_eq!(data[1], (SERVER, RECEIVED, 8, "question".into()));
    assert_eq!(data[2], (SERVER, SENT, 6, "answer".into()));
    assert_eq!(data[3], (CLIENT, RECEIVED, 6, "answer".into()));
    assert_eq!((records.len(), ends(&records[4..])), (6, 2));
    let number = |at: usize, name: &str| records[at].number(name);
    assert_eq!(number(0, "sequence"), number(1, "sequence"), "the same byte has the same number at both ends");
    assert_eq!(number(2, "sequence"), number(3, "sequence"));
    assert_ne!(number(0, "sequence"), 0);
    assert_eq!((number(0, "connection"), number(1, "connection")), (number(3, "connection"), number(2, "connection")));
    assert_ne!(number(0, "connection"), number(1, "connection"));
    let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
    for record in &records {
        let (local, remote) = if record.number("role") == CLIENT { (from, port) } else { (port, from) };
        assert_eq!((record.number("local_port"), record.number("remote_port")), (local, remote));
        assert_eq!((record.number("family"), record.number("transport"), record.number("flags")), (2, 6, 0));
        assert_eq!(record.bytes("local_address")[..4], Ipv4Addr::LOCALHOST.octets());
        assert_eq!(record.bytes("remote_address")[..4], Ipv4Addr::LOCALHOST.octets());
        assert_eq!((record.number("pid"), record.number("uid")), (i64::from(std::process::id()), 0));
        assert_eq!(record.text("comm"), comm.trim(), "of the process, not of the thread");
        assert!(record.number("time_ns") > 0 && record.number("cgroup_id") > 0);
    }
    let times: Vec<_> = records.iter().map(|record| record.number("time_ns")).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn every_call_is_counted_exactly_needs_root() {
    needs_root!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let probe = start("l7", &options(listener.local_addr().unwrap().port()));
    every_call_is_counted_exactly(&listener, probe);
}

#[test]
fn without_storage_in_sockets_every_call_is_counted_exactly_needs_root() {
    needs_root!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = LoadOptions { plain: true, ..options(listener.local_addr().unwrap().port()) };
    let probe = start("l7", &options);
    assert_eq!(probe.loaded.hooks(), ["raw_tp/sys_exit", "raw_tp/inet_sock_set_state"]);
    let why: Vec<_> = probe.loaded.passed_over().iter().map(|reason| reason.split(": ").next().unwrap()).collect();
    assert_eq!(why, ["tp_btf/sock_send_length", "fexit/inet_sendmsg", "tp_btf/inet_sock_set_state", "uprobe.multi"]);
    every_call_is_counted_exactly(&listener, probe);
}

fn every_call_is_counted_exactly(listener: &TcpListener, mut probe: Probe) {
    const ROUNDS: usize = 20_000;
    let (mut client, mut server) = connect(listener, listener.local_addr().unwrap());
    let echo = std::thread::spawn(move || {
        for _ in 0..ROUNDS {
            let question = exact(&mut server, 40);
            server.write_all(&question).unwrap();
        }
    });
    let talk = std::thread::spawn(move || {
        for _ in 0..ROUNDS {
            client.write_all(&[b'x'; 40]).unwrap();
            exact(&mut client, 40);
        }
    });
    talk.join().unwrap();
    echo.join().unwrap();
    let records = probe.drain_at_least(4 * ROUNDS + 2);
    let counters = probe.counters(records.len());
    // The missing records were skipped by the kernel.
    assert_eq!((counters.produced + counters.missed, counters.lost, counters.unread), (4 * ROUNDS as u64 + 2, 0, 0));
    if passes_over() && counters.missed > 0 {
        return;
    }
    assert_eq!(counters.missed, 0);
    assert_eq!(ends(&records), 2);
    for (role, direction) in [(CLIENT, SENT), (SERVER, RECEIVED), (SERVER, SENT), (CLIENT, RECEIVED)] {
        let these: Vec<_> = records
            .iter()
            .filter(|record| (record.number("role"), record.number("direction"), record.number("kind")) == (role, direction, 0))
            .collect();
        assert_eq!(these.len(), ROUNDS);
        let gaps = these.windows(2).filter(|two| two[0].number("sequence") + 40 != two[1].number("sequence")).count();
        assert!(gaps <= 1, "{gaps} gaps: there may be one where the number wraps");
    }
}

#[test]
fn ipv6_addresses_are_whole_and_mapped_ones_are_ipv4_needs_root() {
    needs_root!();
    let (listener, address, mut probe) = listen("[::]:0");
    let (mut six, mut first) = connect(&listener, SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())));
    let mapped = SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), address.port()));
    let (mut four, mut second) = connect(&listener, mapped);
    for (client, server) in [(&mut six, &mut first), (&mut four, &mut second)] {
        client.write_all(b"x").unwrap();
        exact(server, 1);
    }
    let records = probe.drain_at_least(4);
    for record in &records[..2] {
        assert_eq!(record.number("family"), 10);
        assert_eq!(record.bytes("remote_address"), Ipv6Addr::LOCALHOST.octets());
        assert_eq!(record.bytes("local_address"), Ipv6Addr::LOCALHOST.octets());
    }
    for record in &records[2..] {
        assert_eq!(record.number("family"), 2);
        assert_eq!(record.bytes("remote_address")[..5], [127, 0, 0, 1, 0]);
    }
}

#[test]
fn vectors_and_messages_are_put_together_needs_root() {
    needs_root!();
    let (client, server, mut probe) = pair();
    let segments: [&[u8]; 4] = [b"one ", b"", b"two ", b"three"];
    assert_eq!(calls::writev(&client, &segments), 13);
    assert_eq!(calls::readv(&server, &[3, 20]), 13);
    assert_eq!(calls::sendmsg(&client, &segments, None), 13);
    assert_eq!(calls::recvmsg(&server, &[6, 2, 20]), 13);
    assert_eq!(calls::send(&client, b"flat", 0), 4);
    assert_eq!(calls::recv(&server, 100, 0), 4);
    let many = [b"ab".as_slice(); 40];
    assert_eq!(calls::writev(&client, &many), 80);
    assert_eq!(calls::recv(&server, 100, 0), 80);
    let records = probe.drain_at_least(8);
    let payloads: Vec<_> = records.iter().map(|record| told(record).3).collect();
    assert_eq!(payloads[..4], ["one two three"; 4]);
    assert_eq!(payloads[4..6], ["flat"; 2]);
    assert_eq!((told(&records[6]).2, &payloads[6]), (80, &"ab".repeat(32)), "32 segments of a call are looked at");
    assert_eq!(payloads[7], "ab".repeat(40));
    assert_eq!(probe.counters(8).missed, 0);
}

#[test]
fn peeked_bytes_are_not_told_twice_needs_root() {
    needs_root!();
    let (mut client, server, mut probe) = pair();
    client.write_all(b"peek").unwrap();
    assert_eq!(server.peek(&mut [0; 9]).unwrap(), 4);
    assert_eq!(calls::recv(&server, 1, libc::MSG_PEEK), 1);
    assert_eq!(calls::recv(&server, 9, 0), 4);
    let records = probe.drain_at_least(2);
    assert_eq!(records.len(), 2);
    assert_eq!(told(&records[1]), (SERVER, RECEIVED, 4, "peek".into()));
}

#[test]
fn short_reads_have_each_their_bytes_and_their_place_needs_root() {
    needs_root!();
    let (mut client, server, mut probe) = pair();
    client.write_all(b"abcdefghij").unwrap();
    for length in [3, 3, 100] {
        calls::recv(&server, length, 0);
    }
    let records = probe.drain_at_least(4);
    let first = records[0].number("sequence");
    let read: Vec<_> = records[1..].iter().map(|record| (record.number("sequence") - first, told(record).3)).collect();
    assert_eq!(read, [(0, "abc".into()), (3, "def".into()), (6, "ghij".into())]);
}

#[test]
fn the_last_bytes_have_their_place_though_the_end_was_read_with_them_needs_root() {
    needs_root!();
    let (mut client, mut server, mut probe) = pair();
    client.write_all(b"last words").unwrap();
    drop(client);
    // Not by one recv: by a function that reads until the end.
    let mut all = Vec::new();
    std::thread::sleep(std::time::Duration::from_millis(20));
    server.read_to_end(&mut all).unwrap();
    // The sent record, the received record, and the end of the side that closed, which may come first.
    let records = probe.drain_at_least(3);
    let received = records.iter().find(|record| told(record).1 == RECEIVED && record.number("kind") == 0).unwrap();
    assert_eq!((received.number("sequence"), all.len()), (records[0].number("sequence"), 10));
}

#[test]
fn sendfile_is_told_by_its_size_needs_root() {
    needs_root!();
    let (client, mut server, mut probe) = pair();
    assert_eq!(calls::sendfile(&client, 5000), 5000);
    exact(&mut server, 5000);
    let records = probe.drain_at_least(2);
    let sent: Vec<_> = records.iter().filter(|record| record.number("direction") == SENT).collect();
    assert_eq!(sent.iter().map(|record| record.number("total")).sum::<i64>(), 5000);
    assert!(sent.iter().all(|record| record.number("flags") == NO_PAYLOAD && record.bytes("payload").is_empty()));
    let records: Vec<_> = records.iter().filter(|record| record.number("direction") == RECEIVED).collect();
    assert_eq!(records[0].bytes("payload").len(), 256, "what was received is read as ever");
}

#[test]
fn a_connection_older_than_the_probe_is_told_without_a_role_needs_root() {
    needs_root!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut client, mut server) = connect(&listener, address);
    client.write_all(b"before").unwrap();
    let mut probe = start("l7", &options(address.port()));
    exact(&mut server, 6);
    server.write_all(b"after").unwrap();
    drop(server);
    drop(client);
    let records = probe.drain_at_least(3);
    assert_eq!(told(&records[0]), (0, RECEIVED, 6, "before".into()));
    assert_eq!(told(&records[1]), (0, SENT, 5, "after".into()));
    assert_eq!(ends(&records), 1, "an end that has said nothing has no end");
    assert_eq!(records[2].number("connection"), records[0].number("connection"));
}

#[test]
fn after_a_handshake_of_tls_the_ciphertext_is_silent_needs_root() {
    needs_root!();
    let (mut client, mut server, mut probe) = pair();
    client.write_all(b"\x16\x03\x01\x00\x05hello").unwrap();
    exact(&mut server, 10);
    for _ in 0..3 {
        client.write_all(b"\x17\x03\x03\x00\x02..").unwrap();
        exact(&mut server, 7);
    }
    drop(client);
    drop(server);
    let records = probe.drain_at_least(4);
    let kinds: Vec<_> = records.iter().map(|record| record.number("kind")).collect();
    assert_eq!(kinds, [0, 0, 1, 1], "the handshake at both ends, and both ends");
}

#[test]
fn tls_that_begins_later_is_found_by_its_hello_needs_root() {
    needs_root!();
    let (mut client, mut server, mut probe) = pair();
    client.write_all(b"STARTTLS").unwrap();
    exact(&mut server, 8);
    // Three matching bytes are not enough in the middle of a conversation.
    client.write_all(b"\x16\x03\x01 no").unwrap();
    exact(&mut server, 6);
    let hello = b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03";
    client.write_all(hello).unwrap();
    exact(&mut server, 5);
    exact(&mut server, 6);
    client.write_all(b"secret").unwrap();
    exact(&mut server, 6);
    let records = probe.drain_at_least(6);
    assert_eq!(records.len(), 6, "{:?}", records.iter().map(told).collect::<Vec<_>>());
    assert_eq!(told(&records[5]).2, 5, "the header alone is enough");
}

#[test]
fn what_was_sent_before_a_reset_is_told_before_the_end_needs_root() {
    needs_root!();
    let (mut client, mut server, mut probe) = pair();
    client.write_all(b"unread").unwrap();
    server.write_all(b"reply").unwrap();
    // The server closes with unread data: that is a reset.
    drop(server);
    std::thread::sleep(std::time::Duration::from_millis(20));
    exact(&mut client, 5);
    let records = probe.drain_at_least(5);
    let at_client: Vec<_> = records.iter().filter(|record| record.number("role") == CLIENT).collect();
    let kinds: Vec<_> = at_client.iter().map(|record| (record.number("kind"), record.number("direction"))).collect();
    assert_eq!(kinds[..2], [(0, SENT), (0, RECEIVED)]);
    assert_eq!((kinds.len(), kinds[2].0), (3, 1));
}

#[test]
fn a_socket_that_is_connected_again_is_another_connection_needs_root() {
    needs_root!();
    let (listener, address, mut probe) = listen("127.0.0.1:0");
    let socket = calls::Socket::tcp();
    for word in [b"first", b"again"] {
        socket.connect(address);
        let (mut server, _) = listener.accept().unwrap();
        assert_eq!(calls::send(&socket, word, 0), 5);
        exact(&mut server, 5);
        drop(server);
        socket.disconnect();
    }
    let records = probe.drain_at_least(8);
    let sent: Vec<_> = records.iter().filter(|record| told(record).1 == SENT && record.number("kind") == 0).collect();
    assert_eq!(
        sent.iter().map(|record| told(record)).map(|it| (it.0, it.3)).collect::<Vec<_>>(),
        [(CLIENT, "first".into()), (CLIENT, "again".into())]
    );
    assert_ne!(sent[0].number("connection"), sent[1].number("connection"));
}
