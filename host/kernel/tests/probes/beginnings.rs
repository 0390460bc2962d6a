//! A record says whether its bytes are the first of their direction, if the start of the connection was seen.

use std::io::Write;
use std::net::TcpListener;

use host_kernel::LoadOptions;

use crate::calls;
use crate::choice::{verdict, without};
use crate::l7::{CLIENT, RECEIVED, SENT, SERVER, connect, exact, options};
use crate::reading::{Probe, Record, start};

/// The flag `L7_LATER`.
const LATER: i64 = 8;

/// The probe with each set of hooks that this kernel has.
const KINDS: [fn(u16) -> Probe; 3] = [
    |port| start("l7", &options(port)),
    |port| without(&["sock_send_length", "inet_sendmsg"], port),
    |port| start("l7", &LoadOptions { plain: true, ..options(port) }),
];

/// Returns direction and `later` flag of each record of one end, in order.
fn later(records: &[Record], role: i64) -> Vec<(i64, bool)> {
    let these = records.iter().filter(|record| record.number("role") == role && record.number("kind") == 0);
    these.map(|record| (record.number("direction"), record.number("flags") & LATER != 0)).collect()
}

#[test]
fn all_but_the_first_bytes_of_a_direction_are_later_needs_root() {
    needs_root!();
    for kind in KINDS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut probe = kind(listener.local_addr().unwrap().port());
        let (mut client, mut server) = connect(&listener, listener.local_addr().unwrap());
        for _ in 0..2 {
            client.write_all(b"question").unwrap();
            exact(&mut server, 8);
            server.write_all(b"answer").unwrap();
            exact(&mut client, 6);
        }
        let records = probe.drain_at_least(8);
        let expected = |first: i64, second: i64| [(first, false), (second, false), (first, true), (second, true)];
        assert_eq!(later(&records, CLIENT), expected(SENT, RECEIVED), "{:?}", probe.loaded.hooks());
        assert_eq!(later(&records, SERVER), expected(RECEIVED, SENT));
    }
}

#[test]
fn what_was_moved_without_a_record_is_not_forgotten_needs_root() {
    needs_root!();
    for kind in KINDS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut probe = kind(listener.local_addr().unwrap().port());
        let (mut client, mut server) = connect(&listener, listener.local_addr().unwrap());
        server.write_all(b"first answer").unwrap();
        assert_eq!(calls::splice(&client, 100), 12);
        server.write_all(b"second").unwrap();
        exact(&mut client, 6);
        // After an ignore verdict the first bytes are unknown, too.
        client.write_all(b"first question").unwrap();
        let records = probe.drain_at_least(4);
        let received = later(&records, CLIENT);
        assert_eq!(received.last(), Some(&(SENT, false)));
        assert_eq!(received[received.len() - 2], (RECEIVED, true), "{:?}", probe.loaded.hooks());
        exact(&mut server, 14);
    }
}

#[test]
fn what_nobody_wanted_came_before_all_the_same_needs_root() {
    needs_root!();
    for kind in KINDS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut probe = kind(listener.local_addr().unwrap().port());
        let (mut client, mut server) = connect(&listener, listener.local_addr().unwrap());
        client.write_all(b"question").unwrap();
        let records = probe.drain_at_least(1);
        verdict(&probe, records[0].number("connection"), 1, 0);
        server.write_all(b"unheard").unwrap();
        exact(&mut client, 7);
        verdict(&probe, records[0].number("connection"), 2, 0);
        let settings: Vec<u8> = [100_u32, 1].iter().flat_map(|word| word.to_ne_bytes()).collect();
        probe.loaded.maps().update(".data.l7", &0_u32.to_ne_bytes(), &settings).unwrap();
        probe.drain();
        server.write_all(b"heard").unwrap();
        exact(&mut client, 5);
        let records = probe.drain_at_least(2);
        assert_eq!(later(&records, CLIENT), [(RECEIVED, true)], "{:?}", probe.loaded.hooks());
    }
}

#[test]
fn of_a_connection_older_than_the_probe_nothing_is_said_needs_root() {
    needs_root!();
    for kind in KINDS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut client, mut server) = connect(&listener, listener.local_addr().unwrap());
        client.write_all(b"before").unwrap();
        exact(&mut server, 6);
        let mut probe = kind(listener.local_addr().unwrap().port());
        for _ in 0..2 {
            client.write_all(b"after").unwrap();
            exact(&mut server, 5);
        }
        let records = probe.drain_at_least(4);
        assert_eq!(later(&records, 0).iter().filter(|(_, later)| *later).count(), 0, "{:?}", probe.loaded.hooks());
    }
}
