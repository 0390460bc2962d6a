//! The buckets of an OTLP exponential histogram at scale 3: eight per power of two, 9 % wide.
//!
//! Bucket k holds (2^(k/8), 2^((k+1)/8)]: <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>

use host_model::Histogram;

/// log2 of the buckets per power of two.
const SCALE: i32 = 3;

/// Mantissas of 2^(1/8) to 2^(7/8), as the low 52 bits of a double.
const MANTISSAS: [u64; 7] = [
    0x0001_72b8_3c7d_517b,
    0x0003_06fe_0a31_b715,
    0x0004_bfda_d536_2a27,
    0x0006_a09e_667f_3bcd,
    0x0008_ace5_422a_a0db,
    0x000a_e89f_995a_d3ad,
    0x000d_5818_dcfb_a487,
];

/// Counts of values in one unit, kept in the unit they are exported in.
#[derive(Debug, Clone)]
pub(super) struct Buckets {
    /// What a value is multiplied by before it is counted: 1e-9 makes seconds of nanoseconds.
    factor: f64,
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
        Self { factor, first: 0, counts: Vec::new(), zeros: 0, count: 0, sum: 0, min: u64::MAX, max: 0 }
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
        let bucket = bucket(value as f64 * self.factor);
        let place = usize::try_from(i64::from(bucket) - i64::from(self.first)).ok();
        match place.and_then(|place| self.counts.get_mut(place)) {
            Some(count) => *count += 1,
            None => self.grow(bucket),
        }
    }

    /// Whether nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What is exported.
    pub(super) fn histogram(&self) -> Histogram {
        if self.count == 0 {
            return Histogram { scale: SCALE, ..Histogram::default() };
        }
        Histogram {
            scale: SCALE,
            offset: self.first,
            buckets: self.counts.clone(),
            zero_count: self.zeros,
            count: self.count,
            sum: self.sum as f64 * self.factor,
            min: self.min as f64 * self.factor,
            max: self.max as f64 * self.factor,
        }
    }

    /// Makes room for a bucket outside of what is there, and counts one value in it. A u64 spans 64 powers of two, so there
    /// are never more than 513 buckets.
    #[cold]
    fn grow(&mut self, bucket: i32) {
        if self.counts.is_empty() {
            self.first = bucket;
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
}

/// The bucket of a positive, normal number.
fn bucket(value: f64) -> i32 {
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    let exponent = i32::try_from(bits >> 52).unwrap_or(0) - 1023;
    let above = MANTISSAS.iter().map(|&bound| i32::from(mantissa > bound)).sum::<i32>();
    // Upper bounds belong to their bucket, so an exact power of two is the last of the bucket before.
    (exponent << SCALE) + above - i32::from(mantissa == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_the_bounds_of_its_bucket() {
        for step in 1..20_000u64 {
            let value = (step as f64).powf(3.1) * 1e-9;
            let k = f64::from(bucket(value));
            let (lower, upper) = ((k / 8.0).exp2(), ((k + 1.0) / 8.0).exp2());
            assert!(lower * (1.0 - 1e-12) < value && value <= upper * (1.0 + 1e-12), "{value} not in ({lower}, {upper}]");
        }
    }

    #[test]
    fn a_power_of_two_is_the_last_of_its_bucket() {
        assert_eq!(bucket(1.0), -1);
        assert_eq!(bucket(2.0), 7);
        assert_eq!(bucket(1.000_001), 0);
    }

    #[test]
    fn counts_survive_growth_in_both_directions() {
        let mut buckets = Buckets::new(1.0);
        [1000, 1, 1_000_000_000, 0, u64::MAX, 1000].iter().for_each(|&value| buckets.record(value));
        let histogram = buckets.histogram();
        assert_eq!(histogram.buckets.iter().sum::<u64>() + histogram.zero_count, 6);
        assert!(histogram.buckets.len() <= 513);
        let k = usize::try_from(bucket(1000.0) - histogram.offset).unwrap();
        assert_eq!(histogram.buckets[k], 2);
    }
}
