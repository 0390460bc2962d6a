//! Converts the kernel's clock to Unix time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::time::{ClockId, clock_gettime};

const SECOND: u64 = 1_000_000_000;

/// Difference of Unix time and CLOCK_MONOTONIC. Measured again once a second, since Unix time is corrected.
#[derive(Debug)]
pub(crate) struct UnixOffset {
    measured_at: AtomicU64,
    offset: AtomicU64,
}

// === impl UnixOffset ===

impl UnixOffset {
    pub(crate) fn new() -> Self {
        let (monotonic, offset) = measure();
        Self { measured_at: AtomicU64::new(monotonic), offset: AtomicU64::new(offset) }
    }

    pub(crate) fn get(&self) -> u64 {
        if read(ClockId::Monotonic) > self.measured_at.load(Relaxed) + SECOND {
            let (monotonic, offset) = measure();
            self.measured_at.store(monotonic, Relaxed);
            self.offset.store(offset, Relaxed);
        }
        self.offset.load(Relaxed)
    }
}

/// Returns monotonic time and offset, from the narrowest of several readings of the clocks: monotonic, Unix, monotonic.
fn measure() -> (u64, u64) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..8 {
        let before = read(ClockId::Monotonic);
        let calendar = read(ClockId::Realtime);
        let after = read(ClockId::Monotonic);
        let width = after.saturating_sub(before);
        if width < best.0 {
            best = (width, after, calendar.saturating_sub(before + width / 2));
        }
    }
    (best.1, best.2)
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * SECOND + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_plus_offset_is_the_calendar() {
        let offset = UnixOffset::new();
        let mine = read(ClockId::Monotonic) + offset.get();
        assert!(mine.abs_diff(read(ClockId::Realtime)) < SECOND / 10);
    }
}
