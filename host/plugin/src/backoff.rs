//! How long a plugin is left alone after faults.

use std::time::{Duration, Instant};

/// Faults of one plugin, and the rest that follows from them.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    faults: u32,
    last: Option<Instant>,
    until: Option<Instant>,
}

/// Faults without a rest: one odd batch, and its neighbour, cost nothing but themselves.
const FREE: u32 = 2;

/// The first rest. 100 ms: a few batches.
const FIRST: Duration = Duration::from_millis(100);

/// No rest is longer. 30 s: a plugin whose cause has gone is back before an operator has looked.
const LONGEST: Duration = Duration::from_secs(30);

/// After this long without a fault, faults are forgotten.
const CALM: Duration = Duration::from_secs(60);

// === impl Backoff ===

impl Backoff {
    /// Counts a fault.
    pub(crate) fn fault(&mut self, now: Instant) {
        if self.last.is_some_and(|last| now.duration_since(last) > CALM) {
            self.faults = 0;
        }
        self.faults = self.faults.saturating_add(1);
        self.last = Some(now);
        if let Some(over) = self.faults.checked_sub(FREE + 1) {
            let rest = FIRST.saturating_mul(1u32.checked_shl(over.min(16)).unwrap_or(u32::MAX)).min(LONGEST);
            self.until = Some(now + rest);
        }
    }

    /// The faults so far and the rest that is left; None if the plugin may be called. The clock is read only after faults.
    pub(crate) fn resting(&mut self, now: impl FnOnce() -> Instant) -> Option<(u32, Duration)> {
        let until = self.until?;
        let left = until.saturating_duration_since(now());
        if left.is_zero() {
            self.until = None;
            return None;
        }
        Some((self.faults, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_a_cap_and_end() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        let mut rests = Vec::new();
        for _ in 0..14 {
            backoff.fault(start);
            rests.push(backoff.resting(|| start).map_or(0, |(_, left)| left.as_millis()));
        }
        assert_eq!(rests[..5], [0, 0, 100, 200, 400]);
        assert_eq!(rests[13], 30_000);
        assert!(backoff.resting(|| start + LONGEST).is_none());
    }

    #[test]
    fn a_calm_minute_forgives() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        (0..5).for_each(|_| backoff.fault(start));
        let later = start + CALM + LONGEST;
        backoff.fault(later);
        assert!(backoff.resting(|| later).is_none());
    }
}
