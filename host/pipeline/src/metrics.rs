//! RED metrics: every row is counted before the sampler sees it, so they are exact however many it drops.

mod buckets;
mod meter;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use host_model::{
    AttributeValue, Batch, ColumnType, Float, Instrument, Metric, MetricData, MetricPoint, PointValue, Schema, Sink, unix_ns,
};
use std::hash::BuildHasher;

use crate::blueprint::BatchLimits;
use buckets::Buckets;
use meter::Meter;

/// Maximum bytes of text in the key of a series, over all dimensions: a series is kept for ever, and a decoder may return values of any
/// length.
const KEY: usize = 4096;

/// Maximum metrics of a path with its full number of series: a series takes up to 3 KiB for each metric.
const METRICS: usize = 16;

/// Size of an exported point, without its attributes.
const POINT: usize = 96;

/// Size of the exported buckets of a distribution: half of them are used, of one byte to two.
const DISTRIBUTION: usize = 512;

/// Maximum bytes that the sink gets at once.
const PART: usize = 2 << 20;

/// The limits on the series of a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeriesLimits {
    pub(crate) cardinality: usize,
    /// Maximum bytes of their exported points.
    pub(crate) bytes: usize,
}

/// The series of one path.
pub(crate) struct Metrics {
    schema: Arc<Schema>,
    dimensions: Vec<usize>,
    /// Maximum bytes of a value in a key.
    longest: usize,
    cardinality: usize,
    /// Maximum bytes of the exported points of all series, and their current number.
    most_bytes: usize,
    bytes: usize,
    /// The place of the overflow series.
    overflow: Option<usize>,
    series: Vec<Series>,
    index: HashTable<usize>,
    hasher: FixedState,
    /// The dimensions of the current row, and the series of the row before: similar rows come together.
    key: Vec<u8>,
    last: Option<usize>,
    start_unix_ns: u64,
}

struct Series {
    key: Vec<u8>,
    attributes: Arc<[(String, AttributeValue)]>,
    /// Size of each of its exported points, without buckets.
    bytes: usize,
    /// One total per metric of the schema.
    totals: Vec<Total>,
}

enum Total {
    Count(u64),
    Sum(u64),
    Buckets(Buckets),
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new(schema: &Arc<Schema>, limits: SeriesLimits) -> Self {
        let dimensions: Vec<usize> = if schema.metrics.is_empty() { Vec::new() } else { schema.dimensions().collect() };
        Self {
            schema: Arc::clone(schema),
            longest: KEY / dimensions.len().max(1),
            dimensions,
            cardinality: limits.cardinality.saturating_mul(METRICS) / schema.metrics.len().max(METRICS),
            most_bytes: limits.bytes,
            bytes: 0,
            overflow: None,
            series: Vec::new(),
            index: HashTable::new(),
            hasher: FixedState::default(),
            key: Vec::new(),
            last: None,
            start_unix_ns: unix_ns(),
        }
    }

    /// The schema of the rows.
    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Returns the fields that the metrics of a schema need of every row.
    pub(crate) fn wanted(schema: &Schema) -> Vec<usize> {
        if schema.metrics.is_empty() {
            return Vec::new();
        }
        let measured = schema.metrics.iter().filter(|metric| metric.instrument != Instrument::Counter);
        let tested = schema.metrics.iter().flat_map(|metric| metric.only.iter().map(|only| only.field));
        schema.dimensions().chain(measured.map(|metric| metric.value)).chain(tested).collect()
    }

    /// The number of series.
    pub(crate) fn series(&self) -> usize {
        self.series.len()
    }

    /// Counts every row of a batch.
    pub(crate) fn record(&mut self, batch: &Batch) {
        if self.schema.metrics.is_empty() {
            return;
        }
        let dimensions: Vec<(ColumnType, &ArrayRef)> =
            self.dimensions.iter().filter_map(|&field| typed(batch, field)).collect();
        let meters: Vec<Meter<'_>> = self.schema.metrics.iter().map(|metric| Meter::of(batch, metric)).collect();
        for row in 0..batch.rows {
            self.key.clear();
            for (_, column) in &dimensions {
                append(&mut self.key, column, row, self.longest);
            }
            let same = self.last.filter(|&last| self.series.get(last).is_some_and(|series| series.key == self.key));
            let place = same.unwrap_or_else(|| self.find(&dimensions, row));
            self.last = Some(place);
            if let Some(series) = self.series.get_mut(place) {
                for (total, meter) in series.totals.iter_mut().zip(&meters) {
                    if meter.counts(row) {
                        total.add(meter.known(row));
                    }
                }
            }
        }
    }

    /// Returns all points, cumulative since the start.
    pub(crate) fn collect(&self) -> Vec<MetricData> {
        let now = unix_ns();
        let metrics = self.schema.metrics.iter().enumerate();
        metrics.map(|(index, metric)| self.data(metric, now, self.points(index, metric).collect())).collect()
    }

    /// Sends all points to a sink, in parts: encoded at once they could take many times their size here.
    pub(crate) fn send(&self, sink: &mut dyn Sink) {
        let now = unix_ns();
        let (mut part, mut bytes) = (Vec::new(), 0);
        for (index, metric) in self.schema.metrics.iter().enumerate() {
            let mut points = Vec::new();
            for (point, size) in self.sized(index, metric) {
                bytes += size;
                points.push(point);
                if bytes > PART {
                    part.push(self.data(metric, now, std::mem::take(&mut points)));
                    sink.metrics(&part);
                    part.clear();
                    bytes = 0;
                }
            }
            part.push(self.data(metric, now, points));
        }
        sink.metrics(&part);
    }

    fn data(&self, metric: &Metric, now: u64, points: Vec<MetricPoint>) -> MetricData {
        let unit = self.schema.fields.get(metric.value).map_or("", |field| field.unit.as_str());
        MetricData {
            name: metric.name.clone(),
            description: metric.description.clone(),
            unit: match metric.instrument {
                Instrument::Counter => "1",
                Instrument::Histogram if unit == "ns" => "s",
                Instrument::Histogram | Instrument::Sum => unit,
            }
            .to_owned(),
            start_unix_ns: self.start_unix_ns,
            unix_ns: now,
            points,
        }
    }

    fn points(&self, index: usize, metric: &Metric) -> impl Iterator<Item = MetricPoint> + '_ {
        self.sized(index, metric).map(|(point, _)| point)
    }

    /// The points of a metric, one for each series, and their exported size. If the metric counts only some rows, series without any have
    /// no point.
    fn sized(&self, index: usize, metric: &Metric) -> impl Iterator<Item = (MetricPoint, usize)> + '_ {
        let sparse = !metric.only.is_empty();
        let counted = move |series: &&Series| !sparse || series.totals.get(index).is_some_and(|total| !total.is_zero());
        self.series.iter().filter(counted).filter_map(move |series| Some((series.point(index)?, series.bytes + DISTRIBUTION)))
    }

    /// Returns the series of the current key; a new one if there is room, else the overflow series.
    fn find(&mut self, dimensions: &[(ColumnType, &ArrayRef)], row: usize) -> usize {
        let hash = self.hasher.hash_one(&self.key);
        let found = self.index.find(hash, |&place| self.series.get(place).is_some_and(|series| series.key == self.key));
        if let Some(&place) = found {
            return place;
        }
        if self.overflow.is_some() || self.series.len() >= self.cardinality {
            return self.overflow();
        }
        let names = self.dimensions.iter().filter_map(|&field| self.schema.fields.get(field));
        let attributes: Arc<[_]> = names
            .zip(dimensions)
            .filter_map(|(field, (_, column))| {
                Some((field.name.clone(), attribute(column, row, field.omit_zero, self.longest)?))
            })
            .collect();
        if self.bytes.saturating_add(self.weight(&attributes)) > self.most_bytes {
            return self.overflow();
        }
        let place = self.push(self.key.clone(), attributes);
        let (series, hasher) = (&self.series, &self.hasher);
        self.index.insert_unique(hash, place, |&place| series.get(place).map_or(0, |series| hasher.hash_one(&series.key)));
        place
    }

    /// Returns the series that OpenTelemetry reserves for values over the cardinality limit. It is the last one.
    fn overflow(&mut self) -> usize {
        if let Some(place) = self.overflow {
            return place;
        }
        // No row has this key: a real key is as long as its dimensions.
        let attributes = Arc::new([("otel.metric.overflow".to_owned(), AttributeValue::Bool(true))]);
        let place = self.push(b"overflow".repeat(64), attributes);
        self.overflow = Some(place);
        place
    }

    /// Size of the exported points of a series.
    fn weight(&self, attributes: &[(String, AttributeValue)]) -> usize {
        let distributions = self.schema.metrics.iter().filter(|metric| metric.instrument == Instrument::Histogram).count();
        self.schema.metrics.len() * written(attributes) + distributions * DISTRIBUTION
    }

    fn push(&mut self, key: Vec<u8>, attributes: Arc<[(String, AttributeValue)]>) -> usize {
        self.bytes += self.weight(&attributes);
        let totals = self.schema.metrics.iter().map(|metric| match metric.instrument {
            Instrument::Counter => Total::Count(0),
            Instrument::Sum => Total::Sum(0),
            Instrument::Histogram => {
                let in_seconds = self.schema.fields.get(metric.value).is_some_and(|field| field.unit == "ns");
                Total::Buckets(Buckets::new(if in_seconds { 1e-9 } else { 1.0 }))
            }
        });
        let (bytes, totals) = (written(&attributes), totals.collect());
        self.series.push(Series { key, attributes, bytes, totals });
        self.series.len() - 1
    }
}

// === impl Series ===

impl Series {
    fn point(&self, metric: usize) -> Option<MetricPoint> {
        let value = match self.totals.get(metric)? {
            Total::Count(sum) | Total::Sum(sum) => PointValue::Sum(*sum),
            Total::Buckets(buckets) => PointValue::Histogram(buckets.histogram()),
        };
        Some(MetricPoint { attributes: Arc::clone(&self.attributes), value })
    }
}

// === impl Total ===

impl Total {
    /// Counts one row, with its measurement if that is known.
    fn add(&mut self, value: Option<u64>) {
        match (self, value) {
            (Self::Count(count), _) => *count += 1,
            (Self::Sum(sum), Some(value)) => *sum = sum.saturating_add(value),
            (Self::Buckets(buckets), Some(value)) => buckets.record(value),
            (Self::Sum(_) | Self::Buckets(_), None) => {}
        }
    }

    fn is_zero(&self) -> bool {
        match self {
            Self::Count(sum) | Self::Sum(sum) => *sum == 0,
            Self::Buckets(buckets) => buckets.is_empty(),
        }
    }
}

// === impl SeriesLimits ===

impl From<BatchLimits> for SeriesLimits {
    fn from(limits: BatchLimits) -> Self {
        Self { cardinality: limits.cardinality, bytes: limits.metric_bytes }
    }
}

/// Size of an exported point, without buckets.
fn written(attributes: &[(String, AttributeValue)]) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::Text(text) => text.len(),
        AttributeValue::Bytes(bytes) => bytes.len(),
        AttributeValue::Int(_) | AttributeValue::Float(_) | AttributeValue::Bool(_) => 10,
    };
    POINT + attributes.iter().map(|(name, of)| name.len() + value(of) + 12).sum::<usize>()
}

fn typed(batch: &Batch, field: usize) -> Option<(ColumnType, &ArrayRef)> {
    Some((batch.schema.fields.get(field)?.column_type, batch.column(field)?))
}

/// Appends a value in a form that differs for different values, up to the length that counts: text carries its length.
fn append(key: &mut Vec<u8>, column: &ArrayRef, row: usize, longest: usize) {
    if row >= column.len() {
        return;
    }
    if let Some(text) = column.as_string_opt::<i32>() {
        let text = cut(text.value(row), longest).as_bytes();
        key.extend_from_slice(&(text.len() as u64).to_le_bytes());
        key.extend_from_slice(text);
    } else if let Some(bytes) = column.as_binary_opt::<i32>() {
        let bytes = bytes.value(row);
        let bytes = bytes.get(..longest).unwrap_or(bytes);
        key.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        key.extend_from_slice(bytes);
    } else {
        key.extend_from_slice(&number(column, row).unwrap_or(0).to_le_bytes());
    }
}

fn attribute(column: &ArrayRef, row: usize, omit_zero: bool, longest: usize) -> Option<AttributeValue> {
    if let Some(text) = column.as_string_opt::<i32>() {
        let text = cut(text.value(row), longest);
        return (!(omit_zero && text.is_empty())).then(|| AttributeValue::Text(text.to_owned()));
    }
    if let Some(bytes) = column.as_binary_opt::<i32>() {
        let bytes = bytes.value(row);
        let bytes = bytes.get(..longest).unwrap_or(bytes);
        return (!(omit_zero && bytes.is_empty())).then(|| AttributeValue::Bytes(bytes.to_vec()));
    }
    if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
        let number = floats.values().get(row).copied()?;
        return (!(omit_zero && number == 0.0)).then(|| AttributeValue::Float(number.into()));
    }
    if let Some(large) = column.as_primitive_opt::<UInt64Type>().and_then(|column| column.values().get(row).copied())
        && i64::try_from(large).is_err()
    {
        // As in rows: OTLP has no integer that holds it.
        return Some(AttributeValue::Text(large.to_string()));
    }
    let number = number(column, row)?;
    (!(omit_zero && number == 0)).then_some(AttributeValue::Int(number))
}

fn cut(text: &str, longest: usize) -> &str {
    text.get(..text.floor_char_boundary(longest)).unwrap_or(text)
}

fn number(column: &ArrayRef, row: usize) -> Option<i64> {
    if let Some(column) = column.as_primitive_opt::<UInt32Type>() {
        return column.values().get(row).copied().map(i64::from);
    }
    if let Some(column) = column.as_primitive_opt::<UInt64Type>() {
        return column.values().get(row).copied().map(u64::cast_signed);
    }
    if let Some(column) = column.as_primitive_opt::<Int64Type>() {
        return column.values().get(row).copied();
    }
    if let Some(column) = column.as_primitive_opt::<UInt8Type>() {
        return column.values().get(row).copied().map(i64::from);
    }
    let float = Float::from(column.as_primitive_opt::<Float64Type>()?.values().get(row).copied()?);
    Some(f64::from(float).to_bits().cast_signed())
}

#[cfg(test)]
mod tests;
