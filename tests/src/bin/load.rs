//! A load of known counts: opens that succeed and fail, programs executed, TCP connections on loopback.
//!
//! `load [cgroup=FOLDER] [opens=N] [failing=N] [execs=N] [connections=N] [program=PATH]`. It writes `ready`, waits for a line on its
//! standard input (so that a tracer can find its pid or its cgroup), works, writes `done`, and waits for another line, so that its own exit
//! is not among the counted events.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{CWD, Mode, OFlags, openat};

/// The work to do.
#[derive(Default)]
struct Work {
    opens: u64,
    failing: u64,
    execs: u64,
    connections: u64,
    program: PathBuf,
    cgroup: Option<PathBuf>,
}

fn main() {
    let work = Work::from_arguments();
    if let Some(cgroup) = &work.cgroup {
        std::fs::write(cgroup.join("cgroup.procs"), "0").expect("the cgroup can be joined");
    }
    // Bound before the count starts: a listener's own states are not those of a connection.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    println!("ready");
    wait_for_line();

    work.open();
    work.execute();
    work.connect(&listener);
    println!("done");
    wait_for_line();
}

impl Work {
    fn from_arguments() -> Self {
        let mut work = Self::default();
        for argument in std::env::args().skip(1) {
            let (name, value) = argument.split_once('=').expect("NAME=VALUE");
            let number = || value.parse().expect("a number");
            match name {
                "opens" => work.opens = number(),
                "failing" => work.failing = number(),
                "execs" => work.execs = number(),
                "connections" => work.connections = number(),
                "cgroup" => work.cgroup = Some(PathBuf::from(value)),
                "program" => work.program = PathBuf::from(value),
                other => panic!("`{other}` is not something this load can do"),
            }
        }
        work
    }

    /// Makes `opens` calls of openat in all, `failing` of them on a missing file, evenly among the others.
    fn open(&self) {
        let stride = self.opens.checked_div(self.failing).unwrap_or(u64::MAX);
        let mut failed = 0;
        for call in 0..self.opens {
            let fails = call % stride == 0 && failed < self.failing;
            let path = if fails { c"/nowhere/to/be/found" } else { c"/dev/null" };
            let opened = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            assert_eq!(opened.is_err(), fails, "an open did what it was not meant to");
            failed += u64::from(fails);
        }
        assert_eq!(failed, self.failing);
    }

    fn execute(&self) {
        for _ in 0..self.execs {
            let status = Command::new(&self.program).arg("an argument").status().expect("PROGRAM can be executed");
            assert!(status.success());
        }
    }

    /// Makes connections that both ends close in order: the client sends a word and closes, the server reads to the end.
    fn connect(&self, listener: &TcpListener) {
        let address = listener.local_addr().expect("a bound listener has an address");
        for _ in 0..self.connections {
            let mut client = TcpStream::connect(address).expect("the listener listens");
            let (mut server, _) = listener.accept().expect("the client connects");
            client.write_all(b"a word").expect("the server reads");
            drop(client);
            server.read_to_end(&mut Vec::new()).expect("the client closes");
        }
    }
}

fn wait_for_line() {
    std::io::stdin().read_line(&mut String::new()).expect("standard input is open");
}
