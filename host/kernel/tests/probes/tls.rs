//! Plaintext of TLS: of real servers and clients, with the connection that carried it.

mod openssl;
mod go;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use host_kernel::LoadOptions;

use crate::reading::{Probe, Record, start};

const REQUESTS: usize = 100;

/// `enum l7_kind`, `l7_direction`, `l7_role`, `l7_flags`.
const DATA: i64 = 0;
const END: i64 = 1;
const RECEIVED: i64 = 0;
const SENT: i64 = 1;
const CLIENT: i64 = 1;
const SERVER: i64 = 2;
const TLS: i64 = 1;

/// A folder with a key and a certificate, removed on drop.
struct Folder(PathBuf);

/// A server that is killed on drop.
struct Server(Child);

/// A Python program that reads a command per line, and answers each with one line.
struct Python {
    child: Child,
    tell: Option<ChildStdin>,
    told: BufReader<ChildStdout>,
}

// === impl Folder ===

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("host-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let key = path.join("key.pem");
        let mut make = Command::new("openssl");
        make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout"]);
        run(make.arg(key).arg("-out").arg(path.join("cert.pem")));
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// === impl Server ===

impl Server {
    /// Starts the server and waits until it listens.
    fn start(command: &mut Command, port: u16) -> Self {
        let mut server = Self(spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())));
        for _ in 0..1000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            assert!(server.0.try_wait().unwrap().is_none(), "{command:?} has ended");
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{command:?} does not listen on {port}");
    }

    fn nginx(folder: &Folder, port: u16) -> Self {
        let temporary =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {{}}/{kind};"));
        let config = format!(
            "daemon off; master_process off; pid {{}}/pid; error_log {{}}/log; events {{ }}\n\
             http {{ access_log off; {}\n\
             server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {{}}/cert.pem; ssl_certificate_key {{}}/key.pem;\n\
             location / {{ return 200 \"hello from nginx\\n\"; }} }} }}\n",
            temporary.concat()
        );
        fs::write(folder.join("nginx.conf"), config.replace("{}", folder.0.to_str().unwrap())).unwrap();
        Self::start(Command::new("nginx").arg("-p").arg(&folder.0).arg("-c").arg(folder.join("nginx.conf")), port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl Python ===

impl Python {
    fn start(program: &str, port: u16, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("python3");
        command.args(["-u", "-c", program, &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        change(&mut command);
        let mut child = spawn(&mut command);
        let (tell, told) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, tell, told }
    }

    /// Sends a line and returns the answer.
    fn ask(&mut self, line: &str) -> String {
        writeln!(self.tell.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        self.told.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    /// Closes the input, so that the program ends.
    fn end(mut self) {
        drop(self.tell.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === around ===

fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start ({error}): run `.ci/setup test`"))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start ({error}): run `.ci/setup test`"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn probe(port: u16) -> Probe {
    start("l7", &LoadOptions { exclude_pid: None, ports: vec![port], ..LoadOptions::default() })
}

/// Waits until a file is traced, or no longer traced.
fn until_traced(probe: &Probe, path: &Path, traced: bool) {
    let hook = format!("uprobe.multi/{}:", path.display());
    for _ in 0..500 {
        if probe.loaded.hooks().iter().any(|it| it.starts_with(&hook)) == traced {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{hook} in {:?}", probe.loaded.hooks());
}

/// Takes records until this many conversations in plaintext have ended, and checks that nothing was lost.
fn drain_until_ends(probe: &mut Probe, conversations: usize) -> Vec<Record> {
    let mut records = Vec::new();
    for _ in 0..100 {
        records.extend(probe.drain());
        if records.iter().filter(|record| record.number("kind") == END && is_plaintext(record)).count() >= conversations {
            break;
        }
        probe.source.wait(1, Duration::from_millis(100));
    }
    let counters = probe.source.counters();
    assert_eq!((counters.lost, counters.missed), (0, 0));
    records
}

fn is_plaintext(record: &Record) -> bool {
    record.number("flags") & TLS != 0
}

/// Returns the messages that an end received, or sent, in plaintext.
fn messages(records: &[Record], role: i64, direction: i64) -> Vec<&Record> {
    let kind = |record: &Record| (record.number("kind"), record.number("role"), record.number("direction"));
    records.iter().filter(|record| is_plaintext(record) && kind(record) == (DATA, role, direction)).collect()
}

/// Checks that all are in one connection with these ports, each starting where the one before ended; returns the text.
fn conversation(messages: &[&Record], port: u16) -> String {
    let first = messages.first().unwrap();
    let mut place = 0;
    let mut text = Vec::new();
    for message in messages {
        assert_eq!(message.number("connection"), first.number("connection"));
        assert_eq!(message.number("sequence"), place);
        assert_eq!((message.number("family"), message.number("transport")), (2, 6));
        let ports = [message.number("local_port"), message.number("remote_port")];
        assert_eq!(ports, [first.number("local_port"), first.number("remote_port")]);
        assert!(ports.contains(&i64::from(port)) && ports[0] > 0 && ports[1] > 0, "{ports:?}");
        assert_eq!(
            (&message.bytes("local_address")[..4], &message.bytes("remote_address")[..4]),
            (&[127, 0, 0, 1][..], &[127, 0, 0, 1][..])
        );
        assert_eq!(message.bytes("payload").len() as i64, message.number("total"));
        place += message.number("total");
        text.extend_from_slice(message.bytes("payload"));
    }
    String::from_utf8(text).unwrap()
}

/// Checks that there are this many messages, one record each, and all with this prefix.
fn one_record_each(messages: &[&Record], beginning: &str, port: u16, count: usize) {
    assert_eq!(messages.len(), count);
    assert!(messages.iter().all(|message| message.bytes("payload").starts_with(beginning.as_bytes())));
    assert_eq!(conversation(messages, port).matches(beginning).count(), count);
}

/// Checks that the ciphertext has only the first record of a handshake at each end, and the ends.
fn ciphertext_is_silent(records: &[Record]) {
    let raw: Vec<_> = records.iter().filter(|record| !is_plaintext(record) && record.number("kind") == DATA).collect();
    assert!(raw.len() <= 2, "{} records of ciphertext", raw.len());
    assert!(raw.iter().all(|record| record.bytes("payload").starts_with(&[0x16, 3])));
}
