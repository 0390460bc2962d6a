//! Limits the time for asking decoders: that runs on the router's thread, and all protocols wait meanwhile.

use std::time::{Duration, Instant};

use host_model::{Fault, FaultKind, Recogniser};

/// Maximum time that may be spent at once.
const BURST: Duration = Duration::from_millis(100);
/// Share of wall time that may be spent: one part in twenty.
const SHARE: u32 = 20;
/// Number of times in a row after which an overspending decoder is no longer asked.
const STRIKES: u32 = 5;
/// Time without overspending after which the count starts anew.
const FORGIVEN: Duration = Duration::from_secs(60);

/// The time that one decoder may take to answer questions. Wall time: that is how long the others wait.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// The time that may be spent now.
    left: Duration,
    /// When `left` was computed.
    at: Instant,
    /// Whether the allowance was overspent and is not half full again.
    resting: bool,
    strikes: u32,
    struck: Instant,
}

/// The consequence of overspending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overspent {
    /// The decoder is not asked for a while.
    Rests,
    /// The decoder is no longer asked.
    Out,
}

// === impl Allowance ===

impl Allowance {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { left: BURST, at: now, resting: false, strikes: 0, struck: now }
    }

    /// Whether the decoder may be asked.
    pub(crate) fn lets(&mut self, now: Instant) -> bool {
        if !self.resting {
            return true;
        }
        self.refill(now);
        self.resting = self.strikes >= STRIKES || self.left < BURST / 2;
        !self.resting
    }

    /// Counts the time that a call took. Returns the consequence if it was too much.
    pub(crate) fn spend(&mut self, took: Duration, now: Instant) -> Option<Overspent> {
        self.refill(now);
        let left = self.left.checked_sub(took);
        self.left = left.unwrap_or_default();
        if left.is_some() {
            return None;
        }
        if now.saturating_duration_since(self.struck) >= FORGIVEN {
            self.strikes = 0;
        }
        self.strikes += 1;
        self.struck = now;
        self.resting = true;
        Some(if self.strikes >= STRIKES { Overspent::Out } else { Overspent::Rests })
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        self.left = BURST.min(self.left + passed / SHARE);
        self.at = now;
    }
}

// === impl Overspent ===

impl Overspent {
    /// Returns the fault that the operator sees.
    pub(crate) fn fault(self, recogniser: &dyn Recogniser, took: Duration) -> Fault {
        let what = match self {
            Self::Rests => "is not asked for a while",
            Self::Out => "is not asked any more until it is replaced",
        };
        let detail = format!(
            "it takes longer for being asked than a {SHARE}th of the time (its last call: {took:.1?}), and {what}; connections on \
             pinned ports and with certain signatures still reach it. Declare certain signatures, or make `recognise` quicker"
        );
        Fault { plugin: recogniser.id().clone(), step: "recognise", kind: FaultKind::Deadline, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_millis(60);

    #[test]
    fn who_takes_long_rests_and_costs_a_twentieth_of_the_time() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let (mut now, mut spent) = (start, Duration::ZERO);
        while allowance.strikes < STRIKES {
            if allowance.lets(now) {
                now += CALL;
                spent += CALL;
                allowance.spend(CALL, now);
            } else {
                now += Duration::from_millis(10);
            }
        }
        let passed = now.duration_since(start);
        assert!(spent <= BURST + CALL + passed / SHARE * 2, "{spent:?} of {passed:?}");
        assert!(!allowance.lets(now + Duration::from_secs(3600)), "and in the end it is not asked any more");
    }

    #[test]
    fn who_is_quick_is_asked_for_ever() {
        let mut now = Instant::now();
        let mut allowance = Allowance::new(now);
        for _ in 0..100_000 {
            now += Duration::from_millis(1);
            assert!(allowance.lets(now));
            assert_eq!(allowance.spend(Duration::from_micros(20), now), None);
        }
    }

    #[test]
    fn one_slow_moment_is_forgiven() {
        let mut now = Instant::now();
        let mut allowance = Allowance::new(now);
        for _ in 0..20 {
            now += Duration::from_secs(61);
            assert!(allowance.lets(now));
            assert_eq!(allowance.spend(BURST * 2, now), Some(Overspent::Rests));
            assert!(!allowance.lets(now));
        }
    }
}
