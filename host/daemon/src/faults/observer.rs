//! Fault handling on the worker thread of a path, which must be short: log at a limited rate, offer a repro, wake the task that handles
//! quarantine.

use std::sync::Arc;
use std::time::Instant;

use host_model::{Digest, Fault, FaultKind, Input, Layout, Lock, Observer};
use tokio::sync::Notify;

use super::repro::writer::Writer;
use super::seldom::Seldom;

/// Observer of the plugins of one path.
pub(crate) struct Watch {
    pub(crate) probe: Arc<str>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) told: Lock<Seldom<(Arc<str>, Digest, FaultKind)>>,
    pub(crate) writer: Option<Arc<Writer>>,
    /// Notified for every batch that a plugin in quarantine did not see.
    pub(crate) given_up: Arc<Notify>,
}

// === impl Watch ===

impl Observer for Watch {
    fn fault(&self, fault: &Fault, input: Input<'_>) {
        if fault.kind == FaultKind::Quarantined {
            self.given_up.notify_one();
        }
        let key = (Arc::clone(&fault.plugin.slot), fault.plugin.digest, fault.kind);
        let due = self.told.lock().due(key, Instant::now());
        if let Some(since) = due {
            let Fault { plugin, step, kind, detail } = fault;
            tracing::warn!(path = %self.probe, %plugin, digest = %plugin.digest, step, %kind, since, "{detail}");
        }
        if let Some(writer) = &self.writer {
            writer.offer(&self.probe, &self.layout, fault, input);
        }
    }
}
