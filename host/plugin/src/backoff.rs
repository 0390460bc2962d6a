//! Backoff of a plugin after offences, and its quarantine.
//!
//! Times are those of the path's clock, with any origin: a replay uses the time of the records, so that the same capture has the same
//! pauses.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::Quarantine;

/// The offences of one plugin, and its standing.
#[derive(Debug)]
pub(crate) struct Backoff {
    quarantine: Option<Quarantine>,
    standing: Standing,
    /// Number of offences since the last gap of [`CALM`].
    offences: u32,
    /// Times of the last offences, at most one less than lead to a quarantine.
    recent: VecDeque<Duration>,
}

/// Whether a plugin may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Free,
    /// Paused until this time; the error text is written once, as every batch until then may need it.
    Resting(Duration, String),
    /// Not called any more, and why.
    Quarantined(String),
}

/// Number of offences without a pause: for one odd batch and its neighbour.
const FREE: u32 = 2;

/// First pause. 100 ms: a few batches.
const FIRST: Duration = Duration::from_millis(100);

/// Maximum pause. 30 s: a plugin whose cause is gone is back before an operator has looked.
const LONGEST: Duration = Duration::from_secs(30);

/// Time without an offence after which earlier ones are forgotten.
const CALM: Duration = Duration::from_secs(60);

// === impl Backoff ===

impl Backoff {
    pub(crate) const fn new(quarantine: Option<Quarantine>) -> Self {
        Self { quarantine, standing: Standing::Free, offences: 0, recent: VecDeque::new() }
    }

    /// Counts an offence, and returns the standing that follows.
    pub(crate) fn offence(&mut self, now: Duration) -> &Standing {
        if self.recent.back().is_some_and(|last| now.saturating_sub(*last) > CALM) {
            self.offences = 0;
        }
        self.offences = self.offences.saturating_add(1);
        if let Some(Quarantine { faults, window }) = self.quarantine {
            self.recent.retain(|then| now.saturating_sub(*then) <= window);
            if self.recent.len() + 1 >= faults as usize {
                let seconds = window.as_secs_f64();
                let words = format!(
                    "it was quarantined after {faults} faults within {seconds} s; load a version that works, or roll back"
                );
                self.standing = Standing::Quarantined(words);
                return &self.standing;
            }
        } else {
            self.recent.clear();
        }
        self.recent.push_back(now);
        if let Some(over) = self.offences.checked_sub(FREE + 1) {
            let rest = FIRST.saturating_mul(1u32.checked_shl(over.min(16)).unwrap_or(u32::MAX)).min(LONGEST);
            let words = format!("after {} faults it is left alone for {} ms", self.offences, rest.as_millis());
            self.standing = Standing::Resting(now + rest, words);
        }
        &self.standing
    }

    /// Whether a pause has ended since the last call. The clock is read only during a pause.
    pub(crate) fn rested(&mut self, now: impl FnOnce() -> Duration) -> bool {
        let rested = matches!(&self.standing, Standing::Resting(until, _) if *until <= now());
        if rested {
            self.standing = Standing::Free;
        }
        rested
    }

    /// Whether the plugin may be called.
    pub(crate) const fn standing(&self) -> &Standing {
        &self.standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the remaining pause, in milliseconds.
    fn left(backoff: &mut Backoff, now: Duration) -> u128 {
        backoff.rested(|| now);
        match backoff.standing() {
            Standing::Free => 0,
            Standing::Resting(until, _) => until.saturating_sub(now).as_millis(),
            Standing::Quarantined(_) => u128::MAX,
        }
    }

    #[test]
    fn rests_double_up_to_a_cap_and_end() {
        let start = Duration::from_secs(1_000);
        let mut backoff = Backoff::new(None);
        let mut rests = Vec::new();
        for _ in 0..14 {
            backoff.offence(start);
            rests.push(left(&mut backoff, start));
        }
        assert_eq!(rests[..5], [0, 0, 100, 200, 400]);
        assert_eq!(rests[13], 30_000);
        assert_eq!(left(&mut backoff, start + LONGEST), 0);
    }

    #[test]
    fn a_calm_minute_forgives() {
        let start = Duration::from_secs(1_000);
        let mut backoff = Backoff::new(None);
        (0..5).for_each(|_| drop(backoff.offence(start).clone()));
        let later = start + CALM + LONGEST;
        backoff.offence(later);
        assert_eq!(left(&mut backoff, later), 0);
    }

    #[test]
    fn so_many_offences_within_the_window_are_the_end() {
        let start = Duration::from_secs(1_000);
        let mut backoff = Backoff::new(Some(Quarantine { faults: 3, window: Duration::from_secs(10) }));
        let second = Duration::from_secs(1);
        for seconds in [0, 9, 12, 20] {
            backoff.offence(start + second * seconds);
            assert_ne!(left(&mut backoff, start + second * seconds), u128::MAX, "after {seconds} s");
        }
        backoff.offence(start + second * 21);
        assert_eq!(left(&mut backoff, start + second * 21), u128::MAX);
        assert_eq!(left(&mut backoff, start + second * 3_600), u128::MAX);
    }

    #[test]
    fn one_offence_can_be_the_end() {
        let mut backoff = Backoff::new(Some(Quarantine { faults: 1, window: Duration::ZERO }));
        assert!(matches!(backoff.offence(Duration::from_secs(1_000)), Standing::Quarantined(_)));
    }
}
