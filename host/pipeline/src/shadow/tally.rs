//! Sums over the batches that a candidate has seen.

use host_model::{Comparison, Example, Seed};

use crate::sampling::Randomness;

/// Number of cost ratios that are kept: a sample of all batches. The median of 512 is within 5 % of the ranks.
const RATIOS: usize = 512;

/// Maximum number of examples of one batch, so that they are not all from one moment.
pub(crate) const PER_BATCH: usize = 3;

/// The differences in one batch.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    pub(crate) rows: u64,
    pub(crate) differing: u64,
    pub(crate) live_rows: u64,
    pub(crate) candidate_rows: u64,
    /// At most [`PER_BATCH`] examples.
    pub(crate) examples: Vec<Example>,
}

/// The durations for one batch, nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) live_ns: u64,
    pub(crate) candidate_ns: u64,
}

/// The sums of a shadow run.
pub(crate) struct Tally {
    comparison: Comparison,
    ratios: Vec<f64>,
    /// Number of batches with a cost ratio.
    timed: u64,
    chance: Randomness,
}

// === impl Finding ===

impl Finding {
    /// Counts one row on which the two differ.
    pub(crate) fn differs(&mut self, example: impl FnOnce() -> Example) {
        self.differing += 1;
        if self.examples.len() < PER_BATCH {
            self.examples.push(example());
        }
    }
}

// === impl Tally ===

impl Default for Tally {
    fn default() -> Self {
        Self {
            comparison: Comparison::default(),
            ratios: Vec::new(),
            timed: 0,
            chance: Randomness::new(&Seed::system(), "tally"),
        }
    }
}

impl Tally {
    /// Sets the fields that only one of the two has.
    pub(crate) fn fields(&mut self, missing: Vec<String>, added: Vec<String>) {
        (self.comparison.missing_fields, self.comparison.added_fields) = (missing, added);
    }

    /// Adds a batch that both have processed; with their times, if it was timed.
    pub(crate) fn add(&mut self, finding: Finding, times: Option<Times>) {
        let sums = &mut self.comparison;
        sums.batches += 1;
        sums.rows += finding.rows;
        sums.differing += finding.differing;
        sums.live_rows += finding.live_rows;
        sums.candidate_rows += finding.candidate_rows;
        if let Some(Times { live_ns, candidate_ns }) = times {
            sums.timed_rows += finding.rows;
            sums.live_ns += live_ns;
            sums.candidate_ns += candidate_ns;
        }
        let room = Comparison::EXAMPLES.saturating_sub(sums.examples.len());
        sums.examples.extend(finding.examples.into_iter().take(room));
        if let Some(Times { live_ns: live_ns @ 1.., candidate_ns }) = times {
            self.ratio(candidate_ns as f64 / live_ns as f64);
        }
    }

    /// Counts a call of the candidate that failed.
    pub(crate) fn fault(&mut self) {
        self.comparison.faults += 1;
    }

    /// Returns the current sums.
    pub(crate) fn read(&self) -> Comparison {
        let mut ratios = self.ratios.clone();
        ratios.sort_unstable_by(f64::total_cmp);
        Comparison { cost: ratios.get(ratios.len() / 2).copied().unwrap_or(0.0), ..self.comparison.clone() }
    }

    /// Samples a ratio so that each batch has the same chance to be kept (Vitter's algorithm R).
    fn ratio(&mut self, ratio: f64) {
        self.timed += 1;
        if self.ratios.len() < RATIOS {
            return self.ratios.push(ratio);
        }
        let place = usize::try_from(self.chance.next() % self.timed).unwrap_or(usize::MAX);
        if let Some(kept) = self.ratios.get_mut(place) {
            *kept = ratio;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_the_median_over_all_batches_and_takes_bounded_room() {
        let mut tally = Tally::default();
        assert_eq!(tally.read().cost, 0.0);
        // A tenth of the batches was interrupted; the later half costs as much as the first.
        for batch in 0..10_000 {
            let candidate_ns = if batch % 10 == 0 { 1_000_000 } else { 1500 };
            tally.add(Finding::default(), Some(Times { live_ns: 1000, candidate_ns }));
        }
        assert_eq!(tally.read().cost, 1.5);
        assert_eq!(tally.ratios.len(), RATIOS);
    }

    #[test]
    fn a_batch_without_a_time_has_no_cost() {
        let mut tally = Tally::default();
        tally.add(Finding { rows: 3, ..Finding::default() }, None);
        tally.add(Finding::default(), Some(Times { live_ns: 0, candidate_ns: 5 }));
        let sums = tally.read();
        assert_eq!((sums.batches, sums.rows, sums.timed_rows, sums.cost), (2, 3, 0, 0.0));
    }
}
