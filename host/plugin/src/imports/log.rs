//! Writes lines to the host's log, under the plugin's name and with a rate limit.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_model::{CallStats, PluginId, printable};

use super::Imports;
use crate::version::v0_1::probe::plugin::log::{Host, Level};

/// Maximum number of bytes of a line; the rest is cut.
pub(super) const LINE: usize = 1024;

/// The log of one plugin.
pub(super) struct Log {
    plugin: String,
    rate: Rate,
    stats: Arc<CallStats>,
}

/// A limit of lines per second.
struct Rate {
    per_second: u32,
    since: Instant,
    written: u32,
    suppressed: u64,
}

// === impl Log ===

impl Log {
    pub(super) fn new(id: &PluginId, per_second: u32, stats: Arc<CallStats>) -> Self {
        let rate = Rate { per_second, since: Instant::now(), written: 0, suppressed: 0 };
        Self { plugin: printable(&id.to_string(), 256), rate, stats }
    }

    pub(super) fn write(&mut self, level: Level, message: &str) {
        let plugin = &self.plugin;
        let Some(suppressed) = self.rate.admit(Instant::now()) else {
            self.stats.lines_left_out.fetch_add(1, Relaxed);
            return;
        };
        if suppressed > 0 {
            tracing::warn!(target: "plugin", plugin, suppressed, "lines over the rate limit were left out");
        }
        let line = printable(message, LINE);
        match level {
            Level::Debug => tracing::debug!(target: "plugin", plugin, "{line}"),
            Level::Info => tracing::info!(target: "plugin", plugin, "{line}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, "{line}"),
            Level::Error => tracing::error!(target: "plugin", plugin, "{line}"),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.rate.suppressed > 0 {
            tracing::warn!(target: "plugin", plugin = self.plugin, suppressed = self.rate.suppressed, "lines over the rate limit were left out");
        }
    }
}

impl Host for Imports {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.crossed()?;
        // The reader of the host's log may be slow.
        self.waiting(|imports| imports.rates.log().write(level, &message));
        if level == Level::Error {
            self.under_way.said(message);
        }
        Ok(())
    }
}

// === impl Rate ===

impl Rate {
    /// Returns the number of lines left out since the last one that was written; None if this one is left out as well.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            self.since = now;
            self.written = 0;
        }
        if self.written >= self.per_second {
            self.suppressed += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_over_the_rate_are_counted_and_not_written() {
        let start = Instant::now();
        let mut rate = Rate { per_second: 2, since: start, written: 0, suppressed: 0 };
        assert_eq!(
            [rate.admit(start), rate.admit(start), rate.admit(start), rate.admit(start)],
            [Some(0), Some(0), None, None]
        );
        assert_eq!(rate.admit(start + Duration::from_secs(1)), Some(2));
    }
}
