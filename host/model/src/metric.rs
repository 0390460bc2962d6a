//! Metric series on their way to a sink: what was counted before sampling, and the host's own telemetry.

/// A metric with its series. Sums and histograms are cumulative since `start_unix_ns`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricData {
    /// OpenTelemetry metric name.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// UCUM unit.
    pub unit: String,
    /// When counting began, Unix nanoseconds.
    pub start_unix_ns: u64,
    /// When it was read, Unix nanoseconds.
    pub unix_ns: u64,
    /// The series.
    pub points: Vec<MetricPoint>,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPoint {
    /// Attributes: name and value.
    pub attributes: Vec<(String, AttributeValue)>,
    /// Its value.
    pub value: PointValue,
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AttributeValue {
    /// Text.
    Text(String),
    /// A number.
    Int(i64),
    /// True or false.
    Bool(bool),
}

/// A series' value.
#[derive(Debug, Clone, PartialEq)]
pub enum PointValue {
    /// A monotonic sum.
    Sum(u64),
    /// What it is now.
    Gauge(f64),
    /// An OTLP exponential histogram.
    Histogram(Histogram),
}

/// An exponential histogram: bucket `offset + i` holds the values in (2^(k/2^scale), 2^((k+1)/2^scale)] with k = offset + i.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// Resolution.
    pub scale: i32,
    /// Index of the first bucket.
    pub offset: i32,
    /// Counts of consecutive buckets.
    pub buckets: Vec<u64>,
    /// Values that were 0.
    pub zero_count: u64,
    /// All values.
    pub count: u64,
    /// Their sum, in the metric's unit.
    pub sum: f64,
    /// The least, in the metric's unit.
    pub min: f64,
    /// The greatest, in the metric's unit.
    pub max: f64,
}
