//! What is done beside the paths: free memory is given back, and a hangup is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::daemon::Core;
use crate::process;

/// When free memory was last given back, and what the process held then.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    rss_bytes: u64,
    given_back: Option<Instant>,
}

/// Growth after which free memory is given back: what compiling, a burst of requests or a collector that did not answer left behind.
const GROWTH_BYTES: u64 = 4 << 20;
/// Shortest time between two times that this is done: whoever allocates meanwhile may wait for milliseconds.
const PAUSE: Duration = Duration::from_secs(5);

// === impl Memory ===

impl Memory {
    /// Gives free memory back if the process has grown since the last time. To be called every few seconds.
    pub(crate) async fn give_back(&mut self) {
        let rss_bytes = process::status().rss_bytes;
        self.rss_bytes = self.rss_bytes.min(rss_bytes);
        let is_recent = self.given_back.is_some_and(|then| then.elapsed() < PAUSE);
        if is_recent || rss_bytes <= self.rss_bytes.saturating_add(GROWTH_BYTES) {
            return;
        }
        // It cannot fail, and nobody waits for what it did.
        let _ = tokio::task::spawn_blocking(host_kernel::give_back).await;
        *self = Self { rss_bytes: process::status().rss_bytes, given_back: Some(Instant::now()) };
    }
}

// === impl Core ===

impl Core {
    /// Says at each hangup what a running host reads again, and whether it can: for as long as the daemon runs.
    pub(crate) async fn answer_hangups(self: Arc<Self>, hangups: Arc<Notify>) {
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
