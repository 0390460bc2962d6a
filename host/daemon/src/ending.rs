//! The end of a daemon: what is on the way is drained, and what became of every record is said.
//!
//! Each wait has an end: a worker, a disk or a change that hangs is left behind and named, and the others are drained all the same.
//! For what nobody thought of there is the [last resort](crate::last_resort).

use std::time::Duration;

use host_api::{Cause, FinalReport, ShadowState};
use host_model::Ledger;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::daemon::{Core, State};
use crate::error::DaemonError;
use crate::last_resort::Accounts;

/// Time for the collector to take what waits at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// Time for the collector where everything else took what there was.
const LEAST: Duration = Duration::from_millis(200);
/// Time for a change of plugins or probes that is under way.
const CHANGE: Duration = Duration::from_millis(500);

/// One thing that ends by itself or is left behind.
struct Leaving {
    name: String,
    task: JoinHandle<()>,
}

/// Time for the collector to take what waits at the end, by the configuration.
pub(crate) fn drain_of(config: &Config) -> Duration {
    config.export.drain.map_or(DRAIN, |drain| drain.0)
}

// === impl Core ===

impl Core {
    /// Ends everything; the first caller's cause counts, and all get the same report.
    pub(crate) async fn stop(&self, cause: Cause) -> FinalReport {
        self.end(cause);
        self.report.get_or_init(|| self.drain()).await.clone()
    }

    /// Makes it time to stop.
    pub(crate) fn end(&self, cause: Cause) {
        self.ending.send_if_modified(|ending| {
            let first = ending.is_none();
            ending.get_or_insert(cause);
            first
        });
        self.resort.arm();
        self.compiler.give_up();
    }

    /// Whether it is time to stop: no change is begun any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.borrow().is_some()
    }

    /// Refuses what would change paths that are being stopped.
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
        // First, so that what it still has goes along the paths of protocols.
        if let Some(trunk) = self.trunk() {
            let name = format!("the router of probe {}", trunk.name());
            self.leave(name, move || trunk.stop()).until(end, &mut hung).await;
        }
        // All at once: one that still has records in its ring must not hold up the others.
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

    /// Ends one thing, on a thread that may hang.
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
        // The process ends now, and with it what is on the way out.
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
    /// Waits until it has ended, or is left behind.
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
