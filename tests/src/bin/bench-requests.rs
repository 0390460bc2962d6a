//! The cost of tracing for real servers: the requests per second of a client without a tracer, with the host in its default settings, with
//! its sampler at one in a hundred, and with bpftrace doing the minimum that could count requests. They take turns in one run.
//!
//! `bench-requests [--rounds N] [--seconds S] [--only WORKLOAD]...`, as root.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use host_tests::daemon::Host;
use host_tests::requests::{client, number_after};
use host_tests::server::Server;
use host_tests::sink::Sink;
use host_tests::{kernel, process, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The tracer, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Watcher {
    Nobody,
    Host,
    HostSampled,
    Bpftrace,
}

/// A server under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Workload {
    Redis,
    RedisPipelined,
    Nginx,
    Pgbench,
}

/// One load with one watcher.
struct Sample {
    /// Requests per second that the client reports.
    rate: f64,
    /// CPU nanoseconds of the watcher for each request.
    agent_ns: f64,
    /// Number of requests that the watcher counted for each of the client's, at one end.
    counted: f64,
    lost: u64,
}

type Samples = BTreeMap<(Workload, Watcher), Vec<Sample>>;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut rounds, mut seconds, mut only) = (5_usize, 3.0_f64, Vec::new());
    while let Some(name) = arguments.next() {
        let value = arguments.next().expect("a value");
        match name.as_str() {
            "--rounds" => rounds = value.parse().expect("a number"),
            "--seconds" => seconds = value.parse().expect("a number"),
            "--only" => only.push(value),
            other => panic!("unknown option {other}"),
        }
    }
    let sink = Sink::start();
    let mut samples = Samples::new();
    for workload in Workload::ALL {
        if !only.is_empty() && !only.iter().any(|name| name == workload.name()) {
            continue;
        }
        let server = workload.server();
        for round in 0..rounds {
            for turn in 0..Watcher::ALL.len() {
                let watcher = Watcher::ALL[(turn + round) % Watcher::ALL.len()];
                eprintln!("{}, round {} of {rounds}: {}", workload.name(), round + 1, watcher.name());
                let sample = measure(workload, &server, watcher, seconds, &sink);
                samples.entry((workload, watcher)).or_default().push(sample);
            }
        }
    }
    let table = table(&samples);
    print(&table);
    let bench = host_tests::target_folder().join("bench");
    std::fs::create_dir_all(&bench).expect("target/bench can be made");
    let result = json!({ "rounds": rounds, "seconds_each": seconds, "figures": "medians over the rounds; lost is a sum", "rows": table });
    std::fs::write(bench.join("requests.json"), serde_json::to_vec_pretty(&result).expect("it is JSON"))
        .expect("it can be written");
}

fn measure(workload: Workload, server: &Server, watcher: Watcher, seconds: f64, sink: &Sink) -> Sample {
    let agent = watcher.start(workload, sink);
    let before = agent.cpu_ns();
    let (rate, sent) = workload.load(server, seconds);
    let (counted, lost) = agent.account(workload, server);
    let agent_ns = (agent.cpu_ns() - before) as f64 / sent;
    agent.stop();
    Sample { rate, agent_ns, counted: counted / sent, lost }
}

/// Returns medians per workload and watcher, as rows of JSON.
fn table(samples: &Samples) -> Vec<Value> {
    let mut rows = Vec::new();
    for (&(workload, watcher), own) in samples {
        let median_of = |of: &dyn Fn(&Sample) -> f64| median(own.iter().map(of).collect());
        let rate = median_of(&|sample| sample.rate);
        let alone = samples
            .get(&(workload, Watcher::Nobody))
            .map_or(f64::NAN, |own| median(own.iter().map(|sample| sample.rate).collect()));
        rows.push(json!({
            "workload": workload.name(),
            "watcher": watcher.name(),
            "per_second": rate.round(),
            "of_untraced": (rate / alone * 1000.0).round() / 1000.0,
            "agent_ns": median_of(&|sample| sample.agent_ns).round(),
            "counted": median_of(&|sample| sample.counted),
            "lost": own.iter().map(|sample| sample.lost).sum::<u64>(),
        }));
    }
    rows
}

fn print(rows: &[Value]) {
    println!("| workload | watcher | requests/s | of untraced | agent ns/request | counted | lost records |");
    println!("|---|---|---|---|---|---|---|");
    for row in rows {
        let (text, number) =
            (|key: &str| row[key].as_str().unwrap_or_default().to_owned(), |key: &str| row[key].as_f64().unwrap_or(f64::NAN));
        println!(
            "| {} | {} | {:.0} | {:.3} | {:.0} | {:.5} | {} |",
            text("workload"),
            text("watcher"),
            number("per_second"),
            number("of_untraced"),
            number("agent_ns"),
            number("counted"),
            row["lost"]
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

// === impl Workload ===

impl Workload {
    const ALL: [Self; 4] = [Self::Redis, Self::RedisPipelined, Self::Nginx, Self::Pgbench];

    const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::RedisPipelined => "redis-16",
            Self::Nginx => "nginx",
            Self::Pgbench => "pgbench",
        }
    }

    fn server(self) -> Server {
        match self {
            Self::Redis | Self::RedisPipelined => Server::redis(),
            Self::Nginx => Server::nginx(false),
            Self::Pgbench => {
                let server = Server::postgresql();
                client(
                    "pgbench",
                    &["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", "postgres", "-i", "-q", "postgres"],
                );
                server
            }
        }
    }

    /// Returns the client's requests per second, and their number.
    fn load(self, server: &Server, seconds: f64) -> (f64, f64) {
        let port = server.port.to_string();
        let redis = |pipeline: &str, per_second: f64| {
            let sent = (per_second * seconds).round();
            let said = client(
                "redis-benchmark",
                &["-p", &port, "-t", "get", "-n", &sent.to_string(), "-c", "8", "-P", pipeline, "--csv"],
            );
            let line = said.lines().rev().find(|line| line.starts_with("\"GET")).expect("a line about GET");
            (number_after(line.split_once(',').expect("a comma").1, "\""), sent)
        };
        match self {
            Self::Redis => redis("1", 40_000.0),
            Self::RedisPipelined => redis("16", 200_000.0),
            Self::Nginx => {
                let url = format!("http://127.0.0.1:{port}/ok");
                let said = client("wrk", &["-t1", "-c8", &format!("-d{}", seconds.ceil()), &url]);
                let line = said.lines().find(|line| line.contains(" requests in ")).expect("a line of requests");
                (number_after(&said, "Requests/sec:"), number_after(&format!("={}", line.trim()), "="))
            }
            Self::Pgbench => {
                let run = ["-S", "-n", "-c", "4", "-T", &seconds.ceil().to_string(), "postgres"].map(str::to_owned);
                let at = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"].map(str::to_owned);
                let all: Vec<&str> = at.iter().chain(&run).map(String::as_str).collect();
                let said = client("pgbench", &all);
                (number_after(&said, "tps ="), number_after(&said, "transactions actually processed:"))
            }
        }
    }

    const fn protocol(self) -> &'static str {
        match self {
            Self::Redis | Self::RedisPipelined => "redis",
            Self::Nginx => "http",
            Self::Pgbench => "postgresql",
        }
    }

    /// Returns the command name of the server's process.
    const fn comm(self) -> &'static str {
        match self {
            Self::Redis | Self::RedisPipelined => "redis-server",
            Self::Nginx => "nginx",
            Self::Pgbench => "postgres",
        }
    }
}

// === impl Watcher ===

/// A running watcher.
enum Agent {
    None,
    Host(Box<Host>),
    Bpftrace(Child),
}

impl Watcher {
    const ALL: [Self; 4] = [Self::Nobody, Self::Host, Self::HostSampled, Self::Bpftrace];

    const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "untraced",
            Self::Host => "host",
            Self::HostSampled => "host, 1 in 100",
            Self::Bpftrace => "bpftrace",
        }
    }

    fn start(self, workload: Workload, sink: &Sink) -> Agent {
        let host = |more: &str| {
            let config = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
            std::fs::write(config.path(), more).expect("it can be written");
            let arguments =
                ["--config", config.path().to_str().expect("it is text"), "--probe", "l7", "--otlp-endpoint", &sink.endpoint()];
            Agent::Host(Box::new(Host::run_with(&arguments, |command, _| {
                command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
            })))
        };
        match self {
            Self::Nobody => Agent::None,
            Self::Host => host(""),
            Self::HostSampled => host("[plugins.sampler]\ncomponent = \"sampler-ratio\"\nconfig = { ratio = 0.01 }\n"),
            Self::Bpftrace => {
                // Each request is read once by its server: no payload, no duration, no status.
                let script = format!(
                    "tracepoint:syscalls:sys_exit_read,tracepoint:syscalls:sys_exit_recvfrom /args->ret > 0 && comm == \"{}\"/ {{ @ = count(); }}",
                    workload.comm()
                );
                let before = kernel::held().programs;
                let mut bpftrace = Command::new("bpftrace");
                bpftrace.args(["-e", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                let agent = Agent::Bpftrace(bpftrace.spawn().expect("bpftrace is installed: run `.ci/setup peers`"));
                wait_for("bpftrace to attach", Duration::from_secs(30), || {
                    // The programs of the previous watcher may still be in the kernel.
                    let new = kernel::held().programs.into_keys().filter(|id| !before.contains_key(id));
                    (new.count() >= 2).then_some(())
                });
                agent
            }
        }
    }
}

// === impl Agent ===

impl Agent {
    fn cpu_ns(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Host(host) => process::cpu_ns(host.pid()),
            Self::Bpftrace(child) => process::cpu_ns(child.id()),
        }
    }

    /// Returns the requests counted at the server's end, and the lost records.
    fn account(&self, workload: Workload, server: &Server) -> (f64, u64) {
        let Self::Host(host) = self else { return (f64::NAN, 0) };
        let requests = host.settled_requests().of(workload.protocol(), "server", server.port);
        let lost = host.status().paths.iter().map(|path| path.ledger.lost_in_ring).sum();
        (requests.count() as f64, lost)
    }

    fn stop(self) {
        match self {
            Self::None => {}
            Self::Host(mut host) => drop(host.stop()),
            Self::Bpftrace(mut child) => {
                kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
                child.wait().expect("it ends");
            }
        }
    }
}
