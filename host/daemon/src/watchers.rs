//! Background tasks beside the paths: the end of the daemon, hangups, quarantine, its own telemetry and memory.

use std::sync::Arc;
use std::time::Duration;

use host_api::{Cause, Origin};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::clock::unix_ns;
use crate::daemon::Core;
use crate::report::telemetry;
use crate::resident::Resident;
use crate::signals::Signals;

/// Polling interval for the end of a replay.
const LOOK: Duration = Duration::from_millis(10);
/// Default interval of the host's own metrics.
const TELL: Duration = Duration::from_secs(10);

/// Starts the tasks that watch for the end of the daemon and send its telemetry.
pub(crate) fn watch(core: &Arc<Core>, signals: &Signals) -> Vec<JoinHandle<()>> {
    let of = |core: &Arc<Core>| Arc::clone(core);
    let mut watchers = Vec::new();
    let (ends, ended) = (of(core), signals.ended());
    watchers.push(tokio::spawn(async move {
        ended.await;
        ends.end(Cause::Signal);
    }));
    watchers.push(tokio::spawn(of(core).answer_hangups(signals.hangups())));
    if let Some(duration) = core.settings.duration {
        let ends = of(core);
        watchers.push(tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            ends.end(Cause::Duration);
        }));
    }
    if core.origin == Origin::Replay {
        let ends = of(core);
        watchers.push(tokio::spawn(async move {
            let finished = |core: &Core| {
                core.trunk().is_none_or(|trunk| trunk.finished()) && core.paths().iter().all(|path| path.finished())
            };
            while !finished(&ends) {
                tokio::time::sleep(LOOK).await;
            }
            ends.end(Cause::Ended);
        }));
    }
    let ends = of(core);
    watchers.push(tokio::spawn(async move {
        ends.parts.exporter.output_closed().await;
        ends.end(Cause::Closed);
    }));
    watchers.push(tokio::spawn(of(core).look_after_quarantine()));
    let tells = of(core);
    let interval = core.settings.config.telemetry.interval.map_or(TELL, |interval| interval.0.max(Duration::from_millis(100)));
    watchers.push(tokio::spawn(async move {
        let mut resident = Resident::default();
        loop {
            tokio::time::sleep(interval).await;
            tells.tell().await;
            resident.give_back().await;
        }
    }));
    watchers
}

// === impl Core ===

impl Core {
    /// Sends the host's own metrics.
    pub(crate) async fn tell(&self) {
        let metrics = telemetry::metrics(&self.status().await, &self.shadows(), self.start_unix_ns, unix_ns());
        self.parts.exporter.telemetry(&metrics);
    }

    /// Logs at each hangup what a running host reads again, and whether it can read it; runs as long as the daemon.
    async fn answer_hangups(self: Arc<Self>, hangups: Arc<Notify>) {
        loop {
            hangups.notified().await;
            let core = Arc::clone(&self);
            let read = tokio::task::spawn_blocking(move || core.settings.config.with_rules_of_now().map(drop)).await;
            match (read, &self.settings.config.file) {
                (Ok(Ok(())), Some(file)) => tracing::info!(
                    "SIGHUP: {} is sound; its [plugins], [grants] and [signers] hold from the next `host plugin load`, all else from \
                     the next start",
                    file.display()
                ),
                (Ok(Ok(())), None) => tracing::info!("SIGHUP: there is no configuration file to be read again; it is ignored"),
                (Ok(Err(error)), _) => {
                    tracing::warn!("SIGHUP: the configuration is not sound, and what was read before holds: {error}")
                }
                (Err(error), _) => tracing::error!(%error, "SIGHUP: the configuration could not be looked at"),
            }
        }
    }
}
