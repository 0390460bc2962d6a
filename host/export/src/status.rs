//! The status of the exporter: figures for the status page, and rate-limited log lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use host_model::Lock;

use crate::deliver::signal::Signal;

/// Minimum interval between log lines of the same complaint.
const INTERVAL: Duration = Duration::from_secs(60);

/// The state of an exporter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportStatus {
    /// The URL of the collector; None without one.
    pub endpoint: Option<String>,
    /// Number of encoded bytes that wait.
    pub queue_bytes: u64,
    /// Maximum number of bytes that wait.
    pub queue_cap_bytes: u64,
    /// The last error of the collector, or of the transport. Printable.
    pub last_error: Option<String>,
    /// Number of attempts that had to be repeated.
    pub retries: u64,
    /// Number of accepted requests.
    pub requests: u64,
    /// Bytes of the accepted requests.
    pub sent_bytes: u64,
    /// Number of values of payload and identity fields that were not exported.
    pub withheld_values: u64,
    /// Number of rows that a view beside the collector had no room for.
    pub unseen_rows: u64,
    /// Whether the reader of the output has gone.
    pub output_closed: bool,
}

/// Counters that sinks and deliverers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub withheld: AtomicU64,
    pub unseen: AtomicU64,
    retries: AtomicU64,
    requests: AtomicU64,
    sent_bytes: AtomicU64,
    last_error: Lock<Option<String>>,
    away: [AtomicBool; 3],
    complaints: [Lock<Complaint>; 3],
    draining: watch::Sender<bool>,
    gave_up: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Complaint {
    last: Option<Instant>,
    rows: u64,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            withheld: AtomicU64::new(0),
            unseen: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            last_error: Lock::default(),
            away: Default::default(),
            complaints: Default::default(),
            draining: watch::Sender::new(false),
            gave_up: watch::Sender::new(false),
        })
    }

    /// Fills in the counters held here.
    pub(crate) fn fill(&self, status: &mut ExportStatus) {
        status.last_error = self.last_error.lock().clone();
        status.retries = self.retries.load(Relaxed);
        status.requests = self.requests.load(Relaxed);
        status.sent_bytes = self.sent_bytes.load(Relaxed);
        status.withheld_values = self.withheld.load(Relaxed);
        status.unseen_rows = self.unseen.load(Relaxed);
    }

    /// Counts an accepted request.
    pub(crate) fn sent(&self, bytes: u64) {
        self.requests.fetch_add(1, Relaxed);
        self.sent_bytes.fetch_add(bytes, Relaxed);
    }

    /// Notes that the collector answers; logged once after an outage.
    pub(crate) fn reached(&self, signal: Signal) {
        if self.away(signal).swap(false, Relaxed) {
            tracing::info!(signal = signal.name(), "the collector takes {} again", signal.name());
        }
    }

    /// Notes that an attempt has to be repeated; logged once per outage.
    pub(crate) fn retried(&self, signal: Signal, reason: &str) {
        let reason = host_model::printable(reason, 512);
        self.retries.fetch_add(1, Relaxed);
        if !self.away(signal).swap(true, Relaxed) {
            tracing::warn!(signal = signal.name(), "the collector does not take {}: {reason}; trying again", signal.name());
        }
        self.failed(signal, &reason);
    }

    /// Notes that the collector refused rows finally.
    pub(crate) fn refused(&self, signal: Signal, rows: u64, reason: &str) {
        self.failed(signal, reason);
        self.complain(signal, rows, |rows| {
            tracing::error!(signal = signal.name(), rows, "the collector refused {}: {reason}", signal.name());
        });
    }

    /// Notes that the collector accepted a request but rejected rows, or sent a message.
    pub(crate) fn partial(&self, signal: Signal, rows: u64, message: &str) {
        if rows > 0 {
            self.failed(signal, message);
        }
        self.complain(signal, rows, |rows| {
            tracing::warn!(signal = signal.name(), rows, "the collector left out {}: {message}", signal.name());
        });
    }

    /// Waits before the next attempt; shorter when the exporter starts to drain, which is worth an attempt.
    pub(crate) async fn pause(&self, wait: Duration) {
        let mut draining = self.draining.subscribe();
        if *draining.borrow_and_update() {
            tokio::time::sleep(wait).await;
        } else {
            let _ = tokio::time::timeout(wait, draining.changed()).await;
        }
    }

    /// Ends pauses.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Gives up everything that has not been delivered by now.
    pub(crate) fn give_up(&self) {
        self.gave_up.send_replace(true);
    }

    /// Returns once undelivered rows are to be given up.
    pub(crate) async fn given_up(&self) {
        let _ = self.gave_up.subscribe().wait_for(|gave_up| *gave_up).await;
    }

    fn failed(&self, signal: Signal, reason: &str) {
        let text = format!("{}: {reason}", signal.name());
        *self.last_error.lock() = Some(text);
    }

    fn away(&self, signal: Signal) -> &AtomicBool {
        let [traces, metrics, logs] = &self.away;
        match signal {
            Signal::Traces => traces,
            Signal::Metrics => metrics,
            Signal::Logs => logs,
        }
    }

    /// Logs at most once per interval, with the rows of all complaints since.
    fn complain(&self, signal: Signal, rows: u64, log: impl FnOnce(u64)) {
        let [traces, metrics, logs] = &self.complaints;
        let complaint = match signal {
            Signal::Traces => traces,
            Signal::Metrics => metrics,
            Signal::Logs => logs,
        };
        let mut complaint = complaint.lock();
        complaint.rows += rows;
        if complaint.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            complaint.last = Some(Instant::now());
            log(std::mem::take(&mut complaint.rows));
        }
    }
}
