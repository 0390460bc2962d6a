//! Heads of messages are captured whole, and bodies as usual, on every set of hooks.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use host_kernel::LoadOptions;

use crate::calls;
use crate::choice::without;
use crate::l7::{RECEIVED, SENT, connect, exact, options};
use crate::reading::{Probe, start};

/// Maximum number of captured bytes of a call.
const MOST: usize = 16 << 10;
/// Number of captured bytes of any other call, by default.
const USUAL: usize = 256;
/// Number of bytes after a long head that are captured with it.
const BEHIND: usize = 256;

/// Returns a request whose head has this many bytes.
fn request(bytes: usize) -> Vec<u8> {
    head("GET /orders HTTP/1.1\r\nAuthorization: Bearer ", bytes)
}

fn head(begin: &str, bytes: usize) -> Vec<u8> {
    const END: &str = "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
    let filled = bytes - begin.len() - END.len();
    [begin.as_bytes(), &vec![b'a'; filled], END.as_bytes()].concat()
}

/// Runs a test with two ends of a connection and a probe, for each set of hooks that this kernel has.
fn through_every_hook(test: impl Fn(&mut TcpStream, &mut TcpStream, &mut Probe)) {
    needs_root!();
    let kinds: [fn(u16) -> Probe; 3] = [
        |port| start("l7", &options(port)),
        |port| without(&["sock_send_length", "inet_sendmsg"], port),
        |port| start("l7", &LoadOptions { plain: true, ..options(port) }),
    ];
    for kind in kinds {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut probe = kind(listener.local_addr().unwrap().port());
        let (mut client, mut server) = connect(&listener, listener.local_addr().unwrap());
        test(&mut client, &mut server, &mut probe);
    }
}

/// The payloads of one direction.
fn payloads(probe: &mut Probe, direction: i64, calls: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for _ in 0..20 {
        let records = probe.drain_at_least(1);
        let these = records.iter().filter(|record| record.number("direction") == direction && record.number("kind") == 0);
        found.extend(these.map(|record| record.bytes("payload").to_vec()));
        if found.len() >= calls {
            break;
        }
    }
    found
}

#[test]
fn a_head_is_captured_whole_at_both_ends_needs_root() {
    through_every_hook(|client, server, probe| {
        for bytes in [300, 513, 4096, 4097, 9000, MOST] {
            let head = request(bytes);
            client.write_all(&head).unwrap();
            exact(server, bytes);
            let records = probe.drain_at_least(2);
            let whole = records.iter().filter(|record| record.bytes("payload") == head).count();
            assert_eq!((records.len(), whole), (2, 2), "{bytes} bytes, {:?}", probe.loaded.hooks());
        }
        let head = request(MOST + 5000);
        client.write_all(&head).unwrap();
        exact(server, head.len());
        let records = probe.drain_at_least(2);
        assert_eq!(records[0].bytes("payload"), &head[..MOST], "that is the most");
        client.write_all(&[b'x'; 5000]).unwrap();
        exact(server, 5000);
        assert_eq!(payloads(probe, RECEIVED, 1)[0].len(), USUAL, "it is given up, not gone on with");
    });
}

#[test]
fn a_body_is_captured_as_ever_needs_root() {
    through_every_hook(|client, server, probe| {
        let body = [b'b'; 20_000];
        for bytes in [100, 255, 256, 257, 3000] {
            let head = head("HTTP/1.1 200 OK\r\nSet-Cookie: ", bytes.max(150));
            let answer = [head.as_slice(), &body].concat();
            server.write_all(&answer).unwrap();
            exact(client, answer.len());
            let captured = payloads(probe, SENT, 1).concat();
            // Four bytes after a head show whether a request follows.
            let most = if head.len() + 4 <= USUAL { USUAL } else { head.len() + BEHIND };
            assert!(captured.len() >= head.len() && captured.len() <= most, "{} of {}", captured.len(), head.len());
            server.write_all(&body).unwrap();
            exact(client, body.len());
            let captured = payloads(probe, SENT, 1);
            assert!(captured.iter().all(|captured| captured.len() == USUAL), "what follows is no head");
        }
    });
}

#[test]
fn a_head_in_many_calls_is_captured_to_its_end_needs_root() {
    through_every_hook(|client, server, probe| {
        let head = request(6000);
        // Parts of a thousand bytes; parts that are captured anyway; and the end of the head in two calls, split at each position.
        let parts = [vec![1000; 6], vec![100; 60]].into_iter().chain((1..5).map(|behind| vec![700, 5300 - behind, behind]));
        for parts in parts {
            let mut at = 0;
            for part in &parts {
                client.write_all(&head[at..at + part]).unwrap();
                exact(server, *part);
                at += part;
            }
            client.write_all(&[b'b'; 2000]).unwrap();
            exact(server, 2000);
            let captured = payloads(probe, RECEIVED, parts.len() + 1);
            assert_eq!(captured.len(), parts.len() + 1);
            let (body, heads) = captured.split_last().unwrap();
            assert!(heads.concat() == head, "{parts:?}");
            assert_eq!(body.len(), USUAL, "{parts:?}: its end was seen");
        }
    });
}

#[test]
fn requests_in_a_pipeline_are_all_heads_needs_root() {
    through_every_hook(|client, server, probe| {
        // Requests of 128 bytes, so that one ends where the usual capture does; and of other sizes.
        for (bytes, times) in [(128, 40), (150, 33), (1000, 16)] {
            let all = request(bytes).repeat(times);
            client.write_all(&all).unwrap();
            exact(server, all.len());
            assert!(payloads(probe, SENT, 1)[0] == all, "{times} of {bytes} bytes");
            probe.drain();
        }
    });
}

#[test]
fn vectors_have_heads_as_well_needs_root() {
    through_every_hook(|client, server, probe| {
        let head = request(9000);
        let segments: Vec<&[u8]> = [&head[..10], &head[10..5000], &head[5000..], &[b'b'; 3000]].to_vec();
        assert_eq!(calls::writev(client, &segments), 12_000);
        exact(server, 12_000);
        let captured = payloads(probe, SENT, 1);
        assert!(captured[0].starts_with(&head), "{} bytes", captured[0].len());
        assert_eq!(captured[0].len(), head.len() + BEHIND);
        client.write_all(&head).unwrap();
        assert_eq!(calls::recvmsg(server, &[20, 6000, 9000]), 9000);
        assert!(payloads(probe, RECEIVED, 1).last().unwrap() == &head);
    });
}

#[test]
fn frames_of_fields_are_captured_to_their_end_needs_root() {
    let frame = |kind: u8, bytes: usize| {
        let length = (bytes as u32).to_be_bytes();
        [&length[1..], &[kind, 4, 0, 0, 0, 1], vec![b'f'; bytes].as_slice()].concat()
    };
    through_every_hook(|client, server, probe| {
        let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(4, 18), &frame(1, 7000)].concat();
        let later = [frame(8, 4), frame(1, 5000), frame(0, 900)].concat();
        for call in [preface, later] {
            client.write_all(&call).unwrap();
            exact(server, call.len());
            assert!(payloads(probe, SENT, 1)[0] == call);
            probe.drain();
        }
        let parted = frame(1, 6000);
        for part in [&parted[..9], &parted[9..], &frame(0, 9000)] {
            client.write_all(part).unwrap();
            exact(server, part.len());
            let captured = payloads(probe, SENT, 1);
            assert_eq!(captured[0].len(), if part.len() > 9000 { USUAL } else { part.len() }, "data is a body");
            probe.drain();
        }
    });
}

#[test]
fn what_only_looks_like_text_is_captured_as_ever_needs_root() {
    through_every_hook(|client, server, probe| {
        for beginning in ["GETTING", "get /", "\0\0\x30\x01 none", "SELECT 1", "*3\r\n$3\r\nSET\r\n"] {
            let call = [beginning.as_bytes(), &[b'x'; 5000]].concat();
            client.write_all(&call).unwrap();
            exact(server, call.len());
            assert_eq!(payloads(probe, SENT, 1)[0].len(), USUAL, "{beginning:?}");
            probe.drain();
        }
    });
}
