//! OpenSSL, in C programs and in Python.

use std::process::Command;

use crate::reading::{Record, by_comm, start};

use super::{
    CLIENT, DATA, END, Folder, Python, RECEIVED, REQUESTS, SENT, SERVER, Server, ciphertext_is_silent, drain_until_ends,
    free_port, is_plaintext, messages, one_record_each, probe, run, until_traced,
};

/// A client on a blocking socket: connects, prints its local address, then makes the number of requests in each line.
const CLIENT_PROGRAM: &str = r#"
import socket, ssl, sys
context = ssl._create_unverified_context()
s = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
for line in sys.stdin:
    for index in range(int(line)):
        s.sendall(b"GET /python HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while b"hello from nginx\n" not in answer:
            answer += s.recv(4096)
    print("done")
s.close()
"#;

/// The same, but the program moves the ciphertext: OpenSSL never sees a socket.
const ASYNC_PROGRAM: &str = r#"
import asyncio, ssl, sys
async def main():
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]), ssl=ssl._create_unverified_context())
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        for index in range(int(line)):
            writer.write(b"GET /python HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while b"hello from nginx\n" not in answer:
                answer += await reader.read(4096)
        print("done")
    writer.close()
    await writer.wait_closed()
asyncio.run(main())
"#;

/// Both ends of a connection that has no socket at all.
const MEMORY_PROGRAM: &str = r#"
import ssl, sys
here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server = context.wrap_bio(here, there, server_side=True)
client = ssl._create_unverified_context().wrap_bio(there, here)
for step in range(3):
    for end in (client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
for line in sys.stdin:
    for index in range(int(line)):
        client.write(b"ask")
        assert server.read() == b"ask"
    print("done")
"#;

#[test]
fn requests_over_one_connection_are_plaintext_records_of_both_ends_needs_root() {
    needs_root!();
    let (folder, port) = (Folder::new("nginx"), free_port());
    let mut probe = probe(port);
    let _nginx = Server::nginx(&folder, port);
    let url = format!("https://127.0.0.1:{port}/[1-{REQUESTS}]");
    let answers = run(Command::new("curl").args(["-sSk", "--http1.1", &url]));
    assert_eq!(answers.matches("hello from nginx").count(), REQUESTS);
    let records = drain_until_ends(&mut probe, 2);
    for (role, comm, asks, answers) in [(SERVER, "nginx", RECEIVED, SENT), (CLIENT, "curl", SENT, RECEIVED)] {
        let requests = messages(&records, role, asks);
        one_record_each(&requests, "GET /", port, REQUESTS);
        one_record_each(&messages(&records, role, answers), "HTTP/1.1 200 OK\r\n", port, REQUESTS);
        assert!(requests.iter().all(|record| record.text("comm") == comm && record.number("time_ns") > 0));
        let of_connection = |record: &&Record| record.number("connection") == requests[0].number("connection");
        let last = records.iter().filter(|record| is_plaintext(record)).rfind(of_connection).unwrap();
        assert_eq!((last.number("kind"), last.text("comm").as_str()), (END, comm), "an end is the last of a conversation");
    }
    ciphertext_is_silent(&records);
}

#[test]
fn a_connection_older_than_the_probe_is_found_in_its_next_call_needs_root() {
    needs_root!();
    let (folder, port) = (Folder::new("older"), free_port());
    let _nginx = Server::nginx(&folder, port);
    let mut client = Python::start(CLIENT_PROGRAM, port, |_| ());
    assert_eq!(client.ask("3"), "done");
    let mut probe = probe(port);
    assert_eq!(client.ask(&REQUESTS.to_string()), "done");
    client.end();
    let records = drain_until_ends(&mut probe, 2);
    let plaintext: Vec<_> = records.iter().filter(|record| is_plaintext(record) && record.number("kind") == DATA).collect();
    let of = |client: bool, direction: i64| -> Vec<&Record> {
        let ours = |record: &&&Record| (record.number("remote_port") == i64::from(port)) == client;
        plaintext.iter().filter(ours).filter(|record| record.number("direction") == direction).copied().collect()
    };
    for (client, asks, answers) in [(true, SENT, RECEIVED), (false, RECEIVED, SENT)] {
        one_record_each(&of(client, asks), "GET /python", port, REQUESTS);
        one_record_each(&of(client, answers), "HTTP/1.1 200 OK\r\n", port, REQUESTS);
    }
}

#[test]
fn who_moves_the_ciphertext_by_himself_is_known_by_what_he_has_read_needs_root() {
    needs_root!();
    let (folder, port) = (Folder::new("async"), free_port());
    let mut probe = probe(port);
    let _nginx = Server::nginx(&folder, port);
    let mut client = Python::start(ASYNC_PROGRAM, port, |_| ());
    assert_eq!(client.ask(&REQUESTS.to_string()), "done");
    client.end();
    let records = drain_until_ends(&mut probe, 2);
    one_record_each(&messages(&records, CLIENT, SENT), "GET /python", port, REQUESTS);
    one_record_each(&messages(&records, CLIENT, RECEIVED), "HTTP/1.1 200 OK\r\n", port, REQUESTS);
    ciphertext_is_silent(&records);
}

#[test]
fn without_a_socket_there_is_a_conversation_without_addresses_needs_root() {
    needs_root!();
    let folder = Folder::new("memory");
    // Without a socket there is no port to filter by.
    let mut probe = start("l7", &by_comm("python3"));
    let mut both = Python::start(MEMORY_PROGRAM, 0, |command| {
        command.arg(folder.join("cert.pem")).arg(folder.join("key.pem"));
    });
    let pid = i64::from(both.child.id());
    assert_eq!(both.ask(&REQUESTS.to_string()), "done");
    both.end();
    let records: Vec<_> = drain_until_ends(&mut probe, 2).into_iter().filter(|record| record.number("pid") == pid).collect();
    for direction in [SENT, RECEIVED] {
        let ours = |record: &&Record| (record.number("kind"), record.number("direction")) == (DATA, direction);
        let ours: Vec<_> = records.iter().filter(ours).collect();
        assert_eq!(ours.len(), REQUESTS);
        assert!(ours.iter().all(|record| record.bytes("payload") == b"ask" && is_plaintext(record)));
        assert!(ours.iter().all(|record| (record.number("family"), record.number("role")) == (0, 0)));
        let connection = ours[0].number("connection");
        assert!(connection >> 62 & 1 == 1 && ours.iter().all(|record| record.number("connection") == connection));
        assert_eq!(records.iter().rfind(|record| record.number("connection") == connection).unwrap().number("kind"), END);
    }
}

#[test]
fn a_library_that_a_later_process_brings_along_is_traced_and_dropped_once_it_is_removed_needs_root() {
    needs_root!();
    let (folder, port) = (Folder::new("library"), free_port());
    let _nginx = Server::nginx(&folder, port);
    let mut probe = probe(port);
    let maps = run(Command::new("python3").args(["-c", "import ssl; print(open('/proc/self/maps').read())"]));
    let system = maps.split_whitespace().find(|word| word.contains("/libssl")).expect("Python without OpenSSL");
    let ours = folder.join("libssl.so.3");
    std::fs::copy(system, &ours).unwrap();
    let mut client = Python::start(CLIENT_PROGRAM, port, |command| {
        command.env("LD_LIBRARY_PATH", &folder.0);
    });
    until_traced(&probe, &ours, true);
    assert_eq!(client.ask("5"), "done");
    client.end();
    let records = drain_until_ends(&mut probe, 2);
    one_record_each(&messages(&records, CLIENT, SENT), "GET /python", port, 5);
    // Before that, the scanner waits for the next process.
    assert!(probe.loaded.hooks().iter().any(|hook| hook.contains(ours.to_str().unwrap())));
    std::fs::remove_file(&ours).unwrap();
    until_traced(&probe, &ours, false);
}

#[test]
fn a_command_with_a_library_of_its_own_is_traced_whenever_it_runs_again_needs_root() {
    needs_root!();
    const RUNS: usize = 10;
    let (folder, port) = (Folder::new("again"), free_port());
    let _nginx = Server::nginx(&folder, port);
    let mut probe = probe(port);
    let maps = run(Command::new("python3").args(["-c", "import ssl; print(open('/proc/self/maps').read())"]));
    let system = maps.split_whitespace().find(|word| word.contains("/libssl")).expect("Python without OpenSSL");
    let ours = folder.join("libssl.so.3");
    std::fs::copy(system, &ours).unwrap();
    for turn in 0..=RUNS {
        let mut client = Python::start(CLIENT_PROGRAM, port, |command| {
            command.env("LD_LIBRARY_PATH", &folder.0);
        });
        assert_eq!(client.ask("1"), "done");
        if turn == 0 {
            // The first process must live until its library is found. It is mostly traced before it asks, but need not be.
            until_traced(&probe, &ours, true);
        }
        client.end();
    }
    let records = drain_until_ends(&mut probe, 2 * RUNS);
    let asked = messages(&records, CLIENT, SENT).len();
    assert!((RUNS..=RUNS + 1).contains(&asked), "{asked}");
    assert_eq!(messages(&records, CLIENT, RECEIVED).len(), asked);
}

#[test]
fn a_verdict_about_plaintext_stops_it_and_is_not_one_about_ciphertext_needs_root() {
    needs_root!();
    let (folder, port) = (Folder::new("verdict"), free_port());
    let _nginx = Server::nginx(&folder, port);
    let mut probe = probe(port);
    let mut client = Python::start(CLIENT_PROGRAM, port, |_| ());
    assert_eq!(client.ask("1"), "done");
    // The first record of the handshake and both messages, at both ends.
    let records = probe.drain_at_least(6);
    let of = |role| messages(&records, role, SENT)[0].number("connection") as u64;
    let ignore = [1_u32.to_ne_bytes(), 0_u32.to_ne_bytes()].concat();
    let maps = probe.loaded.maps();
    maps.update("l7_verdicts", &(of(CLIENT) | 1 << 63).to_ne_bytes(), &ignore).unwrap();
    // Without the plaintext bit the verdict is about the raw bytes, of which there are none.
    maps.update("l7_verdicts", &of(SERVER).to_ne_bytes(), &ignore).unwrap();
    assert_eq!(client.ask("10"), "done");
    client.end();
    let records = drain_until_ends(&mut probe, 2);
    assert_eq!(messages(&records, CLIENT, SENT).len(), 0);
    assert_eq!(messages(&records, SERVER, SENT).len(), 10);
    let requests = messages(&records, SERVER, RECEIVED);
    assert_eq!(requests.len(), 10);
    assert!(requests[0].number("sequence") > 0, "what was before is counted");
}
