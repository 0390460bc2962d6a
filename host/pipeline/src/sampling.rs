//! Thresholds to verdicts: each row's randomness is compared with its threshold, here and not in the plugin, so that the
//! `th` that goes out is true.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use host_model::{Batch, Decisions, FieldUse, NEVER, Threshold};

/// What became of the rows of one batch.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    /// One per row that came in; empty if all were kept.
    pub(crate) keep: Vec<bool>,
    /// One per kept row.
    pub(crate) thresholds: Vec<Threshold>,
    /// One per kept row, 56 bits.
    pub(crate) randomness: Vec<u64>,
    /// Whether the sampler chose the randomness.
    pub(crate) explicit: bool,
}

/// splitmix64, seeded once by the system. Fast and well distributed; nothing here is a secret.
pub(crate) struct Randomness(u64);

// === impl Randomness ===

impl Randomness {
    pub(crate) fn new() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 56 bits that are at least `kernel`: the kernel plan kept the row under that threshold, so its randomness is known to
    /// lie above it.
    fn above(&mut self, kernel: Threshold) -> u64 {
        let room = NEVER.get().saturating_sub(kernel.get()).max(1);
        // The high half of the product spreads 64 bits over `room` values without a division.
        let drawn = (u128::from(self.next()) * u128::from(room)) >> 64;
        kernel.get().min(NEVER.get() - 1) + u64::try_from(drawn).unwrap_or(0)
    }
}

// === impl Verdicts ===

impl Verdicts {
    /// Compares each of `rows` rows with its threshold. `kernel` has the kernel plan's threshold of each row, or nothing. `drawn`
    /// is for those who want to know what all rows were compared with, those that were not kept included.
    pub(crate) fn new(
        rows: usize,
        decisions: &Decisions,
        kernel: &[u64],
        randomness: &mut Randomness,
        mut drawn: Option<&mut Vec<u64>>,
    ) -> Self {
        let mut verdicts = Self { explicit: !decisions.randomness.is_empty(), ..Self::default() };
        verdicts.thresholds.reserve(rows);
        verdicts.randomness.reserve(rows);
        verdicts.keep.reserve(rows);
        let mut all = true;
        for row in 0..rows {
            let floor = floor(kernel, row);
            let value = decisions.randomness.get(row).copied().unwrap_or_else(|| randomness.above(floor));
            let (threshold, keep) = verdict(decisions, row, floor, value);
            verdicts.keep.push(keep);
            all &= keep;
            if keep {
                verdicts.thresholds.push(threshold);
                verdicts.randomness.push(value);
            }
            if let Some(drawn) = &mut drawn {
                drawn.push(value);
            }
        }
        if all {
            verdicts.keep.clear();
        }
        verdicts
    }
}

/// The threshold of one row, and whether it is kept.
#[inline]
pub(crate) fn verdict(decisions: &Decisions, row: usize, floor: Threshold, drawn: u64) -> (Threshold, bool) {
    let asked = match decisions.thresholds.as_slice() {
        [single] => *single,
        thresholds => thresholds.get(row).copied().unwrap_or(0),
    };
    let asked = Threshold::new(asked);
    let threshold = asked.max(floor);
    // What the kernel kept, and the sampler too, stays kept, also if the sampler's own randomness says otherwise.
    (threshold, threshold.keeps(drawn) || asked == Threshold::ALWAYS)
}

/// The thresholds under which the kernel plan let the rows of a batch through; nothing if it has no such column.
pub(crate) fn kernel_thresholds(batch: &Batch) -> &[u64] {
    let column = batch.schema.position(FieldUse::Threshold).and_then(|field| batch.column(field));
    column.and_then(|column| column.as_primitive_opt::<UInt64Type>()).map_or(&[][..], |column| column.values())
}

/// The kernel plan's threshold of one row.
#[inline]
pub(crate) fn floor(kernel: &[u64], row: usize) -> Threshold {
    Threshold::new(kernel.get(row).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(thresholds: Vec<u64>, randomness: Vec<u64>, rows: usize) -> Verdicts {
        Verdicts::new(rows, &Decisions { thresholds, randomness }, &[], &mut Randomness::new(), None)
    }

    #[test]
    fn threshold_0_keeps_all_and_2_to_the_56_none() {
        assert_eq!(decide(vec![0], vec![], 100).thresholds.len(), 100);
        assert_eq!(decide(vec![1 << 56], vec![], 100).thresholds.len(), 0);
    }

    #[test]
    fn a_tenth_is_kept_within_four_sigma() {
        let kept = decide(vec![Threshold::from_ratio(0.1).get()], vec![], 100_000).thresholds.len();
        assert!((9_620..=10_380).contains(&kept), "{kept}");
    }

    #[test]
    fn what_was_drawn_for_every_row_gives_the_same_verdicts_again() {
        let decisions = Decisions { thresholds: vec![Threshold::from_ratio(0.3).get()], randomness: vec![] };
        let mut drawn = Vec::new();
        let verdicts = Verdicts::new(1000, &decisions, &[], &mut Randomness::new(), Some(&mut drawn));
        let again: Vec<bool> =
            drawn.iter().enumerate().map(|(row, &value)| verdict(&decisions, row, Threshold::ALWAYS, value).1).collect();
        assert_eq!(verdicts.keep, again);
    }

    #[test]
    fn rows_of_equal_randomness_fare_alike() {
        let verdicts = decide(vec![50], vec![49, 50, 51, 49], 4);
        assert_eq!(verdicts.keep, [false, true, true, false]);
        assert_eq!(verdicts.randomness, [50, 51]);
    }

    #[test]
    fn what_the_kernel_thinned_out_keeps_its_threshold_and_fits_it() {
        let kernel = [Threshold::from_ratio(0.25).get(); 1000];
        let decisions = Decisions { thresholds: vec![0], randomness: vec![] };
        let verdicts = Verdicts::new(1000, &decisions, &kernel, &mut Randomness::new(), None);
        assert_eq!(verdicts.thresholds.len(), 1000);
        assert!(verdicts.thresholds.iter().zip(&verdicts.randomness).all(|(t, &r)| t.get() == kernel[0] && t.keeps(r)));
    }
}
