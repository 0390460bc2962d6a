//! The contenders of `make bench-peers`: each traces openat of one process with path and latency.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::Host;
use crate::sink::Sink;
use crate::{kernel, process, wait_for};

/// A tracer, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// No tracer: the cost of the traced program by itself.
    Untraced,
    /// The bare C reader in tests/benches/limit.
    Limit,
    /// `host`, a Wasm decoder and sampler that keep everything, a Wasm enricher, OTLP to a sink.
    Ours,
    /// Like `Ours`, but the sampler keeps one in ten.
    OursSampled,
    /// opensnoop of Debian's libbpf-tools.
    Opensnoop,
    /// bpftrace of Debian.
    Bpftrace,
}

/// A running contender.
pub struct Running {
    agent: Agent,
}

enum Agent {
    None,
    Limit(Child),
    Host(Box<Host>),
    Tool(Child, PathBuf),
}

/// A contender's own report of its losses.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// Number of events that it got, if it counts them.
    pub got: Option<u64>,
    /// Number of events that it reports as lost.
    pub lost: u64,
}

// === impl Contender ===

impl Contender {
    /// All contenders, in the order of a round.
    pub const ALL: [Self; 6] = [Self::Untraced, Self::Limit, Self::Ours, Self::OursSampled, Self::Opensnoop, Self::Bpftrace];

    /// Returns its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Untraced => "untraced",
            Self::Limit => "limit",
            Self::Ours => "host",
            Self::OursSampled => "host, 1 in 10",
            Self::Opensnoop => "opensnoop",
            Self::Bpftrace => "bpftrace",
        }
    }

    /// Starts it on the process `pid` and waits until it traces.
    ///
    /// # Panics
    /// The contender cannot be started.
    #[must_use]
    pub fn start(self, pid: u32, limit: &Path, sink: &Sink) -> Running {
        let pid = pid.to_string();
        let agent = match self {
            Self::Untraced => Agent::None,
            Self::Limit => {
                let mut command = Command::new(limit.join("limit"));
                let mut child = command.arg(limit.join("limit.bpf.o")).arg(&pid).stdout(Stdio::piped()).spawn().unwrap();
                let mut first = [0; 6];
                child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
                assert_eq!(&first, b"ready\n");
                Agent::Limit(child)
            }
            Self::Ours => Agent::Host(Box::new(host(&pid, sink, "1.0"))),
            Self::OursSampled => Agent::Host(Box::new(host(&pid, sink, "0.1"))),
            Self::Opensnoop => tool(Command::new("opensnoop").args(["--pid", &pid]), &pid),
            Self::Bpftrace => {
                let script = format!(
                    "tracepoint:syscalls:sys_enter_openat /pid == {pid}/ {{ @start[tid] = nsecs; @path[tid] = args->filename; }} \
                     tracepoint:syscalls:sys_exit_openat /@start[tid]/ \
                     {{ printf(\"%d %d %s\\n\", args->ret, nsecs - @start[tid], str(@path[tid])); delete(@start[tid]); delete(@path[tid]); }}"
                );
                tool(Command::new("bpftrace").args(["-e", &script]), &pid)
            }
        };
        Running { agent }
    }
}

fn host(pid: &str, sink: &Sink, ratio: &str) -> Host {
    let config = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    fs::write(config.path(), format!("[plugins.sampler]\ncomponent = \"sampler-ratio\"\nconfig = {{ ratio = {ratio} }}\n"))
        .unwrap();
    let config_path = config.path().to_str().unwrap();
    let arguments = ["--config", config_path, "--probe", "file", "--pid", pid, "--otlp-endpoint", &sink.endpoint()];
    Host::run_with(&arguments, |command, _| {
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    })
}

/// Starts a tool that does not report when it is ready: it is once its programs are in the kernel and their number is stable.
fn tool(command: &mut Command, pid: &str) -> Agent {
    let talk = std::env::temp_dir().join(format!("host-bench-{}-{pid}", std::process::id()));
    let before = kernel::held().programs.len();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&talk).unwrap()).spawn().unwrap();
    let agent = Agent::Tool(child, talk);
    let (mut last, mut still) = (before, 0);
    wait_for("the tool to attach", Duration::from_secs(30), || {
        let now = kernel::held().programs.len();
        still = if now == last && now > before { still + 1 } else { 0 };
        last = now;
        (still > 150).then_some(())
    });
    agent
}

// === impl Agent ===

impl Drop for Agent {
    fn drop(&mut self) {
        if let Self::Limit(child) | Self::Tool(child, _) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

// === impl Running ===

impl Running {
    /// Returns the CPU nanoseconds of the tracer so far.
    #[must_use]
    pub fn cpu_ns(&self) -> u64 {
        self.pid().map_or(0, process::cpu_ns)
    }

    /// Returns the resident memory of the tracer, bytes.
    #[must_use]
    pub fn rss_bytes(&self) -> u64 {
        self.pid().map_or(0, process::rss_bytes)
    }

    /// Waits until the tracer has processed its events: until it needs less than 1 % of a CPU.
    pub fn settle(&self) {
        for _ in 0..100 {
            let before = self.cpu_ns();
            std::thread::sleep(Duration::from_millis(60));
            if self.cpu_ns() - before < 600_000 {
                return;
            }
        }
    }

    fn pid(&self) -> Option<u32> {
        match &self.agent {
            Agent::None => None,
            Agent::Limit(child) | Agent::Tool(child, _) => Some(child.id()),
            Agent::Host(host) => Some(host.pid()),
        }
    }

    /// Ends the tracer and returns its report.
    ///
    /// # Panics
    /// The tracer gives no report.
    #[must_use]
    pub fn stop(mut self) -> Account {
        match &mut self.agent {
            Agent::None => Account { got: None, lost: 0 },
            Agent::Limit(child) => {
                kill_process(Pid::from_child(child), Signal::TERM).unwrap();
                let mut line = String::new();
                BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
                child.wait().unwrap();
                let account: serde_json::Value = serde_json::from_str(&line).unwrap();
                Account { got: account["events"].as_u64(), lost: account["lost"].as_u64().unwrap() }
            }
            Agent::Host(host) => {
                let ledger = host.status().ledger("file");
                host.stop();
                Account { got: Some(ledger.received), lost: ledger.lost_in_ring + ledger.dropped_at_export }
            }
            Agent::Tool(child, talk) => {
                kill_process(Pid::from_child(child), Signal::INT).unwrap();
                child.wait().unwrap();
                let said = fs::read_to_string(&*talk).unwrap();
                let _ = fs::remove_file(talk);
                // Both print "Lost N events".
                let counts = said.to_lowercase();
                let counts =
                    counts.split("lost ").skip(1).filter_map(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
                Account { got: None, lost: counts.sum() }
            }
        }
    }
}
