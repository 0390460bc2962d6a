//! Conversations of known counts: HTTP over IPv4 and IPv6, and DNS over UDP, with both ends in this process.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

/// The port of HTTP, on both addresses of loopback.
pub(crate) const HTTP: u16 = 8080;
/// The port of DNS.
pub(crate) const DNS: u16 = 53;
/// Number of requests over each of IPv4 and IPv6.
pub(crate) const REQUESTS: u64 = 100;
/// Number of questions of DNS.
pub(crate) const QUESTIONS: u64 = 50;

/// Starts a process of its own that talks in a cgroup.
pub(crate) fn apart(cgroup: &str) {
    let talked = Command::new("/proc/self/exe").args(["talk", cgroup]).status().unwrap();
    assert!(talked.success(), "{talked}");
}

/// Has all conversations, from this cgroup.
pub(crate) fn talk(cgroup: &str) {
    fs::write(format!("{cgroup}/cgroup.procs"), "0").unwrap();
    http(Ipv4Addr::LOCALHOST.into());
    http(Ipv6Addr::LOCALHOST.into());
    dns();
}

/// Sends the requests over one connection.
fn http(address: IpAddr) {
    let listener = TcpListener::bind((address, HTTP)).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for _ in 0..REQUESTS {
            until(&mut stream, b"\r\n\r\n");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine").unwrap();
        }
    });
    let mut stream = TcpStream::connect((address, HTTP)).unwrap();
    for _ in 0..REQUESTS {
        stream.write_all(b"GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        until(&mut stream, b"fine");
    }
    server.join().unwrap();
}

fn until(stream: &mut TcpStream, end: &[u8]) {
    let mut seen = Vec::new();
    let mut part = [0; 512];
    while !seen.ends_with(end) {
        let length = stream.read(&mut part).unwrap();
        assert_ne!(length, 0);
        seen.extend_from_slice(&part[..length]);
    }
}

/// Requests the address of a name again and again.
fn dns() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, DNS)).unwrap();
    let answers = std::thread::spawn(move || {
        let mut message = [0; 512];
        for _ in 0..QUESTIONS {
            let (length, client) = server.recv_from(&mut message).unwrap();
            let mut answer = message[..length].to_vec();
            // An answer, recursion is available, and there is one record.
            answer[2..4].copy_from_slice(&[0x81, 0x80]);
            answer[7] = 1;
            // The name of the question, type A, class IN, a minute, four bytes.
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            server.send_to(&answer, client).unwrap();
        }
    });
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    client.connect((Ipv4Addr::LOCALHOST, DNS)).unwrap();
    let mut answer = [0; 512];
    for id in 0..QUESTIONS {
        // Recursion is desired, one question: the address of `a.test`.
        let mut question = vec![0, u8::try_from(id).unwrap(), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend_from_slice(b"\x01a\x04test\x00\x00\x01\x00\x01");
        client.send(&question).unwrap();
        let length = client.recv(&mut answer).unwrap();
        assert_eq!(answer[..2], question[..2], "{length} bytes");
    }
    answers.join().unwrap();
}
