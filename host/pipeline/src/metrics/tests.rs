use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray, UInt8Array, UInt32Array, UInt64Array};
use host_model::{
    AttributeValue, Batch, ColumnType, Condition, Field, FieldUse, Instrument, Metric, PointValue, Schema, Sensitivity, Signal,
};

use super::Metrics;

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

fn opens(metrics: &Metrics) -> Vec<(Vec<(String, AttributeValue)>, PointValue)> {
    metrics.collect()[0].points.iter().map(|point| (point.attributes.clone(), point.value.clone())).collect()
}

#[test]
fn rows_are_counted_by_their_dimensions() {
    let mut metrics = Metrics::new(&schema(), 100);
    metrics.record(&batch(&[(1_000, ""), (2_000, "ENOENT"), (3_000, ""), (4_000, "ENOENT"), (5_000, "EACCES")]));
    let error = |name: &str| vec![("error.type".to_owned(), AttributeValue::Text(name.into()))];
    assert_eq!(
        opens(&metrics),
        [(vec![], PointValue::Sum(2)), (error("ENOENT"), PointValue::Sum(2)), (error("EACCES"), PointValue::Sum(1))]
    );
}

#[test]
fn durations_in_nanoseconds_leave_in_seconds() {
    let mut metrics = Metrics::new(&schema(), 100);
    metrics.record(&batch(&[(1_500_000_000, ""), (500_000_000, "")]));
    let data = metrics.collect();
    assert_eq!(data[1].unit, "s");
    let PointValue::Histogram(histogram) = &data[1].points[0].value else { panic!("no histogram") };
    assert_eq!((histogram.count, histogram.sum, histogram.min, histogram.max), (2, 2.0, 0.5, 1.5));
}

#[test]
fn what_is_over_the_cardinality_is_folded_and_still_counted() {
    let mut metrics = Metrics::new(&schema(), 2);
    metrics.record(&batch(&[(1, "A"), (1, "B"), (1, "C"), (1, "D"), (1, "A"), (1, "C")]));
    let counted = opens(&metrics);
    assert_eq!(counted.len(), 3);
    assert_eq!(counted[2], (vec![("otel.metric.overflow".to_owned(), AttributeValue::Bool(true))], PointValue::Sum(3)));
}

#[test]
fn text_that_runs_together_is_not_taken_for_the_same_series() {
    let mut metrics = Metrics::new(&schema(), 100);
    metrics.record(&batch(&[(1, "A"), (1, "AA"), (1, "")]));
    assert_eq!(opens(&metrics).len(), 3);
}

#[test]
fn what_is_not_known_is_counted_as_a_row_and_not_as_a_measurement() {
    let mut metrics = Metrics::new(&schema(), 100);
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
    let mut metrics = Metrics::new(&schema, 100);
    metrics.record(&batch);
    let data = metrics.collect();
    assert_eq!(data[0].points.len(), 2, "both series are counted");
    let [point] = &data[1].points[..] else { panic!("nothing of B was measured: {:?}", data[1].points) };
    let PointValue::Histogram(histogram) = &point.value else { panic!("no histogram") };
    assert_eq!((histogram.count, histogram.max), (1, 1e-8));
}

#[test]
fn values_that_a_decoder_made_up_are_cut_and_numbers_at_their_ends_are_counted() {
    let mut metrics = Metrics::new(&schema(), 100);
    let long = "ö".repeat(1 << 20);
    metrics.record(&batch(&[(u64::MAX, &long), (u64::MAX, &format!("{long}!")), (1, &long), (0, &long)]));
    let data = metrics.collect();
    let [point] = &data[1].points[..] else { panic!("{} series", data[1].points.len()) };
    assert_eq!(point.attributes, [("error.type".to_owned(), AttributeValue::Text("ö".repeat(2048)))]);
    let PointValue::Histogram(histogram) = &point.value else { panic!("{point:?}") };
    assert_eq!((histogram.count, histogram.buckets.iter().sum::<u64>()), (3, 3));
    assert!(histogram.sum.is_finite() && histogram.buckets.len() <= 320, "{histogram:?}");
}

#[test]
fn a_schema_of_many_metrics_gets_fewer_series() {
    let mut schema = (*schema()).clone();
    schema.metrics = vec![schema.metrics[0].clone(); 64];
    let schema = Arc::new(schema);
    let mut metrics = Metrics::new(&schema, 100);
    let errors: Vec<String> = (0..200).map(|error| format!("E{error}")).collect();
    let mut batch = batch(&errors.iter().map(|error| (1, error.as_str())).collect::<Vec<_>>());
    batch.schema = schema;
    metrics.record(&batch);
    assert_eq!(metrics.series(), 26, "a quarter of them, and the one for the rest");
    assert_eq!(metrics.collect()[63].points.len(), 26);
}
