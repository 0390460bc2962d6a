//! What is done beside the paths: what compiling leaves behind is given back, and a hangup is answered.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::daemon::Core;

// === impl Core ===

impl Core {
    /// Called about every ten seconds. Gives free memory back if something was compiled since.
    pub(crate) async fn tidy(self: &Arc<Self>) {
        if std::mem::take(&mut self.state().compiled) {
            // It cannot fail, and nobody waits for what it did.
            let _ = tokio::task::spawn_blocking(host_kernel::give_back).await;
        }
    }

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
