//! The selection of captured payload: ports, filters, plans, verdicts and sizes; and the hooks.

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;

use host_kernel::{LoadOptions, catalog};
use host_model::{Filter, KernelPlan, NEVER, Rule, Subject, Threshold};

use crate::calls;
use crate::l7::{CLIENT, RECEIVED, SENT, SERVER, connect, ends, exact, listen, options, pair, told};
use crate::reading::{Probe, start};

#[test]
fn no_more_is_captured_than_was_asked_for_needs_root() {
    needs_root!();
    let (listener, address, mut probe) = listen("127.0.0.1:0");
    let mut small = start("l7", &LoadOptions { capture_bytes: Some(10), ..options(address.port()) });
    let mut large = start("l7", &LoadOptions { capture_bytes: Some(4096), ..options(address.port()) });
    let (mut client, mut server) = connect(&listener, address);
    let bytes: Vec<u8> = (0..10_000_u32).map(|at| (at % 251) as u8).collect();
    client.write_all(&bytes).unwrap();
    exact(&mut server, 10_000);
    calls::writev(&client, &[&bytes[..4000], &bytes[4000..6000]]);
    exact(&mut server, 6000);
    for (probe, captured) in [(&mut small, 10), (&mut probe, 256), (&mut large, 4096)] {
        let records = probe.drain_at_least(4);
        let sent: Vec<_> = records.iter().filter(|record| record.number("direction") == SENT).collect();
        assert_eq!(sent.iter().map(|record| record.number("total")).sum::<i64>(), 16_000);
        for record in &records {
            let payload = record.bytes("payload");
            assert_eq!(payload.len(), captured.min(record.number("total") as usize));
        }
        assert!(sent.iter().all(|record| record.bytes("payload") == &bytes[..captured]));
    }
}

#[test]
fn only_connections_of_the_ports_asked_for_are_told_needs_root() {
    needs_root!();
    let (listener, address, mut probe) = listen("127.0.0.1:0");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut unwanted, _server) = connect(&other, other.local_addr().unwrap());
    let (mut client, _served) = connect(&listener, address);
    for _ in 0..10 {
        unwanted.write_all(b"nobody asked").unwrap();
    }
    client.write_all(b"asked").unwrap();
    let records = probe.drain_at_least(1);
    assert_eq!((records.len(), told(&records[0]).3), (1, "asked".into()));
    assert!(probe.counters(1).filtered >= 10);
}

/// `struct l7_verdict`.
pub(crate) fn verdict(probe: &Probe, connection: i64, verdict: u32, capture_bytes: u32) {
    let value: Vec<u8> = [verdict, capture_bytes].iter().flat_map(|word| word.to_ne_bytes()).collect();
    probe.loaded.maps().update("l7_verdicts", &connection.to_ne_bytes(), &value).unwrap();
}

#[test]
fn what_is_ignored_is_silent_and_what_is_wanted_has_its_size_needs_root() {
    needs_root!();
    let (mut client, mut server, mut probe) = pair();
    client.write_all(&[b'x'; 1000]).unwrap();
    exact(&mut server, 1000);
    let records = probe.drain_at_least(2);
    assert_eq!(records[0].bytes("payload").len(), 256);
    let (at_client, at_server) = (records[0].number("connection"), records[1].number("connection"));
    verdict(&probe, at_client, 1, 0);
    verdict(&probe, at_server, 2, 700);
    client.write_all(&[b'y'; 1000]).unwrap();
    exact(&mut server, 1000);
    let records = probe.drain_at_least(1);
    assert_eq!((records.len(), records[0].number("connection")), (1, at_server));
    assert_eq!(records[0].bytes("payload"), [b'y'; 700]);
    // A changed verdict needs a new epoch.
    verdict(&probe, at_client, 2, 0);
    client.write_all(b"unheard").unwrap();
    exact(&mut server, 7);
    assert_eq!(probe.drain_at_least(1).len(), 1);
    let settings: Vec<u8> = [100_u32, 1].iter().flat_map(|word| word.to_ne_bytes()).collect();
    probe.loaded.maps().update(".data.l7", &0_u32.to_ne_bytes(), &settings).unwrap();
    client.write_all(&[b'z'; 1000]).unwrap();
    let records = probe.drain_at_least(1);
    assert_eq!((records.len(), records[0].bytes("payload").len()), (1, 100));
}

#[test]
fn a_plan_silences_a_process_as_a_whole_or_not_at_all_needs_root() {
    needs_root!();
    let (mut client, mut server, mut probe) = pair();
    let rule = |threshold| Rule { subject: Subject::Pid(std::process::id()), threshold };
    let plan = |threshold| KernelPlan { rules: vec![rule(threshold)], ..KernelPlan::default() };
    probe.source.apply(&plan(NEVER)).unwrap();
    client.write_all(b"silent").unwrap();
    exact(&mut server, 6);
    probe.source.apply(&plan(Threshold::ALWAYS)).unwrap();
    client.write_all(b"heard").unwrap();
    let records = probe.drain_at_least(1);
    assert_eq!((records.len(), told(&records[0]).3), (1, "heard".into()));
    let refused = probe.source.apply(&plan(Threshold::from_ratio(0.5))).unwrap_err().to_string();
    assert!(refused.contains("as a whole"), "{refused}");
}

#[test]
fn filters_are_about_the_process_that_calls_needs_root() {
    needs_root!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let filtered = |filter| start("l7", &LoadOptions { filter, ..options(address.port()) });
    let comm = std::fs::read_to_string("/proc/self/comm").unwrap().trim().to_owned();
    let mut ours = filtered(Filter { pid: Some(std::process::id()), comm: Some(comm), cgroup: None });
    let mut others = filtered(Filter { comm: Some("nobody".into()), ..Filter::default() });
    let mut excluded = start("l7", &LoadOptions { exclude_pid: Some(std::process::id()), ..options(address.port()) });
    let (mut client, _server) = connect(&listener, address);
    client.write_all(b"word").unwrap();
    assert_eq!(ours.drain_at_least(1).len(), 1);
    assert_eq!((others.drain().len(), excluded.drain().len()), (0, 0));
}

/// Loads the probe with nonexistent hooks in place of these.
pub(crate) fn without(hooks: &[&str], port: u16) -> Probe {
    let mut object = catalog::find("l7").unwrap().object.to_vec();
    for hook in hooks {
        let named = format!("{hook}\0").into_bytes();
        let places: Vec<usize> = (0..object.len() - named.len()).filter(|&at| object[at..].starts_with(&named)).collect();
        places.into_iter().for_each(|at| object[at] = b'x');
    }
    let mut loaded = host_kernel::load("l7", &object, &options(port)).unwrap();
    loaded.attach().unwrap();
    let source = loaded.source().unwrap();
    Probe { loaded, source }
}

#[test]
fn where_the_hooks_are_missing_all_system_calls_are_watched_with_the_same_result_needs_root() {
    needs_root!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut probe = without(&["sock_send_length", "inet_sendmsg"], address.port());
    assert_eq!(probe.loaded.hooks()[..2], ["tp_btf/inet_sock_set_state", "tp_btf/sys_exit"]);
    assert!(probe.loaded.passed_over()[0].contains("xock_send_length: this kernel has no such hook"));
    let (mut client, mut server) = connect(&listener, address);
    client.write_all(b"question").unwrap();
    assert_eq!(server.peek(&mut [0; 9]).unwrap(), 8);
    exact(&mut server, 8);
    assert_eq!(calls::writev(&server, &[b"ans", b"wer"]), 6);
    assert_eq!(calls::recvmsg(&client, &[1, 10]), 6);
    drop(client);
    drop(server);
    let records = probe.drain_at_least(6);
    let data: Vec<_> = records.iter().take(4).map(told).collect();
    assert_eq!(data[0], (CLIENT, SENT, 8, "question".into()));
    assert_eq!(data[1], (SERVER, RECEIVED, 8, "question".into()));
    assert_eq!(data[2], (SERVER, SENT, 6, "answer".into()));
    assert_eq!(data[3], (CLIENT, RECEIVED, 6, "answer".into()));
    assert_eq!((records.len(), ends(&records)), (6, 2));
    assert_eq!(records[0].number("sequence"), records[1].number("sequence"));
    assert_eq!(records[2].number("sequence"), records[3].number("sequence"));
    let resolver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut probe = without(&["sock_send_length", "inet_sendmsg"], resolver.local_addr().unwrap().port());
    let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
    asker.connect(resolver.local_addr().unwrap()).unwrap();
    assert_eq!(calls::sendmmsg(asker.as_raw_fd(), &["a?", "aaaa"]), 2);
    let records = probe.drain_at_least(2);
    assert_eq!(records.iter().map(|record| told(record).3).collect::<Vec<_>>(), ["a?", "aaaa"]);
}
