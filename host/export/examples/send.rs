//! Sends spans, log records and metric points to the collector that the `OTEL_*` variables name, and prints the outcome:
//! `OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 cargo run --release -p host-export --example send -- 10000`

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "an example may stop at the first thing that is wrong")]

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};
use host_export::{Explicit, ExportSettings, Exporter, Output};
use host_model::{
    ColumnType, DeliveryCounters, Field, FieldUse, Histogram, Kept, MetricData, MetricPoint, PointValue, Schema, Sensitivity,
    Signal, Threshold,
};

/// Number of rows of a batch.
const BATCH: u64 = 1000;

#[tokio::main]
async fn main() {
    let rows: u64 = std::env::args().nth(1).map_or(10_000, |count| count.parse().expect("a number of rows"));
    let variable = |name: &str| std::env::var(name).ok();
    let settings = ExportSettings::merge(&variable, &Explicit::default()).unwrap_or_else(|error| exit(&error.to_string()));
    if settings.otlp.is_none() {
        exit("name a collector: OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318");
    }
    let runtime = tokio::runtime::Handle::current();
    let exporter = Exporter::start(settings, Output::None, &runtime).unwrap_or_else(|error| exit(&error.to_string()));
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    for signal in [Signal::Span, Signal::Log] {
        let kept = kept(signal);
        (0..rows / BATCH).for_each(|_| sink.write(&kept));
    }
    sink.metrics(&[
        metric("file.opens", "{open}", PointValue::Sum(rows)),
        metric("host.memory", "By", PointValue::Gauge(1e6)),
        metric("file.open.duration", "s", PointValue::Histogram(histogram(rows))),
    ]);
    exporter.drain(Duration::from_secs(30)).await;
    println!(
        r#"{{"exported":{},"dropped_queue_full":{},"dropped_rejected":{},"dropped_at_shutdown":{},"status":{}}}"#,
        counters.exported.load(Relaxed),
        counters.dropped_queue_full.load(Relaxed),
        counters.dropped_rejected.load(Relaxed),
        counters.dropped_at_shutdown.load(Relaxed),
        serde_json::to_string(&exporter.status()).unwrap(),
    );
}

fn kept(signal: Signal) -> Kept {
    let field = |name: &str, column_type, field_use| Field {
        name: name.to_owned(),
        column_type,
        unit: String::new(),
        field_use,
        sensitivity: Sensitivity::Public,
        omit_zero: false,
    };
    let schema = Schema {
        event: "file.open".to_owned(),
        signal,
        fields: vec![
            field("time", ColumnType::U64, FieldUse::Time),
            field("duration", ColumnType::U64, FieldUse::Duration),
            field("file.path", ColumnType::Text, FieldUse::Body),
            field("process.pid", ColumnType::U32, FieldUse::Plain),
            field("error.type", ColumnType::Text, FieldUse::Error),
        ],
        metrics: Vec::new(),
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values((0..BATCH).map(|row| 1 + row * 1000))),
        Arc::new(UInt64Array::from_iter_values((0..BATCH).map(|row| row * 10))),
        Arc::new(StringArray::from_iter_values((0..BATCH).map(|row| format!("/tmp/file-{row}")))),
        Arc::new(UInt32Array::from_iter_values((0..BATCH).map(|row| row as u32))),
        Arc::new(StringArray::from_iter_values((0..BATCH).map(|row| if row % 10 == 0 { "ENOENT" } else { "" }))),
    ];
    Kept {
        path: "file".into(),
        batch: RecordBatch::try_new(Arc::new(schema.arrow()), columns).unwrap(),
        schema: Arc::new(schema),
        thresholds: vec![Threshold::from_ratio(0.25); BATCH as usize],
        randomness: (0..BATCH).map(|row| (0xc0 << 48) + row).collect(),
        explicit_randomness: false,
        unix_offset_ns: now(),
        observed_ns: 0,
    }
}

fn metric(name: &str, unit: &str, value: PointValue) -> MetricData {
    MetricData {
        name: name.to_owned(),
        description: String::new(),
        unit: unit.to_owned(),
        start_unix_ns: now(),
        unix_ns: now(),
        points: vec![MetricPoint { attributes: [].into(), value }],
    }
}

/// Opens of one microsecond: at scale 0, bucket -20 holds (2^-20, 2^-19] seconds.
fn histogram(count: u64) -> Histogram {
    Histogram {
        scale: 0,
        offset: -20,
        buckets: vec![count],
        zero_count: 0,
        count,
        sum: count as f64 * 1e-6,
        min: 1e-6,
        max: 1e-6,
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64)
}

fn exit(message: &str) -> ! {
    eprintln!("error: {message}");
    std::process::exit(2)
}
