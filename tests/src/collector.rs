//! A real collector under test: rotel, which `make setup` fetches from PyPI. It counts what it received in its log.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{repository, wait_for};

/// A running collector. Killed when dropped.
pub struct Collector {
    child: Option<Child>,
    folder: tempfile::TempDir,
    grpc: u16,
    http: u16,
}

/// Counts of everything that a collector has received since it was first started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Spans.
    pub spans: u64,
    /// Metrics, not their points.
    pub metrics: u64,
    /// Log records.
    pub logs: u64,
}

// === impl Collector ===

impl Collector {
    /// Starts a collector on two free ports of loopback; None if it is not installed, which is reported as a skip.
    #[must_use]
    pub fn start() -> Option<Self> {
        if !agent().exists() {
            crate::turn::skip("needs rotel, which `make setup` could not install");
            return None;
        }
        // Both ports are bound until both are known, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [grpc, http] = free.each_ref().map(|listener| listener.local_addr().unwrap().port());
        drop(free);
        let mut collector = Self { child: None, folder: tempfile::tempdir().unwrap(), grpc, http };
        collector.resume();
        Some(collector)
    }

    /// Starts it again after [`Collector::stop`], on the same ports.
    ///
    /// # Panics
    /// The collector does not listen within a minute.
    pub fn resume(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(agent());
        command.args(["start", "--exporter", "blackhole", "--log-format", "json"]);
        command.args(["--debug-log", "traces", "--debug-log", "metrics", "--debug-log", "logs"]);
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{}", self.grpc)]);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{}", self.http)]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let listens = |port: u16| TcpStream::connect(("127.0.0.1", port)).is_ok();
        wait_for("the collector", Duration::from_secs(60), || (listens(self.grpc) && listens(self.http)).then_some(()));
    }

    /// Ends it; its ports are free until [`Collector::resume`]. Everything that it accepted is counted.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM);
            let _ = child.wait();
        }
    }

    /// Returns its gRPC endpoint.
    #[must_use]
    pub fn grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// Returns its HTTP endpoint.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Returns the counts of everything it has received.
    #[must_use]
    pub fn received(&self) -> Received {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let mut received = Received::default();
        for line in log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
            let count = |key: &str| line.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
            received.spans += count("spans");
            received.metrics += count("metrics");
            received.logs += count("logs");
        }
        received
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns the binary: `ROTEL_BIN`, or the one that `make setup` fetched.
fn agent() -> PathBuf {
    std::env::var_os("ROTEL_BIN").map_or_else(|| repository().join("target/rotel/rotel-agent"), PathBuf::from)
}
