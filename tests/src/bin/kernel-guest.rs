//! What runs inside a virtual machine: every probe under a load of known counts, one line of JSON each on the console. A probe that this
//! kernel cannot run says why; nothing here decides whether that is right.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use host_tests::daemon::{Host, Ledger};
use host_tests::load::{Cgroup, Load};
use serde_json::{Value, json};

/// Emulation is some thirty times slower than the machine it runs on.
const SOON: Duration = Duration::from_secs(60);
const OPENS: u64 = 2_000;
const FAILING: u64 = 100;
const EXECS: u64 = 50;
const CONNECTIONS: u64 = 100;
const REQUESTS: u64 = 200;

fn main() {
    for (probe, expected) in [("file", OPENS), ("exec", 2 * EXECS), ("tcp", 2 * CONNECTIONS), ("l7", REQUESTS)] {
        let begun = Instant::now();
        let row = catch_unwind(|| measure(probe, expected)).unwrap_or_else(|reason| {
            let reason = reason.downcast_ref::<String>().cloned().unwrap_or_default();
            json!({ "probe": probe, "failed": reason.chars().filter(|c| !c.is_control()).take(600).collect::<String>() })
        });
        println!("ROW {} {} ms", row, begun.elapsed().as_millis());
    }
}

/// One probe; what it counted, and what happened.
fn measure(probe: &str, expected: u64) -> Value {
    let cgroup = Cgroup::new(probe);
    let host = Host::run(&["--probe", probe, "--cgroup", cgroup.path(), "--output", "none", "--state-dir", "/state"]);
    let ready_ms = u64::try_from(host.started_in.as_millis()).unwrap_or(u64::MAX);
    let work = [
        format!("opens={}", if probe == "file" { OPENS } else { 0 }),
        format!("failing={}", if probe == "file" { FAILING } else { 0 }),
        format!("execs={}", if probe == "exec" { EXECS } else { 0 }),
        format!("connections={}", if probe == "tcp" { CONNECTIONS } else { 0 }),
        format!("cgroup={}", cgroup.path()),
        "program=/bin/true".to_owned(),
    ];
    // Its own end would be one more.
    let mut load = None;
    if probe == "l7" {
        std::fs::write(format!("{}/cgroup.procs", cgroup.path()), std::process::id().to_string()).unwrap();
        talk();
        let root = cgroup.path().rsplit_once('/').unwrap().0;
        std::fs::write(format!("{root}/cgroup.procs"), std::process::id().to_string()).unwrap();
    } else {
        let load = load.insert(Load::counted(&work.each_ref().map(String::as_str)));
        load.go();
        assert_eq!(load.line(), "done");
    }
    let mut control = host.control();
    // What is shown of a ring may be half a second old.
    let status = host.status_when("the paths to run dry", SOON, |status| {
        let dry = |ledger: &Ledger| ledger.produced == ledger.received + ledger.lost_in_ring && ledger.in_flight == 0;
        let enough = probe == "l7" || status.ledger(probe).produced + status.ledger(probe).filtered_in_kernel >= expected;
        enough && status.balanced && status.paths.iter().all(|path| dry(&path.ledger))
    });
    let counted =
        if probe == "l7" { host.requests().of("http", "server", PORT).count() } else { status.ledger(probe).produced };
    let probes = control.get("/v1/probes");
    let own = probes.as_array().into_iter().flatten().find(|own| own["name"] == probe).cloned().unwrap_or_default();
    let ledger =
        control.get("/v1/status")["paths"].as_array().into_iter().flatten().find(|path| path["probe"] == probe).cloned();
    let ledger = ledger.unwrap_or_default()["ledger"].clone();
    drop(load);
    json!({
        "probe": probe,
        "hooks": own["hooks"],
        "counted": counted,
        "expected": expected,
        "lost": ledger["lost_in_ring"],
        "missed": ledger["missed_in_kernel"],
        "balanced": status.balanced,
        "ready_ms": ready_ms,
    })
}

const PORT: u16 = 8080;

/// So many requests over one connection.
fn talk() {
    let listener = TcpListener::bind(("127.0.0.1", PORT)).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for _ in 0..REQUESTS {
            until(&mut stream, b"\r\n\r\n");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine").unwrap();
        }
    });
    let mut stream = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
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
