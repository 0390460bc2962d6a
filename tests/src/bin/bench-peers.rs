//! The cost of an event, beside other tracers: a load opens a file at a rate, each contender traces it in turn, and the additional CPU time
//! of the load plus the CPU time of the tracer is divided by the events.
//!
//! `bench-peers [--rounds N] [--seconds S] [--without NAME]...`, as root.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use host_tests::contender::Contender;
use host_tests::load::Load;
use host_tests::sink::Sink;
use serde_json::{Value, json};

/// Opens per second; 0 is as fast as possible.
const RATES: [u64; 3] = [20_000, 100_000, 0];

/// Samples by index in `RATES` and contender.
type Samples = BTreeMap<(usize, Contender), Vec<Sample>>;

/// One contender at one rate in one round.
struct Sample {
    /// CPU nanoseconds per event of the load itself.
    load_ns: f64,
    /// CPU nanoseconds per event of the tracer.
    agent_ns: f64,
    /// Events per second that the load reached.
    rate: f64,
    lost: u64,
    events: u64,
    rss_bytes: u64,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut rounds, mut seconds) = (5_usize, 2.0_f64);
    let mut contenders = Contender::ALL.to_vec();
    while let Some(name) = arguments.next() {
        let value = arguments.next().expect("a value");
        match name.as_str() {
            "--rounds" => rounds = value.parse().expect("a number"),
            "--seconds" => seconds = value.parse().expect("a number"),
            // All figures are compared with these two.
            "--without" => {
                contenders.retain(|who| who.name() != value || [Contender::Untraced, Contender::Limit].contains(who))
            }
            other => panic!("unknown option {other}"),
        }
    }
    if !PathBuf::from("/sys/kernel/tracing/events").exists() {
        let mounted = Command::new("mount").args(["-t", "tracefs", "none", "/sys/kernel/tracing"]).status();
        assert!(mounted.is_ok_and(|status| status.success()), "tracefs must be mounted: run as root");
    }
    let bench = host_tests::target_folder().join("bench");
    let sink = Sink::start();

    let mut samples = Samples::new();
    for round in 0..rounds {
        for (at, rate) in RATES.into_iter().enumerate() {
            for turn in 0..contenders.len() {
                // Every round starts with another contender, so that none always follows the same one.
                let who = contenders[(turn + round) % contenders.len()];
                eprintln!("round {} of {rounds}: {} at {}", round + 1, who.name(), in_words(rate));
                let sample = measure(who, rate, seconds, &bench.join("limit"), &sink);
                samples.entry((at, who)).or_default().push(sample);
            }
        }
    }
    let table = table(&samples);
    print(&table);
    let result = json!({ "conditions": conditions(rounds, seconds), "rows": table });
    let file = bench.join("peers.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&result).expect("it is JSON")).expect("target/bench can be written");
    eprintln!("written to {}", file.display());
}

fn measure(contender: Contender, rate: u64, seconds: f64, limit: &std::path::Path, sink: &Sink) -> Sample {
    let mut load = Load::paced(rate, seconds);
    let tracer = contender.start(load.pid(), limit, sink);
    tracer.settle();
    let before = tracer.cpu_ns();
    load.go();
    let report = load.report();
    tracer.settle();
    let agent_ns = tracer.cpu_ns() - before;
    let rss_bytes = tracer.rss_bytes();
    let account = tracer.stop();
    let operations = report.operations;
    let unseen = account.got.map_or(0, |got| operations.saturating_sub(got + account.lost));
    Sample {
        load_ns: report.cpu_ns as f64 / operations as f64,
        agent_ns: agent_ns as f64 / operations as f64,
        rate: operations as f64 * 1e9 / report.wall_ns as f64,
        lost: account.lost + unseen,
        events: operations,
        rss_bytes,
    }
}

/// Returns medians per rate and contender, as rows of JSON.
fn table(samples: &Samples) -> Vec<Value> {
    let median_of = |at: usize, who: Contender, of: &dyn Fn(&Sample) -> f64| {
        median(samples.get(&(at, who)).into_iter().flatten().map(of).collect())
    };
    let mut rows = Vec::new();
    for (at, rate) in RATES.into_iter().enumerate() {
        let base = median_of(at, Contender::Untraced, &|sample| sample.load_ns);
        let total = |who: Contender| median_of(at, who, &|sample| sample.load_ns - base + sample.agent_ns);
        for who in Contender::ALL {
            let Some(own) = samples.get(&(at, who)) else { continue };
            rows.push(json!({
                "rate": in_words(rate),
                "tracer": who.name(),
                "added_ns": median_of(at, who, &|sample| sample.load_ns - base).round(),
                "agent_ns": median_of(at, who, &|sample| sample.agent_ns).round(),
                "total_ns": total(who).round(),
                "of_limit": round(total(who) / total(Contender::Limit)),
                "of_opensnoop": round(total(who) / total(Contender::Opensnoop)),
                "reached_per_second": median_of(at, who, &|sample| sample.rate).round(),
                "rate_of_limit": round(median_of(at, who, &|sample| sample.rate) / median_of(at, Contender::Limit, &|sample| sample.rate)),
                "events": own.iter().map(|sample| sample.events).sum::<u64>(),
                "lost": own.iter().map(|sample| sample.lost).sum::<u64>(),
                "rss_bytes": median_of(at, who, &|sample| sample.rss_bytes as f64),
            }));
        }
    }
    rows
}

fn print(rows: &[Value]) {
    println!(
        "| opens/s | tracer | added ns | agent ns | total ns | x limit | x opensnoop | reached/s | x limit | lost | of | RSS MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for row in rows {
        let number = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
        println!(
            "| {} | {} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {:.0} | {:.2} | {} | {} | {:.0} |",
            row["rate"].as_str().unwrap_or_default(),
            row["tracer"].as_str().unwrap_or_default(),
            number("added_ns"),
            number("agent_ns"),
            number("total_ns"),
            number("of_limit"),
            number("of_opensnoop"),
            number("reached_per_second"),
            number("rate_of_limit"),
            row["lost"],
            row["events"],
            number("rss_bytes") / f64::from(1 << 20),
        );
    }
}

/// Returns the conditions that a reader needs to judge the figures.
fn conditions(rounds: usize, seconds: f64) -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let version = |command: &str| {
        let output = Command::new(command).arg("--version").output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    json!({
        "kernel": read("/proc/sys/kernel/osrelease"),
        "cpu": model.trim_start_matches([' ', '\t', ':']),
        "cpus": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "load_average": read("/proc/loadavg"),
        "rounds": rounds,
        "seconds_each": seconds,
        "opensnoop": version("opensnoop"),
        "bpftrace": version("bpftrace"),
        "figures": "medians over the rounds; lost and events are sums",
    })
}

fn in_words(rate: u64) -> String {
    if rate == 0 { "flat out".to_owned() } else { rate.to_string() }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.is_empty() {
        return f64::NAN;
    }
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

fn round(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}
