//! One probe: the events of the load, and the host's counts of them.

use std::time::{Duration, Instant};

use host_tests::daemon::{Host, Ledger};
use host_tests::load::{Cgroup, Load};
use serde_json::{Value, json};

use crate::SOON;
use crate::talk::{self, DNS, HTTP};

const OPENS: u64 = 2_000;
const FAILING: u64 = 100;
const EXECS: u64 = 50;
const CONNECTIONS: u64 = 100;

/// A kind of event, its number, and the number that the host saw.
struct Count {
    what: &'static str,
    expected: u64,
    counted: u64,
}

/// Runs a probe and its load, and waits until everything that it saw has reached the end of its path.
pub(crate) fn measure(probe: &str) -> Value {
    let cgroup = Cgroup::new(probe);
    let arguments = ["--probe", probe, "--cgroup", cgroup.path(), "--output", "jsonl", "--state-dir", "/state"];
    let mut host = match Host::start(&arguments, |_, _| {}) {
        Ok(host) => host,
        Err(said) => return json!({ "refused": refusal(&said) }),
    };
    let load = work(probe, &cgroup);
    let status = host.status_when("all of it to come to its end", SOON, |status| {
        let through = |ledger: &Ledger| {
            ledger.produced == ledger.received + ledger.lost_in_ring && ledger.in_flight == 0 && ledger.kept == ledger.exported
        };
        let ledger = status.ledger(probe);
        // The counters of a ring may be half a second old.
        let seen = ledger.produced + ledger.filtered_in_kernel + ledger.missed_in_kernel >= least(probe);
        let out = ledger.routed > 0 || ledger.exported + ledger.lost_in_ring + ledger.undecodable == ledger.produced;
        seen && out && status.balanced && status.paths.iter().all(|path| through(&path.ledger))
    });
    let requests = if probe == "l7" { counted(&host) } else { Vec::new() };
    let probes = host.control().get("/v1/probes");
    let about = probes.as_array().into_iter().flatten().find(|about| about["name"] == probe).cloned().unwrap_or_default();
    let ledger = status.ledger(probe);
    // The end of the load would be one more event.
    let (rows, _) = host.stop();
    drop(load);
    let lines = |words: &[&str]| rows.lines().filter(|line| words.iter().all(|word| line.contains(word))).count() as u64;
    let count = |what, expected, counted| Count { what, expected, counted };
    let counts = match probe {
        "file" => vec![
            count("opens", OPENS, ledger.produced),
            count("failing opens", FAILING, lines(&["/nowhere/to/be/found", "ENOENT"])),
        ],
        "exec" => vec![
            count("programs", EXECS, lines(&["\"process.exec\"", "/bin/true"])),
            count("exits", EXECS, lines(&["\"process.exit\"", "exited with 0"])),
        ],
        "tcp" => vec![
            count("clients", CONNECTIONS, lines(&["\"tcp.role\":\"client\""])),
            count("servers", CONNECTIONS, lines(&["\"tcp.role\":\"server\""])),
        ],
        _ => requests,
    };
    json!({
        "hooks": about["hooks"],
        "passed_over": about["passed_over"],
        "counts": counts.iter().map(|Count { what, expected, counted }| json!([what, expected, counted])).collect::<Value>(),
        "records": ledger.produced,
        "lost": ledger.lost_in_ring,
        "missed": ledger.missed_in_kernel,
        "undecodable": ledger.undecodable,
        "balanced": status.balanced,
        "ready_ms": u64::try_from(host.started_in.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Returns the requests of each end; one that is not counted after a while never will be.
fn counted(host: &Host) -> Vec<Count> {
    let begun = Instant::now();
    loop {
        let requests = host.requests();
        let of =
            |what, protocol, role, port, expected| Count { what, expected, counted: requests.of(protocol, role, port).count() };
        let counts = vec![
            of("HTTP clients", "http", "client", HTTP, 2 * talk::REQUESTS),
            of("HTTP servers", "http", "server", HTTP, 2 * talk::REQUESTS),
            of("DNS clients", "dns", "client", DNS, talk::QUESTIONS),
            of("DNS servers", "dns", "server", DNS, talk::QUESTIONS),
        ];
        if counts.iter().all(|count| count.counted >= count.expected) || begun.elapsed() > SOON / 6 {
            return counts;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Makes the events of a probe, in a cgroup without other processes.
fn work(probe: &str, cgroup: &Cgroup) -> Option<Load> {
    let place = format!("cgroup={}", cgroup.path());
    let amount = match probe {
        "file" => vec![format!("opens={OPENS}"), format!("failing={FAILING}")],
        "exec" => vec![format!("execs={EXECS}"), "program=/bin/true".to_owned()],
        "tcp" => vec![format!("connections={CONNECTIONS}")],
        _ => {
            talk::apart(cgroup.path());
            return None;
        }
    };
    let words: Vec<&str> = amount.iter().map(String::as_str).chain([place.as_str()]).collect();
    let mut load = Load::counted(&words);
    load.go();
    assert_eq!(load.line(), "done");
    Some(load)
}

/// Returns the minimum number of records of a probe that has seen everything.
fn least(probe: &str) -> u64 {
    match probe {
        "file" => OPENS,
        "exec" => 2 * EXECS,
        "tcp" => 2 * CONNECTIONS,
        // Both ends see each question and each answer, and the ends of two connections.
        _ => 4 * (2 * talk::REQUESTS + talk::QUESTIONS) + 4,
    }
}

/// Returns the message of a host that did not start.
fn refusal(said: &str) -> String {
    let error = said.lines().find_map(|line| line.strip_prefix("error: "));
    error.unwrap_or(said).trim().chars().take(600).collect()
}
