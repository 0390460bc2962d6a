//! Thresholds to verdicts: each row's randomness is compared with its threshold, here and not in the plugin, so that the
//! `th` that goes out is true.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use host_model::{Decisions, NEVER, Threshold};

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

    fn next(&mut self) -> u64 {
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
    /// Compares each of `rows` rows with its threshold. `kernel` has the kernel plan's threshold of each row, or nothing.
    pub(crate) fn new(rows: usize, decisions: &Decisions, kernel: &[u64], randomness: &mut Randomness) -> Self {
        let mut verdicts = Self { explicit: !decisions.randomness.is_empty(), ..Self::default() };
        verdicts.thresholds.reserve(rows);
        verdicts.randomness.reserve(rows);
        verdicts.keep.reserve(rows);
        let single = match decisions.thresholds.as_slice() {
            [single] => Some(*single),
            _ => None,
        };
        let mut all = true;
        for row in 0..rows {
            let asked = single.or_else(|| decisions.thresholds.get(row).copied()).unwrap_or(0);
            let floor = Threshold::new(kernel.get(row).copied().unwrap_or(0));
            let threshold = Threshold::new(asked).max(floor);
            let drawn = decisions.randomness.get(row).copied().unwrap_or_else(|| randomness.above(floor));
            // What the kernel kept, and the sampler too, stays kept, also if the sampler's own randomness says otherwise.
            let keep = threshold.keeps(drawn) || (Threshold::new(asked) == Threshold::ALWAYS);
            verdicts.keep.push(keep);
            all &= keep;
            if keep {
                verdicts.thresholds.push(threshold);
                verdicts.randomness.push(drawn);
            }
        }
        if all {
            verdicts.keep.clear();
        }
        verdicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(thresholds: Vec<u64>, randomness: Vec<u64>, rows: usize) -> Verdicts {
        Verdicts::new(rows, &Decisions { thresholds, randomness }, &[], &mut Randomness::new())
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
    fn rows_of_equal_randomness_fare_alike() {
        let verdicts = decide(vec![50], vec![49, 50, 51, 49], 4);
        assert_eq!(verdicts.keep, [false, true, true, false]);
        assert_eq!(verdicts.randomness, [50, 51]);
    }

    #[test]
    fn what_the_kernel_thinned_out_keeps_its_threshold_and_fits_it() {
        let kernel = [Threshold::from_ratio(0.25).get(); 1000];
        let verdicts =
            Verdicts::new(1000, &Decisions { thresholds: vec![0], randomness: vec![] }, &kernel, &mut Randomness::new());
        assert_eq!(verdicts.thresholds.len(), 1000);
        assert!(verdicts.thresholds.iter().zip(&verdicts.randomness).all(|(t, &r)| t.get() == kernel[0] && t.keeps(r)));
    }
}
