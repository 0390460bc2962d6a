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
        if !self.is_due(process::status().rss_bytes, Instant::now()) {
            return;
        }
        // It cannot fail, and nobody waits for what it did.
        let _ = tokio::task::spawn_blocking(host_kernel::give_back).await;
        *self = Self { bytes: process::status().rss_bytes, given_back: Some(Instant::now()) };
    }

    /// Whether free memory is to be given back now that so many bytes are resident.
    fn is_due(&mut self, bytes: u64, now: Instant) -> bool {
        self.bytes = self.bytes.min(bytes);
        let is_recent = self.given_back.is_some_and(|then| now.saturating_duration_since(then) < PAUSE);
        !is_recent && bytes > self.bytes.saturating_add(GROWTH_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::{GROWTH_BYTES, Instant, PAUSE, Resident};

    #[test]
    fn memory_is_given_back_after_growth_from_the_least_since_and_not_again_at_once() {
        let (start, held) = (Instant::now(), 100 << 20);
        let mut resident = Resident { bytes: held, given_back: Some(start) };
        let later = start + PAUSE;
        assert!(!resident.is_due(held + GROWTH_BYTES + 1, start), "it was done just now");
        assert!(!resident.is_due(held + GROWTH_BYTES, later));
        assert!(resident.is_due(held + GROWTH_BYTES + 1, later));
        assert!(!resident.is_due(held - GROWTH_BYTES, later));
        assert!(resident.is_due(held + 1, later), "it has grown from what it shrank to");
        assert!(Resident::default().is_due(held, start), "the first time");
    }
}
