//! Sampling: each row's randomness is compared with its threshold, here and not in the plugin, so that the exported `th` is true.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, StringArray};
use host_model::{Batch, Decisions, FieldUse, NEVER, Seed, Threshold, TraceParent, trace};

/// The rows of a batch that are kept, and their thresholds.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    /// One per input row; empty if all were kept.
    pub(crate) keep: Vec<bool>,
    /// One per kept row.
    pub(crate) thresholds: Vec<Threshold>,
    /// One per kept row, 56 bits.
    pub(crate) randomness: Vec<u64>,
    /// Whether the sampler chose the randomness.
    pub(crate) explicit: bool,
}

/// The values in the rows of a batch that affect the sampling.
#[derive(Default)]
pub(crate) struct Given<'a> {
    /// The kernel plan's threshold of each row; empty without such a column.
    kernel: &'a [u64],
    /// The value that each row shares with the row of the other end of its exchange.
    common: Option<Common<'a>>,
}

struct Common<'a> {
    correlations: &'a [u64],
    parents: Option<&'a StringArray>,
    seed: &'a Seed,
}

/// splitmix64. Fast and well distributed; the values are no secret.
pub(crate) struct Randomness(u64);

// === impl Randomness ===

impl Randomness {
    /// Creates the generator of this name.
    pub(crate) fn new(seed: &Seed, name: &str) -> Self {
        Self(seed.generator(name))
    }

    /// Returns 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns 56 bits that are at least `kernel`: the kernel plan kept the row under that threshold, so its randomness is known to lie
    /// above it.
    fn above(&mut self, kernel: Threshold) -> u64 {
        let room = NEVER.get().saturating_sub(kernel.get()).max(1);
        // The high half of the product spreads 64 bits over `room` values without a division.
        let drawn = (u128::from(self.next()) * u128::from(room)) >> 64;
        kernel.get().min(NEVER.get() - 1) + u64::try_from(drawn).unwrap_or(0)
    }
}

// === impl Given ===

impl<'a> Given<'a> {
    pub(crate) fn of(batch: &'a Batch, seed: &'a Seed) -> Self {
        let column = |field_use| batch.schema.position(field_use).and_then(|field| batch.column(field));
        let correlations = column(FieldUse::Correlation).and_then(|column| column.as_primitive_opt::<UInt64Type>());
        let parents = || column(FieldUse::TraceParent).and_then(|column| column.as_string_opt());
        let common = correlations.map(|column| Common { correlations: column.values(), parents: parents(), seed });
        Self { kernel: kernel_thresholds(batch), common }
    }
}

// === impl Common ===

impl Common<'_> {
    /// Returns the randomness that its trace id carries, so that both ends of an exchange are kept or dropped together; None for a row
    /// without another end.
    fn randomness(&self, row: usize) -> Option<u64> {
        let correlation = self.correlations.get(row).copied().filter(|&correlation| correlation != 0)?;
        let parent = self.parents.filter(|parents| row < parents.len());
        let parent = parent.and_then(|parents| TraceParent::parse(parents.value(row).as_bytes()));
        Some(parent.map_or_else(|| trace::carried(self.seed.trace_of(correlation)), |parent| parent.randomness()))
    }
}

// === impl Verdicts ===

impl Verdicts {
    /// Compares each of `rows` rows with its threshold. `drawn` receives the randomness of all rows, also of those that were not kept.
    pub(crate) fn new(
        rows: usize,
        decisions: &Decisions,
        given: &Given<'_>,
        randomness: &mut Randomness,
        mut drawn: Option<&mut Vec<u64>>,
    ) -> Self {
        let mut verdicts = Self { explicit: !decisions.randomness.is_empty(), ..Self::default() };
        verdicts.thresholds.reserve(rows);
        verdicts.randomness.reserve(rows);
        verdicts.keep.reserve(rows);
        let mut all = true;
        for row in 0..rows {
            let floor = floor(given.kernel, row);
            // The randomness of a row that the kernel sampled has a known lower bound.
            let common = || given.common.as_ref().filter(|_| floor == Threshold::ALWAYS)?.randomness(row);
            let chosen = decisions.randomness.get(row).copied();
            let value = chosen.or_else(common).unwrap_or_else(|| randomness.above(floor));
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

/// Returns the threshold of one row, and whether it is kept.
#[inline]
pub(crate) fn verdict(decisions: &Decisions, row: usize, floor: Threshold, drawn: u64) -> (Threshold, bool) {
    let asked = match decisions.thresholds.as_slice() {
        [single] => *single,
        thresholds => thresholds.get(row).copied().unwrap_or(0),
    };
    let asked = Threshold::new(asked);
    let threshold = asked.max(floor);
    // A row that both the kernel and the sampler keep stays kept, even if the sampler's own randomness says otherwise.
    (threshold, threshold.keeps(drawn) || asked == Threshold::ALWAYS)
}

/// Returns the thresholds under which the kernel plan kept the rows of a batch; empty without such a column.
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

    fn draws() -> Randomness {
        Randomness::new(&Seed::system(), "test")
    }

    fn decide(thresholds: Vec<u64>, randomness: Vec<u64>, rows: usize) -> Verdicts {
        Verdicts::new(rows, &Decisions { thresholds, randomness }, &Given::default(), &mut draws(), None)
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
        let verdicts = Verdicts::new(1000, &decisions, &Given::default(), &mut draws(), Some(&mut drawn));
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
    fn both_ends_of_an_exchange_fare_alike_and_as_their_trace_does() {
        let seed = Seed::system();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let correlations: Vec<u64> = (0..2000).map(|row| row % 1000).collect();
        let parents = StringArray::from_iter_values((0..2000).map(|row| if row % 1000 == 1 { parent } else { "" }));
        let common = Common { correlations: &correlations, parents: Some(&parents), seed: &seed };
        let given = Given { kernel: &[], common: Some(common) };
        let decisions = Decisions { thresholds: vec![Threshold::from_ratio(0.5).get()], randomness: vec![] };
        let mut drawn = Vec::new();
        let verdicts = Verdicts::new(2000, &decisions, &given, &mut draws(), Some(&mut drawn));
        assert_eq!(verdicts.keep[1..1000], verdicts.keep[1001..], "client and server");
        assert!((400..600).contains(&verdicts.keep[..1000].iter().filter(|keep| **keep).count()), "half of them");
        assert_eq!(drawn[1], 0xce_929d_0e0e_4736, "that of the caller's trace");
        assert_eq!(drawn[2], trace::carried(seed.trace_of(2)));
        assert_ne!(drawn[0], drawn[1000], "rows without a correlation stand alone");
    }

    #[test]
    fn what_the_kernel_thinned_out_keeps_its_threshold_and_fits_it() {
        let kernel = [Threshold::from_ratio(0.25).get(); 1000];
        let decisions = Decisions { thresholds: vec![0], randomness: vec![] };
        let verdicts = Verdicts::new(1000, &decisions, &Given { kernel: &kernel, common: None }, &mut draws(), None);
        assert_eq!(verdicts.thresholds.len(), 1000);
        assert!(verdicts.thresholds.iter().zip(&verdicts.randomness).all(|(t, &r)| t.get() == kernel[0] && t.keeps(r)));
    }
}
