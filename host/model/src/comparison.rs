//! The comparison of a candidate with the live plugin, on the same batches.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sums over the batches that a candidate has seen. A row is the unit: of what the decoder made, what the sampler decided on, what
/// the enricher added columns to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Comparison {
    /// Batches that both have worked on.
    pub batches: u64,
    /// Batches that were left out because only a share is compared.
    pub left_out: u64,
    /// Batches that were dropped because the candidate could not keep up. The live path never waits for it.
    pub dropped: u64,
    /// Rows that were compared.
    pub rows: u64,
    /// Rows on which the two differ: another verdict, another value, or a row that only one of them made.
    pub differing: u64,
    /// Calls of the candidate that failed.
    pub faults: u64,
    /// Rows that the live plugin made (a decoder) or kept (a sampler).
    pub live_rows: u64,
    /// Rows that the candidate made or kept.
    pub candidate_rows: u64,
    /// Fields that only the live plugin has.
    pub missing_fields: Vec<String>,
    /// Fields that only the candidate has.
    pub added_fields: Vec<String>,
    /// Rows of the batches that were timed: all, or those on which a control worked as well.
    pub timed_rows: u64,
    /// Time of the live plugin in those batches, nanoseconds: that of the control where there is one, an instance of the live plugin
    /// on the candidate's thread.
    pub live_ns: u64,
    /// Time of the candidate in those batches, nanoseconds.
    pub candidate_ns: u64,
    /// Time of the candidate over that of the live plugin, timed batch by timed batch; the median. 0 before the first.
    pub cost: f64,
    /// Some rows that differ, at most [`Comparison::EXAMPLES`].
    pub examples: Vec<Example>,
}

/// A row on which the two differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// The public fields of the row: name to value, printable.
    pub row: BTreeMap<String, String>,
    /// The result of the live plugin, printable.
    pub live: String,
    /// The result of the candidate, printable.
    pub candidate: String,
}

/// 1.96: 95 of 100 such intervals hold the true share.
const Z: f64 = 1.959_964;

// === impl Comparison ===

impl Comparison {
    /// Maximum number of examples that are kept.
    pub const EXAMPLES: usize = 10;

    /// Returns the share of rows that differ; 0 before the first row.
    #[must_use]
    pub fn disagreement(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.differing as f64 / self.rows as f64 }
    }

    /// Returns the 95 % confidence interval of [`Comparison::disagreement`], by Wilson's score (E. B. Wilson, JASA 22, 1927); 0 to 1 before
    /// the first row. Rows are assumed to be independent of each other.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        if self.rows == 0 {
            return (0.0, 1.0);
        }
        let (n, p) = (self.rows as f64, self.disagreement());
        let middle = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_share_and_narrows() {
        let few = Comparison { rows: 100, differing: 1, ..Comparison::default() };
        let many = Comparison { rows: 1_000_000, differing: 10_000, ..Comparison::default() };
        let ((low, high), (tight_low, tight_high)) = (few.interval(), many.interval());
        assert!(low < 0.01 && 0.01 < high && high > 0.05, "{low} {high}");
        assert!(0.0098 < tight_low && tight_low < 0.01 && 0.01 < tight_high && tight_high < 0.0102, "{tight_low} {tight_high}");
    }

    #[test]
    fn nothing_compared_is_nothing_known() {
        assert_eq!(Comparison::default().interval(), (0.0, 1.0));
        let (low, high) = Comparison { rows: 1_000, ..Comparison::default() }.interval();
        assert!(low < 1e-9 && high > 0.003 && high < 0.004, "{high}");
    }
}
