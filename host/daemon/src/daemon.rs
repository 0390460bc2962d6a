//! The daemon as a whole: started, asked, stopped.

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

/// A daemon that runs: every probe is attached, every plugin is bound.
///
/// Stop it with [`Daemon::stop`]; one that is dropped ends its paths, but delivers nothing more.
pub struct Daemon {
    pub(crate) core: Arc<Core>,
    /// The control socket answers until this is true.
    pub(crate) closed: watch::Sender<bool>,
    pub(crate) server: JoinHandle<()>,
    /// Watch for what ends the daemon, and send its telemetry.
    pub(crate) watchers: Vec<JoinHandle<()>>,
    /// The file that says that it is ready.
    pub(crate) ready: Option<Remnant>,
    /// Heard as long as it runs.
    pub(crate) _signals: Signals,
}

/// Everything that may be asked of a daemon.
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
    /// Leave to begin a change.
    pub(crate) orders: Arc<Semaphore>,
    /// Ends the process if stopping hangs.
    pub(crate) resort: Arc<LastResort>,
}

/// What changes while a daemon runs. Held only to look or to put; never while something is waited for.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) slots: Slots,
    pub(crate) paths: Vec<Arc<Path>>,
    /// The probe that sees connections, if it is loaded: the paths of protocols hang on it.
    pub(crate) trunk: Option<Arc<Trunk>>,
    /// Probes without a path: failed, unloaded, or not asked for.
    pub(crate) idle: Vec<Probe>,
    pub(crate) swaps: VecDeque<Swap>,
    /// At most one for each slot.
    pub(crate) shadows: Vec<ShadowRun>,
    /// Shadow runs there have been.
    pub(crate) serial: u64,
    /// Paths of probes that were unloaded.
    pub(crate) gone: Vec<(String, Arc<PathCounters>)>,
}

// === impl Daemon ===

impl Daemon {
    /// The requests that were counted, the most frequent first.
    ///
    /// # Errors
    /// A path does not answer.
    pub async fn requests(&self) -> Result<Vec<Request>, DaemonError> {
        self.core.requests().await
    }

    /// What it is doing.
    pub async fn status(&self) -> Status {
        self.core.status().await
    }

    /// Returns when it is time to stop: after a signal, the time it was given, a request over the socket, the end of all
    /// captures, or when nobody reads its output any more.
    pub async fn wait(&self) -> Cause {
        let mut ending = self.core.ending.subscribe();
        let cause = ending.wait_for(Option::is_some).await;
        cause.ok().and_then(|cause| *cause).unwrap_or(Cause::Stop)
    }

    /// Detaches, drains, flushes, and says what became of every record.
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
    /// Remembers a swap, and forgets the oldest if there are too many.
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
