//! The attacks on a host.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use host_tests::daemon::{Host, host_binary};
use host_tests::guests::{conformance, slow_to_compile};
use host_tests::repository;
use rustix::process::Signal;

use crate::Dice;

/// One kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attack {
    /// A hostile component is loaded.
    Guest,
    /// A component that takes minutes to compile is loaded.
    CompileBomb,
    /// A FIFO, a device, a folder or an endless file is loaded as a plugin.
    Fifo,
    /// A BPF object with wrong bytes is loaded.
    Object,
    /// Clients of the control socket ask without ever reading.
    SilentClients,
    /// Bytes that are not a request are sent to the control socket.
    ControlGarbage,
    /// Conversations with wrong bytes in them.
    Requests,
    /// Thousands of requests for paths that do not exist.
    Scanner,
    /// Signals that an operator may send by habit.
    Signals,
    /// A good plugin is loaded and rolled back.
    Swap,
}

/// The files for attacks.
pub(crate) struct Arsenal {
    guests: Vec<PathBuf>,
    bombs: Vec<PathBuf>,
    objects: Vec<PathBuf>,
    not_files: Vec<PathBuf>,
}

/// The running part of an attack; ended when dropped.
#[derive(Default)]
pub(crate) struct Held {
    clients: Vec<UnixStream>,
    children: Vec<Child>,
}

/// Maximum time of a command of this attack: each is refused or done long before.
const LONGEST: Duration = Duration::from_secs(60);

// === impl Attack ===

impl Attack {
    pub(crate) const ALL: [Self; 10] = [
        Self::Guest,
        Self::CompileBomb,
        Self::Fifo,
        Self::Object,
        Self::SilentClients,
        Self::ControlGarbage,
        Self::Requests,
        Self::Scanner,
        Self::Signals,
        Self::Swap,
    ];
}

// === impl Arsenal ===

impl Arsenal {
    pub(crate) fn new(folder: &Path) -> Self {
        let guests = conformance::names().map(|name| {
            let path = folder.join(format!("{name}.wasm"));
            fs::write(&path, conformance::bytes(name)).unwrap();
            path
        });
        let fifo = folder.join("fifo.wasm");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let sparse = folder.join("sparse.wasm");
        File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
        let not_files =
            [fifo, sparse, folder.to_owned(), "/dev/zero".into(), "/dev/stdin".into(), "/proc/kmsg".into()].to_vec();
        // One is refused by its size, another at its deadline.
        let bombs = [(1, 49_000, 400), (40, 19_000, 60)].map(|(functions, locals, loops)| {
            let path = folder.join(format!("bomb-{functions}.wasm"));
            let sampler = plugins::component("sampler-ratio").unwrap().bytes;
            fs::write(&path, slow_to_compile(sampler, functions, locals, loops)).unwrap();
            path
        });
        Self { guests: guests.collect(), bombs: bombs.to_vec(), objects: objects(folder), not_files }
    }

    /// Makes one move, and waits until it is done.
    pub(crate) fn make(&self, attack: Attack, host: &Host, dice: &mut Dice) {
        let mut held = self.begin(attack, host, dice);
        for child in &mut held.children {
            let start = Instant::now();
            while child.try_wait().unwrap().is_none() {
                assert!(start.elapsed() < LONGEST, "{attack:?}: a command is not answered: {}", host.stderr());
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Starts a move.
    pub(crate) fn begin(&self, attack: Attack, host: &Host, dice: &mut Dice) -> Held {
        let mut held = Held::default();
        let slot = ["sampler", "enricher.process", "decoder.http"][dice.roll(3)];
        match attack {
            Attack::Guest => {
                let guest = &self.guests[dice.roll(self.guests.len())];
                held.children.push(command(host, &["plugin", "load", text(guest), "--slot", slot]));
            }
            Attack::CompileBomb => {
                let bomb = &self.bombs[dice.roll(self.bombs.len())];
                held.children.push(command(host, &["plugin", "load", text(bomb), "--slot", slot]));
            }
            Attack::Fifo => {
                let file = &self.not_files[dice.roll(self.not_files.len())];
                held.children.push(command(host, &["plugin", "load", text(file), "--slot", slot]));
                // Not by the command, which checks the file itself.
                held.clients.extend(ask(
                    host,
                    "POST",
                    "/v1/plugins/load",
                    &format!("{{\"path\":{:?},\"slot\":{slot:?}}}", text(file)),
                ));
            }
            Attack::Object => {
                let object = &self.objects[dice.roll(self.objects.len())];
                held.children.push(command(host, &["probe", "load", text(object)]));
            }
            Attack::SilentClients => {
                for _ in 0..64 {
                    let Ok(mut client) = UnixStream::connect(host.path("socket")) else { continue };
                    client.set_nonblocking(true).unwrap();
                    let asked = "GET /v1/status HTTP/1.1\r\nhost: h\r\n\r\n".repeat(2_000);
                    let _ = client.write(asked.as_bytes());
                    held.clients.push(client);
                }
            }
            Attack::ControlGarbage => {
                let garbage: Vec<u8> = (0..dice.roll(100_000)).map(|_| dice.roll(256) as u8).collect();
                if let Ok(mut client) = UnixStream::connect(host.path("socket")) {
                    client.set_nonblocking(true).unwrap();
                    let _ = client.write(&garbage);
                    held.clients.push(client);
                }
                held.clients.extend(ask(host, "POST", "/v1/plugins/load", &"[".repeat(200_000)));
                held.clients.extend(ask(host, "GET", &format!("/{}", "a".repeat(100_000)), ""));
            }
            Attack::Requests => converse(dice),
            Attack::Scanner => scan(dice),
            Attack::Signals => host.signal([Signal::HUP, Signal::USR1, Signal::USR2, Signal::PIPE][dice.roll(4)]),
            Attack::Swap => {
                held.children.push(command(host, &["plugin", "rollback", slot]));
            }
        }
        held
    }

    /// Removes the plugins that the attacks left in the slots.
    pub(crate) fn calm(&self, host: &Host) {
        for slot in ["sampler", "enricher.process", "decoder.http"] {
            for _ in 0..16 {
                if !host.ask(&["plugin", "rollback", slot]).status.success() {
                    break;
                }
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a command of the host, without waiting.
fn command(host: &Host, arguments: &[&str]) -> Child {
    let mut command = Command::new(host_binary());
    command.args(arguments).arg("--socket").arg(host.path("socket"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Sends a request to the control socket, and does not read the answer.
fn ask(host: &Host, method: &str, path: &str, body: &str) -> Option<UnixStream> {
    let mut client = UnixStream::connect(host.path("socket")).ok()?;
    client.set_nonblocking(true).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _ = client.write(&[head.as_bytes(), body.as_bytes()].concat());
    Some(client)
}

/// Starts of conversations of all protocols, with one wrong byte each, at both ends of a connection.
fn converse(dice: &mut Dice) {
    const BEGINNINGS: [&[u8]; 6] = [
        b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x05\x01\x05\0\0\0\x01\x82\x86\x84\x41\0",
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n$-1\r\n",
        b"\0\0\0\x08\x04\xd2\x16\x2fS\0\0\0\x1d\0\x03\0\0user\0u\0\0Q\0\0\0\x0dSELECT 1\0",
        b"J\0\0\0\x0a8.0.36\0\x07\0\0\0abcdefgh\0\xff\xf7\x2d\x02\0\xff\xdf\x15",
        b"get a\r\nEND\r\nset a 0 0 4294967295\r\n",
    ];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..20 {
        let mut bytes = BEGINNINGS[dice.roll(BEGINNINGS.len())].repeat(1 + dice.roll(4));
        let at = dice.roll(bytes.len());
        bytes[at] = dice.roll(256) as u8;
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        for chunk in bytes.chunks(1 + dice.roll(64)) {
            let (from, to) = if dice.roll(2) == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
            from.write_all(chunk).unwrap();
            to.read_exact(&mut vec![0; chunk.len()]).unwrap();
        }
    }
}

/// Requests for paths that do not exist, over one connection.
fn scan(dice: &mut Dice) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    for _ in 0..500 {
        let word: String = (0..8).map(|_| char::from(b'a' + dice.roll(26) as u8)).collect();
        let request = format!("GET /{word}/{word} HTTP/1.1\r\nHost: h\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        server.read_exact(&mut vec![0; request.len()]).unwrap();
        server.write_all(answer).unwrap();
        client.read_exact(&mut vec![0; answer.len()]).unwrap();
    }
}

/// Writes the BPF objects of a report, and each of them with other wrong bytes.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let mut objects = Vec::new();
    for name in ["exec", "l7"] {
        let packed = repository().join(format!("tests/reports/corrupt_bpf_object/{name}.bpf.o.gz"));
        let object = Command::new("gzip").arg("-dc").arg(&packed).output().unwrap().stdout;
        assert!(!object.is_empty(), "{}", packed.display());
        for (number, byte) in [0xff, 0, 0x80, 0x7f].into_iter().enumerate() {
            let mut object = object.clone();
            let at = object.len() / 5 * (number + 1);
            object[at] = byte;
            let path = folder.join(format!("strange-{name}-{number}.bpf.o"));
            fs::write(&path, object).unwrap();
            objects.push(path);
        }
    }
    objects
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
