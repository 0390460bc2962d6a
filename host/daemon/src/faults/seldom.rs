//! Rate limit for repeated events.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Minimum interval at which the same fault of the same plugin is logged, and stored.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// Passes each of many keys once per interval, and counts the rest.
pub(crate) struct Seldom<K> {
    interval: Duration,
    seen: HashMap<K, (Instant, u64)>,
}

/// Maximum number of keys. If more plugins and kinds of fault occur within an interval, some are logged twice.
const MOST: usize = 1024;

// === impl Seldom ===

impl<K: std::hash::Hash + Eq> Seldom<K> {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, seen: HashMap::new() }
    }

    /// Returns the number of events with this key since the last one that passed, this one included; None if the interval has not elapsed.
    pub(crate) fn due(&mut self, key: K, now: Instant) -> Option<u64> {
        if self.seen.len() >= MOST {
            let interval = self.interval;
            self.seen.retain(|_, (last, _)| now.saturating_duration_since(*last) < interval);
            if self.seen.len() >= MOST {
                self.seen.clear();
            }
        }
        match self.seen.get_mut(&key) {
            Some((last, since)) if now.saturating_duration_since(*last) < self.interval => {
                *since += 1;
                None
            }
            Some((last, since)) => {
                *last = now;
                Some(std::mem::take(since) + 1)
            }
            None => {
                self.seen.insert(key, (now, 0));
                Some(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_comes_through_once_per_interval_with_how_many_there_were() {
        let (mut seldom, start) = (Seldom::new(INTERVAL), Instant::now());
        assert_eq!(seldom.due('a', start), Some(1));
        assert_eq!(seldom.due('a', start), None);
        assert_eq!(seldom.due('b', start), Some(1), "another is told at once");
        assert_eq!(seldom.due('a', start + INTERVAL / 2), None);
        assert_eq!(seldom.due('a', start + INTERVAL), Some(3));
        assert_eq!(seldom.due('a', start + 2 * INTERVAL), Some(1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut seldom, start) = (Seldom::new(INTERVAL), Instant::now());
        (0..10 * MOST).for_each(|key| {
            seldom.due(key, start);
        });
        assert!(seldom.seen.len() <= MOST);
    }
}
