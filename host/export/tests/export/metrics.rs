//! Metrics: sums, gauges and exponential histograms.

use host_model::{AttributeValue, Histogram, MetricData, MetricPoint, PointValue};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric, NumberDataPoint, Sum, metric::Data,
};
use prost::Message;

use crate::collector::Collector;

fn data(name: &str, points: Vec<(Vec<(&str, AttributeValue)>, PointValue)>) -> MetricData {
    let owned = |attributes: Vec<(&str, AttributeValue)>| attributes.into_iter().map(|(k, v)| (k.into(), v)).collect();
    MetricData {
        name: name.into(),
        description: "What it is.".into(),
        unit: "s".into(),
        start_unix_ns: 5,
        unix_ns: 9,
        points: points.into_iter().map(|(attributes, value)| MetricPoint { attributes: owned(attributes), value }).collect(),
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[tokio::test]
async fn every_kind_of_metric_arrives_as_it_is() {
    let histogram =
        Histogram { scale: -2, offset: -7, buckets: vec![1, 0, 300], zero_count: 2, count: 303, sum: 1.5, min: 0.0, max: 0.75 };
    let metrics = [
        data(
            "a.count",
            vec![
                (vec![("error.type", AttributeValue::Text("ENOENT".into()))], PointValue::Sum(7)),
                (vec![("ok", AttributeValue::Bool(true)), ("n", AttributeValue::Int(-3))], PointValue::Sum(u64::MAX)),
            ],
        ),
        data("a.level", vec![(vec![], PointValue::Gauge(0.5))]),
        data(
            "a.duration",
            vec![(vec![], PointValue::Histogram(histogram)), (vec![], PointValue::Histogram(Histogram::default()))],
        ),
    ];
    let collector = Collector::start().await;
    let exporter = collector.exporter();
    exporter.telemetry(&metrics);
    let received = collector.received(1).await.remove(0);
    assert_eq!(received.path, "/v1/metrics");
    let request = ExportMetricsServiceRequest::decode(received.body.clone()).unwrap();
    assert_eq!(request.encoded_len(), received.body.len());
    let of_scope = &request.resource_metrics[0].scope_metrics[0];
    assert_eq!(of_scope.scope.as_ref().unwrap().name, "host");

    let metric = |name: &str, data| Metric {
        name: name.into(),
        description: "What it is.".into(),
        unit: "s".into(),
        data: Some(data),
        ..Metric::default()
    };
    let number = |attributes, value| NumberDataPoint {
        attributes,
        start_time_unix_nano: 5,
        time_unix_nano: 9,
        value: Some(value),
        ..NumberDataPoint::default()
    };
    let sum = Sum {
        aggregation_temporality: 2,
        is_monotonic: true,
        data_points: vec![
            number(vec![attribute("error.type", Value::StringValue("ENOENT".into()))], Number::AsInt(7)),
            number(vec![attribute("ok", Value::BoolValue(true)), attribute("n", Value::IntValue(-3))], Number::AsInt(i64::MAX)),
        ],
    };
    let gauge =
        Gauge { data_points: vec![NumberDataPoint { start_time_unix_nano: 0, ..number(vec![], Number::AsDouble(0.5)) }] };
    let empty = ExponentialHistogramDataPoint {
        start_time_unix_nano: 5,
        time_unix_nano: 9,
        sum: Some(0.0),
        ..ExponentialHistogramDataPoint::default()
    };
    let full = ExponentialHistogramDataPoint {
        count: 303,
        sum: Some(1.5),
        scale: -2,
        zero_count: 2,
        positive: Some(Buckets { offset: -7, bucket_counts: vec![1, 0, 300] }),
        min: Some(0.0),
        max: Some(0.75),
        ..empty.clone()
    };
    let histogram = ExponentialHistogram { aggregation_temporality: 2, data_points: vec![full, empty] };
    let expected = [
        metric("a.count", Data::Sum(sum)),
        metric("a.level", Data::Gauge(gauge)),
        metric("a.duration", Data::ExponentialHistogram(histogram)),
    ];
    assert_eq!(of_scope.metrics, expected);
}
