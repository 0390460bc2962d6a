//! The daemon as a whole: start, requests, stop.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use host_api::{Cause, FinalReport, MAX_SWAPS, Origin, Request, Status, Swap};
use host_model::{Lock, PathCounters, Probe};
use tokio::sync::{OnceCell, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::error::DaemonError;
use crate::last_resort::LastResort;
use crate::paths::compose::Parts;
use crate::paths::path::Path;
use crate::paths::trunk::Trunk;
use crate::plugins::compiler::Compiler;
use crate::plugins::shadow::ShadowRun;
use crate::plugins::slots::Slots;
use crate::remnant::Remnant;
use crate::settings::Settings;
use crate::signals::Signals;

/// A running daemon: every probe is attached, every plugin is bound.
///
/// Stop it with [`Daemon::stop`]; dropping it ends its paths but delivers nothing more.
pub struct Daemon {
    pub(crate) core: Arc<Core>,
    /// True once the control socket is to stop answering.
    pub(crate) closed: watch::Sender<bool>,
    pub(crate) server: JoinHandle<()>,
    /// Tasks that watch for the end of the daemon and send its telemetry.
    pub(crate) watchers: Vec<JoinHandle<()>>,
    /// The file that announces readiness.
    pub(crate) ready: Option<Remnant>,
    /// The signal handler, alive as long as the daemon.
    pub(crate) _signals: Signals,
}

/// The state that requests read and change.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) origin: Origin,
    pub(crate) started: Instant,
    pub(crate) start_unix_ns: u64,
    pub(crate) compiler: Compiler,
    pub(crate) parts: Arc<Parts>,
    pub(crate) state: Lock<State>,
    /// Held while slots or probes change, so that changes happen one after the other.
    pub(crate) changes: tokio::sync::Mutex<()>,
    pub(crate) ending: watch::Sender<Option<Cause>>,
    pub(crate) report: OnceCell<FinalReport>,
    /// Permits for changes; limits how many are in progress.
    pub(crate) orders: Arc<Semaphore>,
    /// Ends the process if stopping hangs.
    pub(crate) resort: Arc<LastResort>,
}

/// State that changes while a daemon runs. Locked only for a read or a write, never across a wait.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) slots: Slots,
    pub(crate) paths: Vec<Arc<Path>>,
    /// The probe that sees connections, if loaded; the paths of all protocols depend on it.
    pub(crate) trunk: Option<Arc<Trunk>>,
    /// Probes without a path: failed, unloaded, or not requested.
    pub(crate) idle: Vec<Probe>,
    pub(crate) swaps: VecDeque<Swap>,
    /// At most one for each slot.
    pub(crate) shadows: Vec<ShadowRun>,
    /// Number of shadow runs so far.
    pub(crate) serial: u64,
    /// Paths of probes that were unloaded.
    pub(crate) gone: Vec<(String, Arc<PathCounters>)>,
}

// === impl Daemon ===

impl Daemon {
    /// Returns the requests counted so far, the most frequent first.
    ///
    /// # Errors
    /// A path does not answer.
    pub async fn requests(&self) -> Result<Vec<Request>, DaemonError> {
        self.core.requests().await
    }

    /// Returns the current status.
    pub async fn status(&self) -> Status {
        self.core.status().await
    }

    /// Returns when the daemon is to stop: after a signal, the configured duration, a request over the socket, the end of all captures, or
    /// when the reader of its output has gone.
    pub async fn wait(&self) -> Cause {
        let mut ending = self.core.ending.subscribe();
        let cause = ending.wait_for(Option::is_some).await;
        cause.ok().and_then(|cause| *cause).unwrap_or(Cause::Stop)
    }

    /// Detaches, drains, flushes, and returns the final report of every record.
    pub async fn stop(mut self) -> FinalReport {
        let report = self.core.stop(Cause::Stop).await;
        self.closed.send_replace(true);
        if let Err(error) = (&mut self.server).await {
            tracing::error!(%error, "the control socket's task failed");
        }
        report
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.server.abort();
        self.watchers.iter().for_each(JoinHandle::abort);
        self.ready.iter().for_each(Remnant::remove);
    }
}

// === impl Core ===

impl Core {
    pub(crate) fn paths(&self) -> Vec<Arc<Path>> {
        self.state().paths.clone()
    }

    pub(crate) fn trunk(&self) -> Option<Arc<Trunk>> {
        self.state().trunk.clone()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

// === impl State ===

impl State {
    /// Appends a swap, and drops the oldest if there are too many.
    pub(crate) fn note(&mut self, swap: Swap) {
        if self.swaps.len() >= MAX_SWAPS {
            self.swaps.pop_front();
        }
        self.swaps.push_back(swap);
    }

    pub(crate) fn probes(&self) -> Vec<Probe> {
        let of_paths = self.paths.iter().filter_map(|path| path.probe());
        let of_trunk = self.trunk.iter().map(|trunk| trunk.probe());
        let mut probes: Vec<Probe> = of_paths.chain(of_trunk).chain(self.idle.iter().cloned()).collect();
        probes.sort_by(|a, b| b.built_in.cmp(&a.built_in).then_with(|| a.name.cmp(&b.name)));
        probes
    }
}
