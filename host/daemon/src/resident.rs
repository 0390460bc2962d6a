//! Resident memory: what is free is given back to the kernel when the process has grown.

use std::time::{Duration, Instant};

use crate::report::process;

/// Resident memory at the last time that free memory was given back.
#[derive(Debug, Default)]
pub(crate) struct Resident {
    bytes: u64,
    given_back: Option<Instant>,
}

/// Growth after which free memory is given back: what compiling, a burst of requests or a collector that did not answer left behind.
const GROWTH_BYTES: u64 = 4 << 20;
/// Shortest time between two times that this is done: whoever allocates meanwhile may wait for milliseconds.
const PAUSE: Duration = Duration::from_secs(5);

// === impl Resident ===

impl Resident {
    /// Gives free memory back if the process has grown since the last time. To be called every few seconds.
    pub(crate) async fn give_back(&mut self) {
        let bytes = process::status().rss_bytes;
        self.bytes = self.bytes.min(bytes);
        let is_recent = self.given_back.is_some_and(|then| then.elapsed() < PAUSE);
        if is_recent || bytes <= self.bytes.saturating_add(GROWTH_BYTES) {
            return;
        }
        // It cannot fail, and nobody waits for what it did.
        let _ = tokio::task::spawn_blocking(host_kernel::give_back).await;
        *self = Self { bytes: process::status().rss_bytes, given_back: Some(Instant::now()) };
    }
}
