//! The window of one key: the number of its rows in this second, and the number that it may keep.

use plugin_sdk::{NEVER, threshold};

/// The current second of one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// The second, in the rows' own time.
    pub(crate) second: u64,
    /// Number of rows in it so far.
    pub(crate) rows: u64,
    /// Number of rows that are expected in it.
    pub(crate) expected: u64,
}

/// Seconds that a row may be late and still count for the current second: the rings of several processors are read one after the other. An
/// earlier row comes from a clock that was wrong before.
const LATE: u64 = 60;

// === impl Window ===

impl Window {
    /// Returns the threshold of a row that began in this second, with `per_second` rows to keep in each.
    #[inline]
    pub(crate) fn decide(&mut self, second: u64, per_second: u64) -> u64 {
        if second > self.second || second.saturating_add(LATE) < self.second {
            self.turn(second);
        }
        self.rows = self.rows.saturating_add(1);
        let expected = self.expected.max(per_second);
        if self.rows > expected {
            NEVER
        } else if expected == per_second {
            0
        } else {
            threshold(per_second as f64 / expected as f64)
        }
    }

    /// Begins another second. The expected number rises at once, and falls by half per second; the rows of a wrong clock are not used.
    fn turn(&mut self, second: u64) {
        let passed = second.checked_sub(self.second).map(|seconds| seconds.saturating_sub(1));
        let expected = passed.map_or(0, |quiet| self.rows.max(self.expected / 2) >> quiet.min(63));
        *self = Self { second, rows: 0, expected };
    }
}

#[cfg(test)]
mod tests {
    use super::Window;
    use plugin_sdk::{NEVER, threshold};

    /// Returns how many of these rows of one second are kept on average, by their thresholds.
    fn kept(window: &mut Window, second: u64, rows: u64) -> f64 {
        let ratio = |threshold: u64| (NEVER - threshold) as f64 / NEVER as f64;
        (0..rows).map(|_| ratio(window.decide(second, 100))).sum()
    }

    #[test]
    fn the_first_second_keeps_the_first_rows_and_no_others() {
        let mut window = Window::default();
        let thresholds: Vec<u64> = (0..1000).map(|_| window.decide(7, 100)).collect();
        assert!(thresholds[..100].iter().all(|&threshold| threshold == 0));
        assert!(thresholds[100..].iter().all(|&threshold| threshold == NEVER));
    }

    #[test]
    fn from_the_second_on_the_rows_that_are_kept_are_spread_over_it() {
        let mut window = Window::default();
        kept(&mut window, 1, 1000);
        assert_eq!(window.decide(2, 100), threshold(0.1));
        assert!((kept(&mut window, 2, 999) - 99.9).abs() < 0.001);
        // More than expected: the excess is dropped, and the next second adapts.
        assert!((kept(&mut window, 3, 5000) - 100.0).abs() < 0.001);
        assert_eq!(window.decide(4, 100), threshold(0.02));
    }

    #[test]
    fn what_is_expected_falls_by_half_a_second_and_is_forgotten() {
        let mut window = Window::default();
        kept(&mut window, 1, 8000);
        kept(&mut window, 2, 10);
        assert_eq!(window.decide(3, 100), threshold(100.0 / 4000.0));
        assert_eq!(window.decide(30, 100), 0);
        assert_eq!(window.decide(u64::MAX, 100), 0);
    }

    #[test]
    fn a_row_that_is_late_counts_and_a_clock_that_was_wrong_does_not_stop_it_for_ever() {
        let mut window = Window::default();
        kept(&mut window, 10, 100);
        assert_eq!(window.decide(9, 100), NEVER);
        window.decide(u64::MAX, 100);
        assert_eq!(window.decide(11, 100), 0);
    }
}
