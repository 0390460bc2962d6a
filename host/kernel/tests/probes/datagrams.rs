//! Payload of datagrams: their owners, and their order within one call.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;

use crate::calls;
use crate::l7::{CLIENT, RECEIVED, SENT, SERVER, options, told};
use crate::reading::start;

#[test]
fn datagrams_are_told_with_their_addresses_needs_root() {
    needs_root!();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let mut probe = start("l7", &options(address.port()));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(address).unwrap();
    client.send(b"query").unwrap();
    let (_, from) = server.recv_from(&mut [0; 100]).unwrap();
    server.send_to(b"reply", from).unwrap();
    client.recv(&mut [0; 100]).unwrap();
    let records = probe.drain_at_least(4);
    let all: Vec<_> = records.iter().map(told).collect();
    assert_eq!(all[0], (CLIENT, SENT, 5, "query".into()));
    assert_eq!(all[1], (SERVER, RECEIVED, 5, "query".into()));
    assert_eq!(all[2], (SERVER, SENT, 5, "reply".into()));
    assert_eq!(all[3], (CLIENT, RECEIVED, 5, "reply".into()));
    let ports: Vec<_> = records.iter().map(|record| (record.number("local_port"), record.number("remote_port"))).collect();
    let (here, there) = (i64::from(from.port()), i64::from(address.port()));
    assert_eq!(ports, [(here, there), (there, 0), (there, here), (here, there)], "whence a datagram comes is known too late");
    assert!(records.iter().all(|record| (record.number("transport"), record.number("sequence")) == (17, 0)));
    assert_eq!(records[2].bytes("remote_address")[..4], Ipv4Addr::LOCALHOST.octets());
}

#[test]
fn an_unconnected_client_of_a_port_is_told_with_its_answers_needs_root() {
    needs_root!();
    let server = UdpSocket::bind("[::1]:0").unwrap();
    let address = server.local_addr().unwrap();
    let mut probe = start("l7", &options(address.port()));
    let client = UdpSocket::bind("[::1]:0").unwrap();
    client.send_to(b"query", address).unwrap();
    let (_, from) = server.recv_from(&mut [0; 100]).unwrap();
    server.send_to(b"reply", from).unwrap();
    client.recv_from(&mut [0; 100]).unwrap();
    let records = probe.drain_at_least(4);
    assert_eq!(records.iter().map(|record| told(record).3).collect::<Vec<_>>(), ["query", "query", "reply", "reply"]);
    assert_eq!((records[0].number("remote_port"), records[0].number("family")), (i64::from(address.port()), 10));
    assert_eq!(records[0].bytes("remote_address"), Ipv6Addr::LOCALHOST.octets());
}

#[test]
fn each_message_of_a_vector_is_the_right_one_needs_root() {
    needs_root!();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut probe = start("l7", &options(server.local_addr().unwrap().port()));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    // The same vector again and again, like resolvers use it; one has an empty message.
    for words in [["a?", "aaaa"], ["aa", "bb"], ["aa", "bb"], ["", "cc"], ["dd", ""], ["ee", "ff"]] {
        assert_eq!(calls::sendmmsg(client.as_raw_fd(), &words), 2);
        assert_eq!(calls::recvmmsg(server.as_raw_fd(), 2), 2);
    }
    // A vector that ends early: the socket has no more datagrams.
    calls::sendmmsg(client.as_raw_fd(), &["gg"]);
    assert_eq!(calls::recvmmsg(server.as_raw_fd(), 2), 1);
    calls::sendmmsg(client.as_raw_fd(), &["hh", "ii"]);
    assert_eq!(calls::recvmmsg(server.as_raw_fd(), 2), 2);
    let records = probe.drain_at_least(26);
    let expected = ["a?", "aaaa", "aa", "bb", "aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii"];
    for direction in [SENT, RECEIVED] {
        let these = records.iter().filter(|record| record.number("direction") == direction);
        assert_eq!(these.map(|record| told(record).3).collect::<Vec<_>>(), expected);
    }
    assert_eq!(probe.counters(26).missed, 0);
}
