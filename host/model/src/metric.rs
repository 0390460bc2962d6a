//! Metric series on their way to a sink: counts from before sampling, and the host's own telemetry.

use std::sync::Arc;

/// A metric with its series. Sums and histograms are cumulative since `start_unix_ns`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricData {
    /// OpenTelemetry metric name.
    pub name: String,
    /// The description, one sentence.
    pub description: String,
    /// UCUM unit.
    pub unit: String,
    /// Start of the counting, Unix nanoseconds.
    pub start_unix_ns: u64,
    /// Time of the reading, Unix nanoseconds.
    pub unix_ns: u64,
    /// The series.
    pub points: Vec<MetricPoint>,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPoint {
    /// Attributes: name and value. All points of one series share them.
    pub attributes: Arc<[(String, AttributeValue)]>,
    /// The value.
    pub value: PointValue,
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AttributeValue {
    /// Text.
    Text(String),
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// A float.
    Float(Float),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A float whose equality distinguishes series: two are equal if they print the same, so there is one NaN and one zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Float(u64);

/// A series' value.
#[derive(Debug, Clone, PartialEq)]
pub enum PointValue {
    /// A monotonic sum.
    Sum(u64),
    /// The current value.
    Gauge(f64),
    /// An OTLP exponential histogram.
    Histogram(Histogram),
}

/// An exponential histogram: bucket `offset + i` holds the values in (2^(k/2^scale), 2^((k+1)/2^scale)] with k = offset + i.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// The resolution.
    pub scale: i32,
    /// Index of the first bucket.
    pub offset: i32,
    /// Counts of consecutive buckets.
    pub buckets: Vec<u64>,
    /// Number of values that were 0.
    pub zero_count: u64,
    /// Number of all values.
    pub count: u64,
    /// Their sum, in the metric's unit.
    pub sum: f64,
    /// The minimum, in the metric's unit.
    pub min: f64,
    /// The maximum, in the metric's unit.
    pub max: f64,
}

// === impl Float ===

impl From<f64> for Float {
    fn from(number: f64) -> Self {
        let number = if number.is_nan() { f64::NAN } else { number };
        // Drops the sign of a zero.
        Self(if number == 0.0 { 0 } else { number.to_bits() })
    }
}

impl From<Float> for f64 {
    fn from(number: Float) -> Self {
        Self::from_bits(number.0)
    }
}

// === impl Histogram ===

impl Histogram {
    /// Returns the value that this share of all values (0 to 1) does not exceed, in the metric's unit, within half a bucket. None without
    /// values.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "2^53 values are out of reach")]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = share.clamp(0.0, 1.0) * self.count as f64;
        let mut below = self.zero_count as f64;
        if rank <= below && self.zero_count > 0 {
            return Some(0.0);
        }
        for (bucket, &count) in (self.offset..).zip(&self.buckets) {
            let within = (rank - below) / count as f64;
            if count > 0 && within <= 1.0 {
                let value = ((f64::from(bucket) + within.max(0.0)) / f64::from(self.scale).exp2()).exp2();
                return Some(value.clamp(self.min, self.max));
            }
            below += count as f64;
        }
        Some(self.max)
    }

    /// Adds the counts of another histogram of the same unit. The result has the coarser of the two scales.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            self.clone_from(other);
            return;
        }
        let scale = self.scale.min(other.scale);
        let (ours, theirs) = (self.at(scale), other.at(scale));
        let ends = |(offset, buckets): &(i32, Vec<u64>)| (*offset, *offset + i32::try_from(buckets.len()).unwrap_or(0));
        let ((from, to), (other_from, other_to)) = (ends(&ours), ends(&theirs));
        let (offset, end) = (from.min(other_from), to.max(other_to));
        let mut buckets = vec![0; usize::try_from(end - offset).unwrap_or(0)];
        for (first, counts) in [ours, theirs] {
            let start = usize::try_from(first - offset).unwrap_or(0);
            buckets.iter_mut().skip(start).zip(counts).for_each(|(sum, count)| *sum += count);
        }
        *self = Self {
            scale,
            offset,
            buckets,
            zero_count: self.zero_count + other.zero_count,
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        };
    }

    /// Returns the buckets at a coarser scale, and the index of the first.
    fn at(&self, scale: i32) -> (i32, Vec<u64>) {
        let halvings = (self.scale - scale).clamp(0, 31);
        let offset = self.offset >> halvings;
        let mut buckets: Vec<u64> = Vec::new();
        for (bucket, &count) in (self.offset..).zip(&self.buckets) {
            let place = usize::try_from((bucket >> halvings) - offset).unwrap_or(0);
            if buckets.len() <= place {
                buckets.resize(place + 1, 0);
            }
            if let Some(sum) = buckets.get_mut(place) {
                *sum += count;
            }
        }
        (offset, buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bucket k at scale 1 ends at 2^((k+1)/2).
    fn histogram(offset: i32, buckets: &[u64], min: f64, max: f64) -> Histogram {
        let count = buckets.iter().sum();
        Histogram { scale: 1, offset, buckets: buckets.to_vec(), zero_count: 0, count, sum: 0.0, min, max }
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank_and_within_what_was_seen() {
        let seen = histogram(2, &[10, 0, 90], 2.1, 5.0);
        assert_eq!(seen.quantile(1.0), Some(5.0));
        assert_eq!(seen.quantile(0.0), Some(2.1));
        let median = seen.quantile(0.5).unwrap();
        assert!((4.0..=5.0).contains(&median), "{median}");
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(Histogram { zero_count: 1, count: 1, ..Histogram::default() }.quantile(0.5), Some(0.0));
    }

    #[test]
    fn what_is_merged_is_counted_at_the_coarser_scale() {
        let mut sum = histogram(-3, &[1, 2, 3], 0.4, 0.9);
        sum.merge(&Histogram { scale: 0, offset: 1, buckets: vec![4], count: 4, min: 2.5, max: 3.0, ..Histogram::default() });
        assert_eq!((sum.scale, sum.offset, &sum.buckets[..]), (0, -2, &[1, 5, 0, 4][..]));
        assert_eq!((sum.count, sum.min, sum.max), (10, 0.4, 3.0));
        let mut none = Histogram::default();
        none.merge(&sum);
        assert_eq!(none, sum);
    }
}
