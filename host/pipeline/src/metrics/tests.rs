use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray, UInt8Array, UInt32Array, UInt64Array};
use host_model::{
    AttributeValue, Batch, ColumnType, Condition, Field, FieldUse, Instrument, Metric, MetricData, MetricPoint, PointValue,
    Schema, Sensitivity, Signal, Sink,
};

use super::{Metrics, PART, SeriesLimits, written};
use crate::blueprint::BatchLimits;

fn schema() -> Arc<Schema> {
    let field = |name: &str, column_type, field_use, unit: &str| Field {
        name: name.into(),
        column_type,
        unit: unit.into(),
        field_use,
        sensitivity: Sensitivity::Public,
        omit_zero: true,
    };
    let metric = |name: &str, instrument, value| Metric {
        name: name.into(),
        description: String::new(),
        instrument,
        value,
        only: Vec::new(),
    };
    Arc::new(Schema {
        event: "file.open".into(),
        signal: Signal::Span,
        fields: vec![
            field("time", ColumnType::U64, FieldUse::Time, "ns"),
            field("duration", ColumnType::U64, FieldUse::Duration, "ns"),
            field("error.type", ColumnType::Text, FieldUse::Error, ""),
        ],
        metrics: vec![metric("opens", Instrument::Counter, 0), metric("open.duration", Instrument::Histogram, 1)],
    })
}

fn batch(rows: &[(u64, &str)]) -> Batch {
    let mut batch = Batch::new(schema(), rows.len());
    let durations: ArrayRef = Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let errors: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)));
    batch.put(&[1, 2], vec![durations, errors]);
    batch
}

fn limits(cardinality: usize) -> SeriesLimits {
    SeriesLimits { cardinality, bytes: BatchLimits::default().metric_bytes }
}

fn opens(metrics: &Metrics) -> Vec<(Vec<(String, AttributeValue)>, PointValue)> {
    metrics.collect()[0].points.iter().map(|point| (point.attributes.to_vec(), point.value.clone())).collect()
}

#[test]
fn rows_are_counted_by_their_dimensions() {
    let mut metrics = Metrics::new(&schema(), limits(100));
    metrics.record(&batch(&[(1_000, ""), (2_000, "ENOENT"), (3_000, ""), (4_000, "ENOENT"), (5_000, "EACCES")]));
    let error = |name: &str| vec![("error.type".to_owned(), AttributeValue::Text(name.into()))];
    assert_eq!(
        opens(&metrics),
        [(vec![], PointValue::Sum(2)), (error("ENOENT"), PointValue::Sum(2)), (error("EACCES"), PointValue::Sum(1))]
    );
}

#[test]
fn durations_in_nanoseconds_leave_in_seconds() {
    let mut metrics = Metrics::new(&schema(), limits(100));
    metrics.record(&batch(&[(1_500_000_000, ""), (500_000_000, "")]));
    let data = metrics.collect();
    assert_eq!(data[1].unit, "s");
    let PointValue::Histogram(histogram) = &data[1].points[0].value else { panic!("no histogram") };
    assert_eq!((histogram.count, histogram.sum, histogram.min, histogram.max), (2, 2.0, 0.5, 1.5));
}

#[test]
fn what_is_over_the_cardinality_is_folded_and_still_counted() {
    let mut metrics = Metrics::new(&schema(), limits(2));
    metrics.record(&batch(&[(1, "A"), (1, "B"), (1, "C"), (1, "D"), (1, "A"), (1, "C")]));
    let counted = opens(&metrics);
    assert_eq!(counted.len(), 3);
    assert_eq!(counted[2], (vec![("otel.metric.overflow".to_owned(), AttributeValue::Bool(true))], PointValue::Sum(3)));
}

#[test]
fn text_that_runs_together_is_not_taken_for_the_same_series() {
    let mut metrics = Metrics::new(&schema(), limits(100));
    metrics.record(&batch(&[(1, "A"), (1, "AA"), (1, "")]));
    assert_eq!(opens(&metrics).len(), 3);
}

#[test]
fn what_is_not_known_is_counted_as_a_row_and_not_as_a_measurement() {
    let mut metrics = Metrics::new(&schema(), limits(100));
    metrics.record(&batch(&[(0, ""), (500, "")]));
    let data = metrics.collect();
    assert_eq!(data[0].points[0].value, PointValue::Sum(2));
    let PointValue::Histogram(histogram) = &data[1].points[0].value else { panic!("no histogram") };
    assert_eq!((histogram.count, histogram.zero_count), (1, 0));
}

#[test]
fn a_metric_with_conditions_counts_only_rows_for_which_all_hold() {
    let mut schema = (*schema()).clone();
    let field = |name: &str, column_type, field_use| Field {
        name: name.into(),
        column_type,
        unit: String::new(),
        field_use,
        sensitivity: Sensitivity::Public,
        omit_zero: false,
    };
    schema.fields.push(field("kind", ColumnType::U32, FieldUse::Kind));
    schema.fields.push(field("tls", ColumnType::Boolean, FieldUse::Plain));
    schema.metrics[1].only = vec![Condition { field: 3, equals: 2 }, Condition { field: 4, equals: 1 }];
    assert_eq!(Metrics::wanted(&schema), [2, 1, 3, 4], "what is tested is decoded");
    let schema = Arc::new(schema);
    let mut batch = batch(&[(10, "A"), (20, "A"), (30, "A"), (40, "B")]);
    batch.schema = Arc::clone(&schema);
    batch.columns.resize(5, None);
    let (kinds, tls): (ArrayRef, ArrayRef) =
        (Arc::new(UInt32Array::from(vec![2, 2, 3, 3])), Arc::new(UInt8Array::from(vec![1, 0, 1, 1])));
    batch.put(&[3, 4], vec![kinds, tls]);
    let mut metrics = Metrics::new(&schema, limits(100));
    metrics.record(&batch);
    let data = metrics.collect();
    assert_eq!(data[0].points.len(), 2, "both series are counted");
    let [point] = &data[1].points[..] else { panic!("nothing of B was measured: {:?}", data[1].points) };
    let PointValue::Histogram(histogram) = &point.value else { panic!("no histogram") };
    assert_eq!((histogram.count, histogram.max), (1, 1e-8));
}

#[test]
fn values_that_a_decoder_made_up_are_cut_and_numbers_at_their_ends_are_counted() {
    let mut metrics = Metrics::new(&schema(), limits(100));
    let long = "ö".repeat(1 << 20);
    metrics.record(&batch(&[(u64::MAX, &long), (u64::MAX, &format!("{long}!")), (1, &long), (0, &long)]));
    let data = metrics.collect();
    let [point] = &data[1].points[..] else { panic!("{} series", data[1].points.len()) };
    assert_eq!(*point.attributes, [("error.type".to_owned(), AttributeValue::Text("ö".repeat(2048)))]);
    let PointValue::Histogram(histogram) = &point.value else { panic!("{point:?}") };
    assert_eq!((histogram.count, histogram.buckets.iter().sum::<u64>()), (3, 3));
    assert!(histogram.sum.is_finite() && histogram.buckets.len() <= 320, "{histogram:?}");
}

#[test]
fn a_schema_of_many_metrics_gets_fewer_series() {
    let mut schema = (*schema()).clone();
    schema.metrics = vec![schema.metrics[0].clone(); 64];
    let schema = Arc::new(schema);
    let mut metrics = Metrics::new(&schema, limits(100));
    let errors: Vec<String> = (0..200).map(|error| format!("E{error}")).collect();
    let mut batch = batch(&errors.iter().map(|error| (1, error.as_str())).collect::<Vec<_>>());
    batch.schema = schema;
    metrics.record(&batch);
    assert_eq!(metrics.series(), 26, "a quarter of them, and the one for the rest");
    assert_eq!(metrics.collect()[63].points.len(), 26);
}

/// A schema with this many dimensions, whose names have 100 bytes, and this many distributions.
fn wide(dimensions: usize, metrics: usize) -> Arc<Schema> {
    let mut schema = (*schema()).clone();
    let dimension = Field { field_use: FieldUse::Dimension, ..schema.fields[2].clone() };
    schema.fields.truncate(2);
    schema.fields.extend((0..dimensions).map(|number| Field { name: format!("{number:0>100}"), ..dimension.clone() }));
    let metric = |number| Metric { name: format!("m{number}"), ..schema.metrics[1].clone() };
    schema.metrics = (0..metrics).map(metric).collect();
    Arc::new(schema)
}

/// A row for each number, which is its value in every dimension.
fn numbered(schema: &Arc<Schema>, rows: std::ops::Range<u64>) -> Batch {
    let count = usize::try_from(rows.end - rows.start).unwrap();
    let mut batch = Batch::new(Arc::clone(schema), count);
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(rows.clone().map(|row| row.to_string())));
    let durations: ArrayRef = Arc::new(UInt64Array::from_iter_values(rows));
    batch.put(&[1], vec![durations]);
    let dimensions: Vec<usize> = (2..schema.fields.len()).collect();
    batch.put(&dimensions, vec![text; dimensions.len()]);
    batch
}

/// The parts that were sent: points and the bytes of their attributes.
#[derive(Default)]
struct Parts(Vec<(usize, usize)>);

impl Sink for Parts {
    fn write(&mut self, _kept: &host_model::Kept) {}

    fn metrics(&mut self, metrics: &[MetricData]) {
        let points: Vec<&MetricPoint> = metrics.iter().flat_map(|metric| &metric.points).collect();
        self.0.push((points.len(), points.iter().map(|point| written(&point.attributes)).sum()));
    }

    fn flush(&mut self) {}

    fn queue(&self) -> (u64, u64) {
        (0, 0)
    }
}

#[test]
fn what_all_series_take_as_they_go_out_is_bounded_and_every_row_is_counted() {
    for (dimensions, metrics) in [(200, 64), (10, 64), (200, 1), (0, 64), (1, 1)] {
        let schema = wide(dimensions, metrics);
        let mut counted = Metrics::new(&schema, SeriesLimits { cardinality: 2_000, bytes: 4 << 20 });
        (0..20).for_each(|part| counted.record(&numbered(&schema, part * 100 + 1..part * 100 + 101)));
        let mut parts = Parts::default();
        counted.send(&mut parts);
        let bytes: usize = parts.0.iter().map(|(_, bytes)| bytes).sum();
        assert!(bytes <= (4 << 20) + 64 * 200, "{dimensions} x {metrics}: {bytes} bytes");
        assert!(parts.0.iter().all(|(_, bytes)| *bytes <= PART + (64 << 10)), "{:?}", parts.0);
        let told: usize = parts.0.iter().map(|(points, _)| points).sum();
        assert_eq!(told, counted.series() * metrics);
        let data = counted.collect();
        let rows: u64 = data[0]
            .points
            .iter()
            .map(|point| if let PointValue::Histogram(histogram) = &point.value { histogram.count } else { 0 })
            .sum();
        assert_eq!(rows, 2_000, "{dimensions} x {metrics}: {} series", counted.series());
    }
}

#[test]
fn series_share_their_attributes_with_all_their_points() {
    let schema = wide(3, 4);
    let mut metrics = Metrics::new(&schema, limits(10));
    metrics.record(&numbered(&schema, 1..2));
    let data = metrics.collect();
    assert!(data.iter().all(|metric| Arc::ptr_eq(&metric.points[0].attributes, &data[0].points[0].attributes)));
}

/// The attributes of the series of a dimension.
fn told(column_type: ColumnType, column: ArrayRef) -> Vec<Vec<(String, AttributeValue)>> {
    let mut schema = (*wide(1, 1)).clone();
    schema.fields[2].column_type = column_type;
    schema.fields[2].name = "d".into();
    let schema = Arc::new(schema);
    let mut batch = Batch::new(Arc::clone(&schema), column.len());
    batch.put(&[2], vec![column]);
    let mut metrics = Metrics::new(&schema, limits(100));
    metrics.record(&batch);
    metrics.collect()[0].points.iter().map(|point| point.attributes.to_vec()).collect()
}

#[test]
fn a_dimension_of_any_type_goes_out_as_what_it_is_and_no_two_series_look_the_same() {
    let one = |value| vec![("d".to_owned(), value)];
    let bytes: ArrayRef = Arc::new(arrow_array::BinaryArray::from(vec![&b"\xff"[..], b"a", b"\xff"]));
    assert_eq!(
        told(ColumnType::Bytes, bytes),
        [one(AttributeValue::Bytes(vec![0xff])), one(AttributeValue::Bytes(b"a".to_vec()))]
    );
    let not_a_number = f64::from_bits(f64::NAN.to_bits() | 1);
    let floats: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![0.5, 0.0, -0.0, f64::NAN, not_a_number]));
    let float = |value: f64| one(AttributeValue::Float(value.into()));
    // As in every column of numbers, 0 means that there is no value.
    assert_eq!(told(ColumnType::F64, floats), [float(0.5), Vec::new(), float(f64::NAN)]);
    let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 7]));
    assert_eq!(told(ColumnType::U64, large), [one(AttributeValue::Text(u64::MAX.to_string())), one(AttributeValue::Int(7))]);
}
