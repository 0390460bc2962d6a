//! RED metrics: every row is counted here before the sampler sees it, so they are exact whatever it drops.

mod buckets;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use host_model::{
    AttributeValue, Batch, ColumnType, Condition, Instrument, Metric, MetricData, MetricPoint, PointValue, Schema,
};
use std::hash::BuildHasher;

use buckets::Buckets;

/// Bytes of text that tell the series of a path apart, over all dimensions: a series is kept for ever, however long the values
/// are that a decoder made up.
const KEY: usize = 4096;

/// Metrics that a path may have its full number of series for: a series takes up to 3 KiB for each metric.
const METRICS: usize = 16;

/// The series of one path.
pub(crate) struct Metrics {
    schema: Arc<Schema>,
    dimensions: Vec<usize>,
    /// Bytes of a value that tell series apart.
    longest: usize,
    cardinality: usize,
    series: Vec<Series>,
    index: HashTable<usize>,
    hasher: FixedState,
    /// The dimensions of the row at hand, and the series of the row before: rows of a kind come together.
    key: Vec<u8>,
    last: Option<usize>,
    start_unix_ns: u64,
}

struct Series {
    key: Vec<u8>,
    attributes: Vec<(String, AttributeValue)>,
    /// One per metric of the schema.
    totals: Vec<Total>,
}

enum Total {
    Count(u64),
    Sum(u64),
    Buckets(Buckets),
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new(schema: &Arc<Schema>, cardinality: usize) -> Self {
        let dimensions: Vec<usize> = if schema.metrics.is_empty() { Vec::new() } else { schema.dimensions().collect() };
        Self {
            schema: Arc::clone(schema),
            longest: KEY / dimensions.len().max(1),
            dimensions,
            cardinality: cardinality.saturating_mul(METRICS) / schema.metrics.len().max(METRICS),
            series: Vec::new(),
            index: HashTable::new(),
            hasher: FixedState::default(),
            key: Vec::new(),
            last: None,
            start_unix_ns: unix_ns(),
        }
    }

    /// What the rows mean.
    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The fields that the metrics of a schema need of every row.
    pub(crate) fn wanted(schema: &Schema) -> Vec<usize> {
        if schema.metrics.is_empty() {
            return Vec::new();
        }
        let measured = schema.metrics.iter().filter(|metric| metric.instrument != Instrument::Counter);
        let tested = schema.metrics.iter().flat_map(|metric| metric.only.iter().map(|only| only.field));
        schema.dimensions().chain(measured.map(|metric| metric.value)).chain(tested).collect()
    }

    /// How many series there are.
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

    /// What has been counted, cumulative since the start.
    pub(crate) fn collect(&self) -> Vec<MetricData> {
        let now = unix_ns();
        let metrics = self.schema.metrics.iter().enumerate();
        metrics
            .map(|(index, metric)| {
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
                    points: self.points(index, !metric.only.is_empty()).collect(),
                }
            })
            .collect()
    }

    /// What a metric has come to in each series. Where it counts only some rows, series without any say nothing of it.
    fn points(&self, metric: usize, sparse: bool) -> impl Iterator<Item = MetricPoint> + '_ {
        let counted = move |series: &&Series| !sparse || series.totals.get(metric).is_some_and(|total| !total.is_zero());
        self.series.iter().filter(counted).filter_map(move |series| series.point(metric))
    }

    /// The series of the key at hand; a new one if there is room, else the one for all that is over.
    fn find(&mut self, dimensions: &[(ColumnType, &ArrayRef)], row: usize) -> usize {
        let hash = self.hasher.hash_one(&self.key);
        let found = self.index.find(hash, |&place| self.series.get(place).is_some_and(|series| series.key == self.key));
        if let Some(&place) = found {
            return place;
        }
        if self.series.len() >= self.cardinality {
            return self.overflow();
        }
        let names = self.dimensions.iter().filter_map(|&field| self.schema.fields.get(field));
        let attributes = names
            .zip(dimensions)
            .filter_map(|(field, (_, column))| {
                Some((field.name.clone(), attribute(column, row, field.omit_zero, self.longest)?))
            })
            .collect();
        let place = self.push(self.key.clone(), attributes);
        let (series, hasher) = (&self.series, &self.hasher);
        self.index.insert_unique(hash, place, |&place| series.get(place).map_or(0, |series| hasher.hash_one(&series.key)));
        place
    }

    /// The series that OpenTelemetry reserves for what is over the cardinality limit. It stands behind all others.
    fn overflow(&mut self) -> usize {
        if self.series.len() == self.cardinality {
            // No row has this key: a real one is as long as its dimensions are.
            self.push(b"overflow".repeat(64), vec![("otel.metric.overflow".to_owned(), AttributeValue::Bool(true))]);
        }
        self.cardinality
    }

    fn push(&mut self, key: Vec<u8>, attributes: Vec<(String, AttributeValue)>) -> usize {
        let totals = self.schema.metrics.iter().map(|metric| match metric.instrument {
            Instrument::Counter => Total::Count(0),
            Instrument::Sum => Total::Sum(0),
            Instrument::Histogram => {
                let in_seconds = self.schema.fields.get(metric.value).is_some_and(|field| field.unit == "ns");
                Total::Buckets(Buckets::new(if in_seconds { 1e-9 } else { 1.0 }))
            }
        });
        self.series.push(Series { key, attributes, totals: totals.collect() });
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
        Some(MetricPoint { attributes: self.attributes.clone(), value })
    }
}

// === impl Total ===

impl Total {
    /// Counts one row, with what was measured if that is known.
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

/// One metric in one batch: its columns are looked up once.
struct Meter<'a> {
    values: Option<Values<'a>>,
    only: Vec<Test<'a>>,
}

/// A condition and its column.
enum Test<'a> {
    Number(&'a [u32], u32),
    Flag(&'a [u8], u32),
    /// Its column is not there: it never holds.
    Never,
}

/// A measured column.
struct Values<'a> {
    numbers: Numbers<'a>,
    /// A 0 is not a measurement.
    omit_zero: bool,
}

enum Numbers<'a> {
    U32(&'a [u32]),
    U64(&'a [u64]),
}

// === impl Meter ===

impl<'a> Meter<'a> {
    fn of(batch: &'a Batch, metric: &Metric) -> Self {
        let only = metric.only.iter().map(|only| Test::of(batch, *only)).collect();
        Self { values: Values::of(batch, metric.value), only }
    }

    /// Whether all conditions hold in a row.
    fn counts(&self, row: usize) -> bool {
        self.only.iter().all(|only| only.holds(row))
    }

    /// The value of a row, unless it is not known.
    fn known(&self, row: usize) -> Option<u64> {
        self.values.as_ref()?.known(row)
    }
}

// === impl Test ===

impl<'a> Test<'a> {
    fn of(batch: &'a Batch, only: Condition) -> Self {
        let Some(column) = batch.column(only.field) else { return Self::Never };
        if let Some(column) = column.as_primitive_opt::<UInt32Type>() {
            return Self::Number(column.values(), only.equals);
        }
        column.as_primitive_opt::<UInt8Type>().map_or(Self::Never, |column| Self::Flag(column.values(), only.equals))
    }

    fn holds(&self, row: usize) -> bool {
        match *self {
            Self::Number(values, equals) => values.get(row) == Some(&equals),
            Self::Flag(values, equals) => values.get(row).is_some_and(|&value| u32::from(value) == equals),
            Self::Never => false,
        }
    }
}

// === impl Values ===

impl<'a> Values<'a> {
    fn of(batch: &'a Batch, field: usize) -> Option<Self> {
        let omit_zero = batch.schema.fields.get(field)?.omit_zero;
        let column = batch.column(field)?;
        let narrow = column.as_primitive_opt::<UInt32Type>().map(|column| Numbers::U32(column.values()));
        let numbers = narrow.or_else(|| column.as_primitive_opt::<UInt64Type>().map(|column| Numbers::U64(column.values())))?;
        Some(Self { numbers, omit_zero })
    }

    /// The value of a row, unless it is not known.
    fn known(&self, row: usize) -> Option<u64> {
        let value = match self.numbers {
            Numbers::U32(values) => values.get(row).copied()?.into(),
            Numbers::U64(values) => values.get(row).copied()?,
        };
        (value != 0 || !self.omit_zero).then_some(value)
    }
}

fn typed(batch: &Batch, field: usize) -> Option<(ColumnType, &ArrayRef)> {
    Some((batch.schema.fields.get(field)?.column_type, batch.column(field)?))
}

/// Appends a value in a form that differs for different values, as far as they are looked at: text carries its length.
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
    let float = column.as_primitive_opt::<Float64Type>()?.values().get(row).copied()?;
    Some(float.to_bits().cast_signed())
}

fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
