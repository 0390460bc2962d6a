//! The daemon as a whole: started, asked, stopped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use host_model::{PathCounters, Probe};
use tokio::sync::{OnceCell, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::compiler::Compiler;
use crate::control::message::{Refusal, SlotGeneration};
use crate::last_resort::LastResort;
use crate::path::Path;
use crate::process;
use crate::remnant::Remnant;
use crate::repro::{Repro, ReproSummary};
use crate::requests::Request;
use crate::settings::Settings;
use crate::shadow::ShadowRun;
use crate::signals::Signals;
use crate::slots::{Generation, Slots};
use crate::status::{Cause, ExportStatus, FinalReport, MAX_SWAPS, Origin, PathStatus, PluginOnPath, Status, Swap};
use crate::telemetry;
use crate::trunk::Trunk;
use crate::wiring::Parts;

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
    pub(crate) state: Mutex<State>,
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
    pub async fn requests(&self) -> Result<Vec<Request>, Refusal> {
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
    pub(crate) async fn status(&self) -> Status {
        let paths = self.path_statuses().await;
        let export = self.parts.exporter.status();
        let state = self.state();
        Status {
            balanced: paths.iter().all(|path| path.ledger.balanced()),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_ms: self.uptime_ms(),
            mode: self.origin,
            paths,
            probes: state.probes(),
            swaps: state.swaps.iter().cloned().collect(),
            export: ExportStatus {
                endpoint: export.endpoint,
                queue_bytes: export.queue_bytes,
                queue_cap_bytes: export.queue_cap_bytes,
                last_error: export.last_error,
                retries: export.retries,
            },
            process: process::status(),
        }
    }

    pub(crate) async fn plugins(&self) -> Vec<PluginOnPath> {
        let on_path =
            |path: PathStatus| path.plugins.into_iter().map(move |plugin| PluginOnPath { path: path.probe.clone(), plugin });
        self.path_statuses().await.into_iter().flat_map(on_path).collect()
    }

    pub(crate) fn slots(&self) -> Vec<SlotGeneration> {
        let slots = self.state().slots.clone();
        let told = |(generation, live): (&Arc<Generation>, bool)| {
            let faults = self.stats_of(generation).iter().map(|stats| stats.offences()).sum();
            generation.told(live, if live { faults } else { 0 })
        };
        slots.generations().map(told).collect()
    }

    pub(crate) fn probes(&self) -> Vec<Probe> {
        self.state().probes()
    }

    /// The calls that failed and are kept, newest first.
    pub(crate) async fn repros(&self) -> Vec<ReproSummary> {
        let Some(shelf) = self.parts.shelf.clone() else { return Vec::new() };
        tokio::task::spawn_blocking(move || shelf.list()).await.unwrap_or_default()
    }

    /// All about one of them.
    pub(crate) async fn repro(&self, id: String) -> Result<Repro, Refusal> {
        let Some(shelf) = self.parts.shelf.clone() else {
            return Err(Refusal::new(
                "repro",
                "this host keeps no calls that failed",
                "give it a `state_dir` that it may write to",
            ));
        };
        tokio::task::spawn_blocking(move || shelf.find(&id)).await.map_err(|error| lost(&error))?
    }

    /// Sends the host's own metrics.
    pub(crate) async fn tell(&self) {
        let metrics = telemetry::metrics(&self.status().await, &self.shadows(), self.start_unix_ns, unix_ns());
        self.parts.exporter.telemetry(&metrics);
    }

    pub(crate) fn paths(&self) -> Vec<Arc<Path>> {
        self.state().paths.clone()
    }

    pub(crate) fn trunk(&self) -> Option<Arc<Trunk>> {
        self.state().trunk.clone()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn path_statuses(&self) -> Vec<PathStatus> {
        let (paths, trunk) = (self.paths(), self.trunk());
        let asked = tokio::task::spawn_blocking(move || {
            let (lanes, others): (Vec<_>, Vec<_>) = paths.iter().partition(|path| path.is_lane());
            let of = |path: &&Arc<Path>| path.status();
            others.iter().map(of).chain(trunk.map(|trunk| trunk.status())).chain(lanes.iter().map(of)).collect()
        });
        asked.await.unwrap_or_default()
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

    fn probes(&self) -> Vec<Probe> {
        let of_paths = self.paths.iter().filter_map(|path| path.probe());
        let of_trunk = self.trunk.iter().map(|trunk| trunk.probe());
        let mut probes: Vec<Probe> = of_paths.chain(of_trunk).chain(self.idle.iter().cloned()).collect();
        probes.sort_by(|a, b| b.built_in.cmp(&a.built_in).then_with(|| a.name.cmp(&b.name)));
        probes
    }
}

/// Unix time, nanoseconds.
pub(crate) fn unix_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Unix time, milliseconds.
pub(crate) fn unix_ms() -> u64 {
    unix_ns() / 1_000_000
}

/// What cannot be done because a task ended in a way that it never should.
pub(crate) fn lost(error: &tokio::task::JoinError) -> Refusal {
    Refusal::new("internal", error.to_string(), "this is a fault of the host; see its log")
}
