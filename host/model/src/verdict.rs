//! OpenTelemetry consistent probability sampling: a row is kept when its randomness is at least its threshold.
//!
//! <https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>

use std::fmt;

use serde::{Deserialize, Serialize};

/// 2^56: no randomness reaches it.
pub const NEVER: Threshold = Threshold(1 << 56);

/// A rejection threshold, 0 to 2^56. The probability to be kept is (2^56 - threshold) / 2^56.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Threshold(u64);

/// A sampler's answer for one batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decisions {
    /// One threshold per row, or one for all rows; values over 2^56 count as 2^56.
    pub thresholds: Vec<u64>,
    /// The randomness: empty, or one 56-bit value per row.
    pub randomness: Vec<u64>,
}

// === impl Threshold ===

impl Threshold {
    /// The threshold that keeps all rows.
    pub const ALWAYS: Self = Self(0);

    /// Creates a threshold from a guest's number; everything over 2^56 is [`NEVER`].
    #[must_use]
    pub const fn new(value: u64) -> Self {
        if value > NEVER.0 { NEVER } else { Self(value) }
    }

    /// Returns the threshold that keeps with this probability, 0.0 to 1.0.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the product is within 0 and 2^56")]
    pub fn from_ratio(ratio: f64) -> Self {
        Self::new(((1.0 - ratio.clamp(0.0, 1.0)) * NEVER.0 as f64) as u64)
    }

    /// Whether a row of this randomness (56 bits) is kept.
    #[must_use]
    pub const fn keeps(self, randomness: u64) -> bool {
        randomness >= self.0
    }

    /// Returns the number, 0 to 2^56.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Formats it like `th` in tracestate: 14 hexadecimal digits without trailing zeros, `0` for always.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:014x}", self.0);
        let digits = digits.trim_end_matches('0');
        f.write_str(if digits.is_empty() { "0" } else { digits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_is_th_8() {
        assert_eq!(Threshold::from_ratio(0.5).to_string(), "8");
        assert_eq!(Threshold::from_ratio(0.25).to_string(), "c");
        assert_eq!(Threshold::ALWAYS.to_string(), "0");
    }

    #[test]
    fn never_keeps_nothing_and_always_keeps_all() {
        assert!(!NEVER.keeps((1 << 56) - 1));
        assert!(!Threshold::new(u64::MAX).keeps((1 << 56) - 1));
        assert!(Threshold::ALWAYS.keeps(0));
    }
}
