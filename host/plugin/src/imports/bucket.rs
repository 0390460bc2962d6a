//! A token bucket: it fills at a rate per second, and holds the tokens of one second.

use std::time::Instant;

/// A bucket that is full at the start.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

// === impl Bucket ===

impl Bucket {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second: per_second.into(), tokens: per_second.into(), filled: now }
    }

    /// Takes a token; returns false if there is none.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let some = self.left(now) >= 1.0;
        if some {
            self.tokens -= 1.0;
        }
        some
    }

    /// Returns the number of tokens, at least zero.
    pub(super) fn left(&mut self, now: Instant) -> f64 {
        let seconds = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.per_second).min(self.per_second);
        self.filled = now;
        self.tokens.max(0.0)
    }

    /// Takes tokens even if there are fewer: then the bucket stays empty for longer.
    pub(super) fn spend(&mut self, tokens: f64) {
        self.tokens -= tokens;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_has_so_many_tokens_and_an_hour_of_rest_adds_no_more() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        let taken = |bucket: &mut Bucket, now| (0..1_000).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(&mut bucket, start), 100);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(500)), 50);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(3_600)), 100);
    }

    #[test]
    fn what_is_spent_beyond_what_there_is_is_missing_later() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        bucket.spend(150.0);
        assert!(bucket.left(start) == 0.0 && bucket.left(start + Duration::from_millis(500)) == 0.0);
        assert!((bucket.left(start + Duration::from_secs(1)) - 50.0).abs() < 1e-6);
    }
}
