//! The buckets of an OTLP exponential histogram: 2 % wide while the values lie within ten powers of two, and twice as wide with
//! each doubling of that range.
//!
//! At scale s bucket k holds (2^(k/2^s), 2^((k+1)/2^s)]:
//! <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>

use host_model::Histogram;

/// The finest scale: 32 buckets per power of two, so that a quantile is off by 1 %.
const FINEST: u32 = 5;

/// Maximum buckets of a histogram. Values between a nanosecond and a quarter of an hour, 40 powers of two, still have buckets of
/// 9 %.
const MOST: usize = 320;

/// Mantissas of 2^(1/32) to 2^(31/32), as the low 52 bits of a double.
#[rustfmt::skip]
const MANTISSAS: [u64; 31] = [
    0x0000_59b0_d315_8574, 0x0000_b558_6cf9_890f, 0x0001_1301_d012_5b51, 0x0001_72b8_3c7d_517b,
    0x0001_d487_3168_b9aa, 0x0002_387a_6e75_6238, 0x0002_9e9d_f51f_dee1, 0x0003_06fe_0a31_b715,
    0x0003_71a7_373a_a9cb, 0x0003_dea6_4c12_3422, 0x0004_4e08_6061_892d, 0x0004_bfda_d536_2a27,
    0x0005_342b_569d_4f82, 0x0005_ab07_dd48_5429, 0x0006_247e_b03a_5585, 0x0006_a09e_667f_3bcd,
    0x0007_1f75_e8ec_5f74, 0x0007_a114_73eb_0187, 0x0008_2589_994c_ce13, 0x0008_ace5_422a_a0db,
    0x0009_3737_b0cd_c5e5, 0x0009_c491_82a3_f090, 0x000a_5503_b23e_255d, 0x000a_e89f_995a_d3ad,
    0x000b_7f76_f2fb_5e47, 0x000c_199b_dd85_529c, 0x000c_b720_dcef_9069, 0x000d_5818_dcfb_a487,
    0x000d_fc97_337b_9b5f, 0x000e_a4af_a2a4_90da, 0x000f_5076_5b6e_4540,
];

/// Counts of values, stored in the unit of the export.
#[derive(Debug, Clone)]
pub(super) struct Buckets {
    /// The factor that a value is multiplied by before it is counted: 1e-9 turns nanoseconds into seconds.
    factor: f64,
    /// Number of times that pairs of buckets were merged.
    halvings: u32,
    /// Bucket of `counts[0]`.
    first: i32,
    counts: Vec<u64>,
    zeros: u64,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

// === impl Buckets ===

impl Buckets {
    pub(super) fn new(factor: f64) -> Self {
        Self { factor, halvings: 0, first: 0, counts: Vec::new(), zeros: 0, count: 0, sum: 0, min: u64::MAX, max: 0 }
    }

    /// Counts one value.
    pub(super) fn record(&mut self, value: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value == 0 {
            self.zeros += 1;
            return;
        }
        let finest = bucket(value as f64 * self.factor);
        let place = i64::from(finest >> self.halvings) - i64::from(self.first);
        match usize::try_from(place).ok().and_then(|place| self.counts.get_mut(place)) {
            Some(count) => *count += 1,
            None => self.grow(finest),
        }
    }

    /// Whether nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the exported histogram.
    pub(super) fn histogram(&self) -> Histogram {
        let scale = FINEST.saturating_sub(self.halvings).cast_signed();
        if self.count == 0 {
            return Histogram { scale, ..Histogram::default() };
        }
        Histogram {
            scale,
            offset: self.first,
            buckets: self.counts.clone(),
            zero_count: self.zeros,
            count: self.count,
            sum: self.sum as f64 * self.factor,
            min: self.min as f64 * self.factor,
            max: self.max as f64 * self.factor,
        }
    }

    /// Adds a bucket outside of the current range, and counts one value in it.
    #[cold]
    fn grow(&mut self, finest: i32) {
        if self.counts.is_empty() {
            self.first = finest >> self.halvings;
        }
        let mut bucket = finest >> self.halvings;
        while self.span_with(bucket) > MOST {
            self.halve();
            bucket = finest >> self.halvings;
        }
        if bucket < self.first {
            let more = usize::try_from(self.first - bucket).unwrap_or(0);
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.first = bucket;
        }
        let place = usize::try_from(bucket - self.first).unwrap_or(0);
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
    }

    /// Returns the number of buckets including this one.
    fn span_with(&self, bucket: i32) -> usize {
        let last = self.first + i32::try_from(self.counts.len()).unwrap_or(i32::MAX) - 1;
        usize::try_from(last.max(bucket) - self.first.min(bucket) + 1).unwrap_or(usize::MAX)
    }

    /// Merges pairs of buckets: the bounds of each pair are those of a coarser bucket.
    fn halve(&mut self) {
        let (first, counts) = (self.first, std::mem::take(&mut self.counts));
        self.halvings += 1;
        self.first = first >> 1;
        for (bucket, count) in (first..).zip(counts) {
            let place = usize::try_from((bucket >> 1) - self.first).unwrap_or(0);
            match self.counts.get_mut(place) {
                Some(sum) => *sum += count,
                None => self.counts.push(count),
            }
        }
    }
}

/// Returns the bucket of a positive, normal number at the finest scale.
fn bucket(value: f64) -> i32 {
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    let exponent = i32::try_from(bits >> 52).unwrap_or(0) - 1023;
    let above = i32::try_from(MANTISSAS.partition_point(|&bound| bound < mantissa)).unwrap_or(0);
    // Upper bounds belong to their bucket, so an exact power of two is the last of the bucket before.
    (exponent << FINEST) + above - i32::from(mantissa == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_the_bounds_of_its_bucket() {
        for step in 1..20_000u64 {
            let value = (step as f64).powf(3.1) * 1e-9;
            let k = f64::from(bucket(value));
            let (lower, upper) = ((k / 32.0).exp2(), ((k + 1.0) / 32.0).exp2());
            assert!(lower * (1.0 - 1e-12) < value && value <= upper * (1.0 + 1e-12), "{value} not in ({lower}, {upper}]");
        }
    }

    #[test]
    fn a_power_of_two_is_the_last_of_its_bucket() {
        assert_eq!(bucket(1.0), -1);
        assert_eq!(bucket(2.0), 31);
        assert_eq!(bucket(1.000_001), 0);
    }

    #[test]
    fn counts_survive_growth_in_both_directions_and_coarser_buckets() {
        let mut buckets = Buckets::new(1.0);
        let values = [1000, 1, 1_000_000_000, 0, u64::MAX, 1000];
        values.iter().for_each(|&value| buckets.record(value));
        let histogram = buckets.histogram();
        assert_eq!(histogram.buckets.iter().sum::<u64>() + histogram.zero_count, 6);
        assert!(histogram.buckets.len() <= MOST);
        assert_eq!(histogram.scale, 2, "64 powers of two have 256 buckets");
        let k = usize::try_from((bucket(1000.0) >> 3) - histogram.offset).unwrap();
        assert_eq!(histogram.buckets[k], 2);
    }

    #[test]
    fn buckets_stay_fine_while_the_values_are_near_each_other() {
        let mut buckets = Buckets::new(1e-9);
        (50_000..=50_000_000).step_by(7919).for_each(|value| buckets.record(value));
        assert_eq!(buckets.histogram().scale, 5, "50 us to 50 ms");
        buckets.record(30_000_000_000);
        let histogram = buckets.histogram();
        assert_eq!((histogram.scale, histogram.buckets.iter().sum::<u64>()), (4, histogram.count), "one of 30 s");
        let median = histogram.quantile(0.5).unwrap();
        assert!((median / 0.025_025 - 1.0).abs() < 0.03, "{median}");
    }
}
