//! So many things a second: a bucket of tokens that fills all the time and holds those of one second.

use std::time::Instant;

/// Full at the start.
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

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.per_second).min(self.per_second);
        self.filled = now;
        let some = self.tokens >= 1.0;
        if some {
            self.tokens -= 1.0;
        }
        some
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
}
