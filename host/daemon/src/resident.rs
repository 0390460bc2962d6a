//! Resident memory: what is free in the heap is given back to the kernel when it has become much.

use std::time::{Duration, Instant};

use crate::report::process;

/// Resident memory that is not in use in the heap: code, stacks, maps and plugins, which are about constant, and what is free in the heap
/// and was not given back.
#[derive(Debug, Default)]
pub(crate) struct Resident {
    /// The least since free memory was last given back.
    unused_bytes: u64,
    given_back: Option<Instant>,
}

/// Growth after which free memory is given back: what compiling, a burst of requests or a collector that did not answer left behind.
const GROWTH_BYTES: u64 = 4 << 20;
/// Shortest time between two times that this is done: whoever allocates meanwhile may wait for milliseconds.
const PAUSE: Duration = Duration::from_secs(5);

// === impl Resident ===

impl Resident {
    /// Gives free memory back if it has become more since the last time. To be called every few seconds.
    pub(crate) async fn give_back(&mut self) {
        if !self.is_due(unused_bytes(), Instant::now()) {
            return;
        }
        // It cannot fail, and nobody waits for what it did.
        let _ = tokio::task::spawn_blocking(host_kernel::give_back).await;
        *self = Self { unused_bytes: unused_bytes(), given_back: Some(Instant::now()) };
    }

    /// Whether free memory is to be given back now that so many resident bytes are not in use.
    fn is_due(&mut self, unused_bytes: u64, now: Instant) -> bool {
        self.unused_bytes = self.unused_bytes.min(unused_bytes);
        let is_recent = self.given_back.is_some_and(|then| now.saturating_duration_since(then) < PAUSE);
        !is_recent && unused_bytes > self.unused_bytes.saturating_add(GROWTH_BYTES)
    }
}

/// Resident bytes that are not in use in the heap now. Memory in use that was given back unwritten, or swapped out, makes it less.
fn unused_bytes() -> u64 {
    process::status().rss_bytes.saturating_sub(host_kernel::bytes_in_use())
}

#[cfg(test)]
mod tests {
    use super::{GROWTH_BYTES, Instant, PAUSE, Resident};

    #[test]
    fn memory_is_given_back_after_growth_from_the_least_since_and_not_again_at_once() {
        let (start, unused) = (Instant::now(), 100 << 20);
        let mut resident = Resident { unused_bytes: unused, given_back: Some(start) };
        let later = start + PAUSE;
        assert!(!resident.is_due(unused + GROWTH_BYTES + 1, start), "it was done just now");
        assert!(!resident.is_due(unused + GROWTH_BYTES, later));
        assert!(resident.is_due(unused + GROWTH_BYTES + 1, later));
        assert!(!resident.is_due(unused - GROWTH_BYTES, later));
        assert!(resident.is_due(unused + 1, later), "it has grown from what it shrank to");
        assert!(Resident::default().is_due(unused, start), "the first time");
    }
}
