//! Records of many connections through the router: their lanes, the verdicts in the kernel, the counters.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first wrong answer")]

mod budget;
mod hands;
mod lanes;
mod mistakes;
mod rig;
mod steps;

use std::time::Duration;

use host_model::{Opinion, Sender, UnknownPort};
use rig::{
    CLIENT, END, PEER_LOCAL, RECEIVED, Record, SENT, SERVER, TLS, capturing, end, pinned, received, rig, sent, signature, talk,
    until,
};

fn said(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
    lines.iter().map(|&(connection, text)| (connection, text.to_owned())).collect()
}

#[test]
fn a_certain_signature_decides_and_all_that_follows_goes_the_same_way() {
    let mut rig = rig(vec![talk("ping", b"PING"), talk("get", b"GET ")]);
    rig.wire.push([sent(1, b"PING 1"), sent(2, b"GET /"), received(1, b"PONG"), sent(1, b"anything")]);
    rig.settle(4);
    assert_eq!(rig.lane(0), said(&[(1, "PING 1"), (1, "PONG"), (1, "anything")]));
    assert_eq!(rig.lane(1), said(&[(2, "GET /")]));
    let ledger = rig.router.stop();
    assert_eq!((ledger.received, ledger.routed, ledger.unrouted, ledger.held), (4, 4, 0, 0));
}

#[test]
fn a_pinned_port_goes_before_every_signature() {
    let mut rig = pinned(vec![talk("ping", b"PING"), talk("get", b"GET ")], &[(9000, "get"), (9001, "nobody")]);
    rig.wire.push([sent(1, b"PING"), Record { remote: 9001, ..sent(2, b"PING") }]);
    rig.settle(2);
    assert_eq!(rig.lane(1), said(&[(1, "PING")]));
    assert_eq!(rig.lane(0), said(&[(2, "PING")]), "a pin to a protocol that is not there says nothing");
}

#[test]
fn who_speaks_on_its_usual_port_is_meant_if_two_are_certain() {
    let mut rig = rig(vec![talk("a", b"GET "), talk("b", b"GET ").at_ports(&[9000])]);
    rig.wire.push([sent(1, b"GET x"), Record { remote: 80, ..sent(2, b"GET y") }]);
    rig.settle(2);
    assert_eq!((rig.lane(0), rig.lane(1)), (said(&[(2, "GET y")]), said(&[(1, "GET x")])));
}

#[test]
fn a_signature_of_the_server_is_not_looked_for_in_what_a_client_sends() {
    let mut rig = rig(vec![talk("greets", b"").signed(signature(Sender::Server, b"HELLO", true))]);
    rig.wire.push([sent(1, b"HELLO"), sent(2, b"x"), received(2, b"HELLO")]);
    rig.settle(3);
    assert_eq!(rig.lane(0), said(&[(2, "x"), (2, "HELLO")]), "what came before is not lost");
    assert_eq!(rig.router.account(Duration::from_secs(20)).ledger.held, 1);
}

#[test]
fn first_bytes_that_come_in_pieces_are_recognised() {
    let mut rig = rig(vec![talk("get", b"GET ")]);
    rig.wire.push([sent(1, b"G"), sent(1, b"ET"), sent(1, b" /")]);
    rig.settle(3);
    assert_eq!(rig.lane(0).len(), 3);
}

#[test]
fn whoever_is_likely_is_asked_first_then_who_is_at_home_then_the_rest() {
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let asked = |name: &'static str, opinion: Opinion| {
        let order = std::sync::Arc::clone(&order);
        talk(name, b"").asked(move |_| {
            order.lock().unwrap().push(name);
            opinion
        })
    };
    let rest = asked("rest", Opinion::Yes);
    let home = asked("home", Opinion::No).at_ports(&[9000]);
    let likely = asked("likely", Opinion::No).signed(signature(Sender::Either, b"A", false));
    let mut rig = rig(vec![rest, home, likely]);
    rig.wire.push([sent(1, b"ABC")]);
    rig.settle(1);
    assert_eq!(*order.lock().unwrap(), ["likely", "home", "rest"]);
    assert_eq!(rig.lane(0), said(&[(1, "ABC")]));
}

#[test]
fn whoever_is_asked_is_told_the_port_and_who_sent_it() {
    let talk = talk("x", b"");
    let asked = std::sync::Arc::clone(&talk.asked);
    let rig = rig(vec![talk]);
    let unknown = Record { role: 0, ..sent(3, b"c") };
    rig.wire.push([sent(1, b"a"), Record { local: 80, remote: 5000, role: SERVER, ..sent(2, b"b") }, unknown]);
    rig.settle(3);
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked, [(9000, 1, b"a".to_vec()), (80, 2, b"b".to_vec()), (0, 0, b"c".to_vec())]);
}

#[test]
fn who_cannot_tell_is_asked_again_when_more_has_come() {
    let mut rig = rig(vec![talk("x", b"").asked(|payload| match payload {
        [b'a', b'b', ..] => Opinion::Yes,
        _ => Opinion::Unsure,
    })]);
    rig.wire.push([sent(1, b"a")]);
    rig.settle(1);
    assert!(rig.lane(0).is_empty());
    rig.wire.push([sent(1, b"b")]);
    rig.settle(2);
    assert_eq!(rig.lane(0), said(&[(1, "a"), (1, "b")]));
}

#[test]
fn what_nobody_knows_is_counted_by_port_and_the_kernel_is_told() {
    let mut rig = rig(vec![talk("get", b"GET ")]);
    rig.wire.push((0..8).map(|_| sent(1, b"?")).chain([sent(2, b"?")]));
    rig.settle(9);
    let account = rig.router.account(Duration::from_secs(20));
    assert_eq!((account.ledger.unrouted, account.ledger.held, account.connections), (8, 1, 2));
    assert_eq!(account.unknown_ports, [UnknownPort { transport: 6, port: 9000, connections: 1, records: 8 }]);
    assert_eq!((rig.maps.verdict(1), rig.maps.verdict(2)), (Some((1, 0)), None));
    rig.wire.push([sent(1, b"GET /")]);
    rig.settle(10);
    assert!(rig.lane(0).is_empty(), "it was given up");
    assert_eq!(rig.router.account(Duration::from_secs(20)).unknown_ports[0].records, 9);
    let ledger = rig.router.stop();
    assert_eq!((ledger.unrouted, ledger.held), (10, 0), "what was undecided is unknown at the end");
}

#[test]
fn a_short_connection_that_nobody_knows_is_forgotten_when_it_ends() {
    let rig = rig(vec![talk("get", b"GET ")]);
    rig.wire.push([sent(1, b"?"), end(1), end(2)]);
    rig.wire.push_scrap();
    rig.settle(4);
    let account = rig.router.account(Duration::from_secs(20));
    assert_eq!((account.connections, account.ledger.unrouted), (0, 4));
    assert_eq!(account.unknown_ports[0].connections, 1);
}

#[test]
fn the_role_is_found_where_the_kernel_does_not_know_it() {
    let serves = talk("serves", b"").signed(signature(Sender::Server, b"HELLO", true));
    let mut rig = rig(vec![serves, talk("home", b"HOME").at_ports(&[9000]), talk("far", b"FAR")]);
    let unknown = |connection, payload| Record { role: 0, ..sent(connection, payload) };
    rig.wire.push([unknown(1, b"HELLO"), unknown(2, b"HOME"), Record { local: 70, ..unknown(3, b"FAR") }]);
    rig.wire.push([Record { role: 0, ..received(1, b"x") }]);
    rig.settle(4);
    let roles = |records: Vec<Record>| records.into_iter().filter(|record| record.kind == 0).map(|record| record.role);
    assert_eq!(roles(rig.records(0)).collect::<Vec<_>>(), [SERVER, SERVER], "the server's signature in what was sent");
    assert_eq!(roles(rig.records(1)).collect::<Vec<_>>(), [CLIENT], "the usual port is the remote one");
    assert_eq!(roles(rig.records(2)).collect::<Vec<_>>(), [SERVER], "the lower port is the server's");
}

#[test]
fn both_ends_on_this_node_know_of_each_other() {
    let mut rig = rig(vec![talk("get", b"GET ")]);
    let server = Record { local: 9000, remote: 40_001, role: SERVER, direction: RECEIVED, ..sent(2, b"GET /") };
    rig.wire.push([sent(1, b"GET /"), server, received(1, b"200"), sent(3, b"GET /")]);
    rig.settle(4);
    let flags: Vec<_> = rig.records(0).into_iter().map(|record| (record.connection, record.flags)).collect();
    assert_eq!(flags, [(1, 0), (2, PEER_LOCAL), (1, PEER_LOCAL), (3, 0)]);
}

#[test]
fn plaintext_and_ciphertext_of_a_connection_are_two_conversations() {
    let mut rig = rig(vec![talk("get", b"GET ")]);
    let plain = |payload: &[u8]| Record { flags: TLS, ..sent(1, payload) };
    rig.wire.push((0..8).map(|_| sent(1, b"\x17\x03")).chain([plain(b"GET /")]));
    rig.settle(9);
    assert_eq!(rig.lane(0), said(&[(1, "GET /")]));
    assert_eq!((rig.maps.verdict(1), rig.maps.verdict(1 | 1 << 63)), (Some((1, 0)), None));
    rig.wire.push([end(1)]);
    rig.settle(10);
    let ends: Vec<_> =
        rig.records(0).into_iter().filter(|record| record.kind == END).map(|record| record.flags & TLS).collect();
    assert_eq!(ends, [TLS], "the end of the socket is the end of both");
}

#[test]
fn a_protocol_says_how_much_of_each_call_it_wants() {
    let mut much = talk("much", b"MUCH");
    much.description.capture_bytes = 1024;
    let rig = rig(vec![much, talk("usual", b"USUAL")]);
    rig.wire.push([sent(1, b"MUCH"), sent(2, b"USUAL"), sent(2, b"x")]);
    rig.settle(3);
    assert_eq!((rig.maps.verdict(1), rig.maps.verdict(2)), (Some((2, 1024)), None));
    rig.wire.push((0..8).map(|_| Record { direction: SENT, ..sent(2, b"more") }));
    until("the kernel is told that it need not ask", || rig.maps.verdict(2) == Some((2, 256)));
}

#[test]
fn the_operator_gets_more_of_each_call_than_its_protocol_asks_for_but_not_less() {
    let (mut much, mut little) = (talk("much", b"MUCH"), talk("little", b"LITTLE"));
    (much.description.capture_bytes, little.description.capture_bytes) = (1024, 512);
    let rig = capturing(600, vec![much, little]);
    rig.wire.push([sent(1, b"MUCH"), sent(2, b"LITTLE")]);
    rig.settle(2);
    assert_eq!((rig.maps.verdict(1), rig.maps.verdict(2)), (Some((2, 1024)), Some((2, 600))));
}
