//! Resident memory: returns free heap memory to the kernel once there is much of it.

use std::time::{Duration, Instant};

use crate::report::process;

/// Resident memory outside of the heap in use: code, stacks, maps and plugins, which are about constant, and free heap memory that was not
/// yet returned.
#[derive(Debug, Default)]
pub(crate) struct Resident {
    /// Minimum since free memory was last returned.
    unused_bytes: u64,
    given_back: Option<Instant>,
}

/// Growth after which free memory is returned: left over from compiling, a burst of requests or a collector that did not answer.
const GROWTH_BYTES: u64 = 4 << 20;
/// Minimum interval between two returns: threads that allocate meanwhile may wait for milliseconds.
const PAUSE: Duration = Duration::from_secs(5);

// === impl Resident ===

impl Resident {
    /// Returns free memory to the kernel if it has grown since the last time. Call it every few seconds.
    pub(crate) async fn give_back(&mut self) {
        if !self.is_due(unused_bytes(), Instant::now()) {
            return;
        }
        // It cannot fail, and no code depends on its result.
        let _ = tokio::task::spawn_blocking(host_kernel::give_back).await;
        *self = Self { unused_bytes: unused_bytes(), given_back: Some(Instant::now()) };
    }

    /// Whether to return free memory, given the resident bytes that are not in use.
    fn is_due(&mut self, unused_bytes: u64, now: Instant) -> bool {
        self.unused_bytes = self.unused_bytes.min(unused_bytes);
        let is_recent = self.given_back.is_some_and(|then| now.saturating_duration_since(then) < PAUSE);
        !is_recent && unused_bytes > self.unused_bytes.saturating_add(GROWTH_BYTES)
    }
}

/// Resident bytes that are not in use in the heap. Memory in use that was never written, or was swapped out, makes the figure smaller.
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
