//! The wait before the next attempt: it doubles, with jitter, or follows the collector's request.

use std::time::Duration;

use host_model::Seed;

use crate::ids::Identities;

/// First wait: a collector that restarts is found again soon.
const FIRST: Duration = Duration::from_millis(250);
/// Maximum wait: a collector that stays away is tried rarely.
const LONGEST: Duration = Duration::from_secs(5);
/// Maximum wait that a collector may request.
const ASKED: Duration = Duration::from_secs(300);

/// The waits between the attempts of one request.
#[derive(Debug)]
pub(crate) struct Backoff {
    base: Duration,
    random: Identities,
}

// === impl Backoff ===

impl Default for Backoff {
    fn default() -> Self {
        Self { base: FIRST, random: Identities::new(&Seed::system(), "backoff") }
    }
}

impl Backoff {
    /// Returns the next wait: between half of and the whole doubling delay, so that many hosts do not come at once; never less than the
    /// collector asked for.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let half = self.base / 2;
        let share = (self.random.draw() >> 11) as f64 / (1u64 << 53) as f64;
        self.base = (self.base * 2).min(LONGEST);
        let wait = half + half.mul_f64(share);
        wait.max(asked.unwrap_or_default().min(ASKED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_never_under_half_of_it() {
        let mut backoff = Backoff::default();
        let mut expected = FIRST;
        for _ in 0..10 {
            let wait = backoff.next(None);
            assert!(wait >= expected / 2 && wait <= expected, "{wait:?} of {expected:?}");
            expected = (expected * 2).min(LONGEST);
        }
    }

    #[test]
    fn two_hosts_do_not_wait_alike() {
        let waits = |_| Backoff::default().next(None);
        assert_ne!(waits(0), waits(1));
    }

    #[test]
    fn what_the_collector_asks_for_is_honoured_within_reason() {
        assert_eq!(Backoff::default().next(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(Backoff::default().next(Some(Duration::from_secs(1 << 40))), ASKED);
    }
}
