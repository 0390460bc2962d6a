//! The end of a daemon: drains events in flight and accounts for every record.
//!
//! Each wait has a deadline: a worker, a disk or a change that hangs is left behind and named, and the others are still drained.
//! Hangs that have no deadline here are covered by the [last resort](crate::last_resort).

use std::time::Duration;

use host_api::{Cause, FinalReport, ShadowState};
use host_model::Ledger;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::daemon::{Core, State};
use crate::error::DaemonError;
use crate::last_resort::Accounts;

/// Default time for the collector to take queued rows at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// Minimum time for the collector if the other steps used up the rest.
const LEAST: Duration = Duration::from_millis(200);
/// Maximum wait for a change of plugins or probes in progress.
const CHANGE: Duration = Duration::from_millis(500);

/// A task that ends by itself or is left behind.
struct Leaving {
    name: String,
    task: JoinHandle<()>,
}

/// Returns the configured time for the collector to take queued rows at the end.
pub(crate) fn drain_of(config: &Config) -> Duration {
    config.export.drain.map_or(DRAIN, |drain| drain.0)
}

// === impl Core ===

impl Core {
    /// Ends everything. The cause of the first caller counts; all callers get the same report.
    pub(crate) async fn stop(&self, cause: Cause) -> FinalReport {
        self.end(cause);
        self.report.get_or_init(|| self.drain()).await.clone()
    }

    /// Requests the stop, with its cause.
    pub(crate) fn end(&self, cause: Cause) {
        self.ending.send_if_modified(|ending| {
            let first = ending.is_none();
            ending.get_or_insert(cause);
            first
        });
        self.resort.arm();
        self.compiler.give_up();
    }

    /// Whether a stop was requested; no change begins after that.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.borrow().is_some()
    }

    /// Refuses a change of paths that are being stopped.
    pub(crate) fn goes_on(&self) -> Result<(), DaemonError> {
        if self.is_ending() {
            return Err(DaemonError::Ending);
        }
        Ok(())
    }

    async fn drain(&self) -> FinalReport {
        let drain = drain_of(&self.settings.config);
        let end = Instant::from_std(self.resort.arm());
        let mut hung = Vec::new();
        // A path that waits for a collector would never stop.
        self.parts.exporter.be_patient(false);
        let change = self.resort.steps().begin("a change of plugins or probes");
        let changes = tokio::time::timeout(CHANGE, self.changes.lock()).await;
        drop(change);
        if changes.is_err() {
            tracing::warn!("a change of plugins or probes is still under way; it is not waited for");
        }
        self.state().shadows.iter_mut().for_each(|run| run.end(ShadowState::Ended("the host stops".into())));
        // The router first: the records it still holds go to the paths of protocols.
        if let Some(trunk) = self.trunk() {
            let name = format!("the router of probe {}", trunk.name());
            self.leave(name, move || trunk.stop()).until(end, &mut hung).await;
        }
        // All in parallel: a path with records left in its ring must not delay the others.
        let stopping = self.paths().into_iter().map(|path| self.leave(format!("path {}", path.name()), move || path.stop()));
        for stopping in stopping.collect::<Vec<_>>() {
            stopping.until(end, &mut hung).await;
        }
        if let Some(recorder) = self.parts.recorder.clone() {
            self.leave("the capture that is written".into(), move || recorder.finish()).until(end, &mut hung).await;
        }
        if let Some(writer) = self.parts.repro_writer.clone() {
            self.leave("the writer of repros".into(), move || writer.finish()).until(end, &mut hung).await;
        }
        let telling = self.resort.steps().begin("a path that is asked for its ledger");
        let _ = timeout_at(end, self.tell()).await;
        drop(telling);
        let exporting = self.resort.steps().begin("the way out");
        let left = end.saturating_duration_since(Instant::now());
        self.parts.exporter.drain(drain.min(left.max(LEAST))).await;
        drop(exporting);
        self.report_of(&self.state(), hung)
    }

    /// Ends one part on a thread of its own, because it may hang.
    fn leave(&self, name: String, end: impl FnOnce() + Send + 'static) -> Leaving {
        let step = self.resort.steps().begin(name.as_str());
        let task = tokio::task::spawn_blocking(move || {
            end();
            drop(step);
        });
        Leaving { name, task }
    }

    fn report_of(&self, state: &State, hung: Vec<String>) -> FinalReport {
        let trunk = state.trunk.iter().map(|trunk| (trunk.name().to_owned(), trunk.counters.ledger()));
        let paths = state.paths.iter().map(|path| (path.name().to_owned(), path.counters.ledger()));
        let running = paths.chain(trunk);
        let gone = state.gone.iter().map(|(name, counters)| (name.clone(), counters.ledger()));
        let paths: Vec<(String, Ledger)> = running.chain(gone).collect();
        FinalReport {
            balanced: paths.iter().all(|(_, ledger)| ledger.balanced()),
            cause: self.ending.borrow().unwrap_or(Cause::Stop),
            uptime_ms: self.uptime_ms(),
            paths,
            hung,
        }
    }
}

impl Accounts for Core {
    fn try_report(&self, hung: &[String]) -> Option<FinalReport> {
        let state = self.state.try_lock()?;
        let mut report = self.report_of(&state, hung.to_vec());
        // The process ends now; rows in flight are lost.
        for (_, ledger) in &mut report.paths {
            let lost = std::mem::take(&mut ledger.in_flight);
            ledger.dropped_at_export += lost;
            ledger.dropped_at_shutdown += lost;
        }
        Some(report)
    }
}

// === impl Leaving ===

impl Leaving {
    /// Waits until the task has ended or is left behind.
    async fn until(self, end: Instant, hung: &mut Vec<String>) {
        let Self { name, task } = self;
        match timeout_at(end, task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "stopping {name} failed"),
            Err(_) => {
                tracing::error!("{name} does not end and is left behind");
                hung.push(name);
            }
        }
    }
}
