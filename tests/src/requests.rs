//! The host's counts of requests, beside those of clients.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use crate::daemon::Host;

/// One line of `host requests --format json`; scripts rely on these names.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs, reason = "the names are the contract")]
pub struct Request {
    pub protocol: String,
    pub role: String,
    pub comm: String,
    pub server_port: u16,
    pub method: String,
    pub route: String,
    pub status: String,
    pub count: u64,
    pub errors: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
}

/// A selection of requests.
#[derive(Debug, Clone, Default)]
pub struct Requests(pub Vec<Request>);

// === impl Host ===

impl Host {
    /// Returns the lines of `host requests`.
    ///
    /// # Panics
    /// The host returns none, or other JSON than the contract says.
    #[must_use]
    pub fn requests(&self) -> Requests {
        let output = self.ask(&["requests", "--format", "json"]);
        assert!(output.status.success(), "host requests: {}\n{}", crate::daemon::stderr(&output), self.stderr());
        Requests(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// Returns the requests once all events have passed along the paths.
    ///
    /// # Panics
    /// The paths do not run dry within 30 s.
    #[must_use]
    pub fn settled_requests(&self) -> Requests {
        self.status_when("the paths to run dry", Duration::from_secs(30), |status| {
            let dry =
                |path: &crate::daemon::PathStatus| path.ledger.received + path.ledger.lost_in_ring == path.ledger.produced;
            status.balanced && status.paths.iter().all(dry)
        });
        self.requests()
    }
}

// === impl Requests ===

impl Requests {
    /// Returns those of one protocol at one end of the connections to one port.
    #[must_use]
    pub fn of(&self, protocol: &str, role: &str, port: u16) -> Self {
        let of = |request: &&Request| request.protocol == protocol && request.role == role && request.server_port == port;
        Self(self.0.iter().filter(of).cloned().collect())
    }

    /// Returns those that satisfy a condition.
    #[must_use]
    pub fn filter(&self, condition: impl Fn(&Request) -> bool) -> Self {
        Self(self.0.iter().filter(|request| condition(request)).cloned().collect())
    }

    /// Returns the number of requests.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|request| request.count).sum()
    }

    /// Returns the number of requests of one method.
    #[must_use]
    pub fn method(&self, method: &str) -> u64 {
        self.filter(|request| request.method == method).count()
    }

    /// Returns the number of failed requests.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.0.iter().map(|request| request.errors).sum()
    }

    /// Returns the median duration of the largest group.
    #[must_use]
    pub fn median(&self) -> Duration {
        let largest = self.0.iter().max_by_key(|request| request.count);
        Duration::from_nanos(largest.map_or(0, |request| request.p50_ns))
    }
}

/// Runs a client to its end; returns its output.
///
/// # Panics
/// The client is not installed or fails.
pub fn client(program: &str, arguments: &[&str]) -> String {
    let binary = crate::server::find(program).unwrap_or_else(|| panic!("{program} is not installed: run `make setup`"));
    let output = Command::new(binary).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{text}", output.status);
    text
}

/// Returns the number that follows `before` in a text, such as `requests: 12.5`.
///
/// # Panics
/// There is no such number.
#[must_use]
pub fn number_after(text: &str, before: &str) -> f64 {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {text}")).1.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end].parse().unwrap_or_else(|_| panic!("no number behind {before:?} in {text}"))
}
