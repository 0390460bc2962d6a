//! Requests for repros: failed calls that are stored.

use host_api::{Repro, ReproSummary, Step};

use crate::daemon::Core;
use crate::error::DaemonError;

// === impl Core ===

impl Core {
    /// Returns the repros, newest first.
    pub(crate) async fn repros(&self) -> Vec<ReproSummary> {
        let Some(store) = self.parts.repros.clone() else { return Vec::new() };
        tokio::task::spawn_blocking(move || store.list()).await.unwrap_or_default()
    }

    /// Returns one repro in full.
    pub(crate) async fn repro(&self, id: String) -> Result<Repro, DaemonError> {
        let Some(store) = self.parts.repros.clone() else {
            return Err(DaemonError::new(
                Step::Repro,
                "this host keeps no calls that failed",
                "give it a `state_dir` that it may write to",
            ));
        };
        tokio::task::spawn_blocking(move || store.find(&id)).await?
    }
}
