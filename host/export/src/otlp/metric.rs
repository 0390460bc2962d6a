//! Metrics as OTLP: monotonic cumulative sums, gauges and exponential histograms.

use host_model::{Histogram, MetricData, MetricPoint, PointValue};

use crate::otlp::attribute;
use crate::otlp::span::ITEM;
use crate::otlp::vec_writer;
use crate::otlp::wire::{BYTES, FIXED64, VARINT, tag};

/// The fields of `Metric`.
const NAME: u8 = tag(1, BYTES);
const DESCRIPTION: u8 = tag(2, BYTES);
const UNIT: u8 = tag(3, BYTES);
const GAUGE: u8 = tag(5, BYTES);
const SUM: u8 = tag(7, BYTES);
const EXPONENTIAL_HISTOGRAM: u8 = tag(10, BYTES);
/// The points of each kind of metric.
const DATA_POINTS: u8 = tag(1, BYTES);
/// `aggregation_temporality: CUMULATIVE`, the same field in sums and histograms.
const CUMULATIVE: [u8; 2] = [tag(2, VARINT), 2];
const MONOTONIC: [u8; 2] = [tag(3, VARINT), 1];
/// The fields of every point.
const START: u8 = tag(2, FIXED64);
const TIME: u8 = tag(3, FIXED64);
/// The fields of `NumberDataPoint`.
const NUMBER_ATTRIBUTES: u8 = tag(7, BYTES);
const AS_DOUBLE: u8 = tag(4, FIXED64);
const AS_INT: u8 = tag(6, FIXED64);
/// The fields of `ExponentialHistogramDataPoint`.
const HISTOGRAM_ATTRIBUTES: u8 = tag(1, BYTES);
const COUNT: u8 = tag(4, FIXED64);
const TOTAL: u8 = tag(5, FIXED64);
const SCALE: u8 = tag(6, VARINT);
const ZERO_COUNT: u8 = tag(7, FIXED64);
const POSITIVE: u8 = tag(8, BYTES);
const MIN: u8 = tag(12, FIXED64);
const MAX: u8 = tag(13, FIXED64);
/// The fields of `Buckets`.
const OFFSET: u8 = tag(1, VARINT);
const BUCKET_COUNTS: u8 = tag(2, BYTES);

/// Appends metrics; returns the number of points.
pub(crate) fn encode(buf: &mut Vec<u8>, metrics: &[MetricData]) -> u64 {
    let mut points = 0;
    for metric in metrics {
        // OTLP allows one kind of point per metric.
        for kind in [SUM, GAUGE, EXPONENTIAL_HISTOGRAM] {
            let mut of_kind = metric.points.iter().filter(|point| kind_of(&point.value) == kind).peekable();
            if of_kind.peek().is_none() {
                continue;
            }
            let at = vec_writer::open(buf, ITEM);
            vec_writer::bytes(buf, NAME, metric.name.as_bytes());
            for (tag, text) in [(DESCRIPTION, &metric.description), (UNIT, &metric.unit)] {
                if !text.is_empty() {
                    vec_writer::bytes(buf, tag, text.as_bytes());
                }
            }
            let data = vec_writer::open(buf, kind);
            if kind != GAUGE {
                buf.extend_from_slice(&CUMULATIVE);
            }
            if kind == SUM {
                buf.extend_from_slice(&MONOTONIC);
            }
            for point in of_kind {
                encode_point(buf, metric, point);
                points += 1;
            }
            vec_writer::close(buf, data);
            vec_writer::close(buf, at);
        }
    }
    points
}

const fn kind_of(value: &PointValue) -> u8 {
    match value {
        PointValue::Sum(_) => SUM,
        PointValue::Gauge(_) => GAUGE,
        PointValue::Histogram(_) => EXPONENTIAL_HISTOGRAM,
    }
}

fn encode_point(buf: &mut Vec<u8>, metric: &MetricData, point: &MetricPoint) {
    let at = vec_writer::open(buf, DATA_POINTS);
    let attributes = match point.value {
        PointValue::Histogram(_) => HISTOGRAM_ATTRIBUTES,
        _ => NUMBER_ATTRIBUTES,
    };
    for (name, value) in point.attributes.iter() {
        attribute::owned(buf, attributes, name, value);
    }
    if !matches!(point.value, PointValue::Gauge(_)) {
        vec_writer::fixed64(buf, START, metric.start_unix_ns);
    }
    vec_writer::fixed64(buf, TIME, metric.unix_ns);
    match &point.value {
        PointValue::Sum(value) => vec_writer::fixed64(buf, AS_INT, (*value).min(i64::MAX as u64)),
        PointValue::Gauge(value) => vec_writer::fixed64(buf, AS_DOUBLE, value.to_bits()),
        PointValue::Histogram(histogram) => encode_histogram(buf, histogram),
    }
    vec_writer::close(buf, at);
}

fn encode_histogram(buf: &mut Vec<u8>, histogram: &Histogram) {
    if histogram.count > 0 {
        vec_writer::fixed64(buf, COUNT, histogram.count);
    }
    vec_writer::fixed64(buf, TOTAL, histogram.sum.to_bits());
    vec_writer::number(buf, SCALE, zigzag(histogram.scale));
    if histogram.zero_count > 0 {
        vec_writer::fixed64(buf, ZERO_COUNT, histogram.zero_count);
    }
    if !histogram.buckets.is_empty() {
        let at = vec_writer::open(buf, POSITIVE);
        vec_writer::number(buf, OFFSET, zigzag(histogram.offset));
        let counts = vec_writer::open(buf, BUCKET_COUNTS);
        for &count in &histogram.buckets {
            vec_writer::varint(buf, count);
        }
        vec_writer::close(buf, counts);
        vec_writer::close(buf, at);
    }
    if histogram.count > 0 {
        vec_writer::fixed64(buf, MIN, histogram.min.to_bits());
        vec_writer::fixed64(buf, MAX, histogram.max.to_bits());
    }
}

const fn zigzag(value: i32) -> u64 {
    (value << 1 ^ value >> 31) as u32 as u64
}
