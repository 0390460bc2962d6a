//! The status of the daemon, as `host status` shows it.

use std::sync::Arc;

use host_api::{ExportStatus, PathStatus, Status};

use crate::daemon::Core;
use crate::paths::path::Path;
use crate::report::process;

// === impl Core ===

impl Core {
    /// Returns the current status of the daemon.
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

    /// Returns the status of every path: those of probes, then the trunk, then those of its protocols.
    pub(crate) async fn path_statuses(&self) -> Vec<PathStatus> {
        let (paths, trunk) = (self.paths(), self.trunk());
        let asked = tokio::task::spawn_blocking(move || {
            let (lanes, others): (Vec<_>, Vec<_>) = paths.iter().partition(|path| path.is_lane());
            let of = |path: &&Arc<Path>| path.status();
            others.iter().map(of).chain(trunk.map(|trunk| trunk.status())).chain(lanes.iter().map(of)).collect()
        });
        asked.await.unwrap_or_default()
    }
}
