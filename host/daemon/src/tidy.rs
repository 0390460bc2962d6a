//! What compiling leaves behind is given back, when nobody waits for it.

use std::sync::Arc;

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
}
