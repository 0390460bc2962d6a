//! The contenders. Each sends this many rows to the sink, in requests of 512, and returns when all have been accepted.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use host_export::{Endpoint, ExportSettings, Exporter, OtlpSettings, Output, Protocol, RequestLimits};
use host_model::{DeliveryCounters, Signal};
use opentelemetry::logs::{AnyValue as Any, LogRecord, Logger, LoggerProvider};
use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
use opentelemetry::{Key, KeyValue as Pair};
use opentelemetry_otlp::{LogExporter, SpanExporter, WithExportConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use opentelemetry_sdk::logs::{BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};
use prost::Message;

use crate::rows::{BATCH, Open, kept, opens};

/// Maximum bytes that wait: as much as the SDK's queues of 2048 rows.
const WAITING: u64 = 1 << 20;

pub fn host_512(url: &str, rows: u64) {
    deliver(url, rows, RequestLimits { rows: BATCH, ..RequestLimits::default() });
}

pub fn host(url: &str, rows: u64) {
    deliver(url, rows, RequestLimits::default());
}

fn deliver(url: &str, rows: u64, request: RequestLimits) {
    let runtime = runtime();
    let traces = Some(Endpoint::new(format!("{url}/v1/traces"), Protocol::Http));
    let otlp = Some(OtlpSettings { traces, ..OtlpSettings::default() });
    let settings = ExportSettings { otlp, request, ..ExportSettings::default() };
    let exporter = Exporter::start(settings, Output::None, runtime.handle()).unwrap();
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    let kept = kept(Signal::Span);
    for _ in 0..rows / BATCH {
        while sink.queue().0 > WAITING {
            std::thread::sleep(Duration::from_micros(200));
        }
        sink.write(&kept);
    }
    runtime.block_on(exporter.drain(Duration::from_secs(60)));
    assert_eq!((counters.exported.load(Relaxed), counters.dropped()), (rows, 0));
}

/// The encoder by itself: encoded rows find a full queue and are dropped.
pub fn host_encode(_: &str, rows: u64) {
    let runtime = runtime();
    let traces = Some(Endpoint::new("http://127.0.0.1:9/v1/traces", Protocol::Http));
    let otlp = Some(OtlpSettings { traces, ..OtlpSettings::default() });
    let settings = ExportSettings { otlp, queue_bytes: 0, ..ExportSettings::default() };
    let exporter = Exporter::start(settings, Output::None, runtime.handle()).unwrap();
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    let kept = kept(Signal::Span);
    (0..rows / BATCH).for_each(|_| sink.write(&kept));
    assert_eq!(counters.dropped_queue_full.load(Relaxed), rows);
}

pub fn ready_bytes(url: &str, rows: u64) {
    let body = Bytes::from(request(&opens()).encode_to_vec());
    post(url, rows, || body.clone());
}

pub fn structs(url: &str, rows: u64) {
    let opens = opens();
    post(url, rows, || Bytes::from(request(&opens).encode_to_vec()));
}

fn post(url: &str, rows: u64, body: impl Fn() -> Bytes) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    runtime().block_on(async {
        for _ in 0..rows / BATCH {
            let post = client.post(format!("{url}/v1/traces")).header("content-type", "application/x-protobuf");
            assert!(post.body(body()).send().await.unwrap().status().is_success());
        }
    });
}

fn request(opens: &[Open]) -> ExportTraceServiceRequest {
    let text = |key: &str, value: &str| attribute(key, Value::StringValue(value.to_owned()));
    let number = |key: &str, value: u64| attribute(key, Value::IntValue(value as i64));
    let span = |(row, open): (usize, &Open)| Span {
        trace_id: (0x1234_5678_9abc_def0_u128 << 64 | row as u128).to_be_bytes().to_vec(),
        span_id: (row as u64 + 1).to_be_bytes().to_vec(),
        trace_state: "ot=th:8".to_owned(),
        flags: 0x103,
        name: "file.open".to_owned(),
        kind: 1,
        start_time_unix_nano: 1_700_000_000_000_000_000 + open.time,
        end_time_unix_nano: 1_700_000_000_000_000_000 + open.time + open.duration,
        attributes: vec![
            text("file.path", &open.path),
            text("process.executable.name", &open.executable),
            text("container.id", &open.container),
            text("process.user.name", &open.user),
            number("process.pid", u64::from(open.pid)),
            number("process.parent_pid", u64::from(open.parent)),
            number("file.open.flags", u64::from(open.flags)),
            number("file.inode", open.inode),
        ],
        ..Span::default()
    };
    let scope = Some(InstrumentationScope { name: "host/file".to_owned(), ..InstrumentationScope::default() });
    let spans = opens.iter().enumerate().map(span).collect();
    let scope_spans = vec![ScopeSpans { scope, spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub fn sdk_spans(url: &str, rows: u64) {
    let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{url}/v1/traces"));
    let exporter = exporter.with_protocol(opentelemetry_otlp::Protocol::HttpBinary).build().unwrap();
    let provider = SdkTracerProvider::builder().with_span_processor(BatchSpanProcessor::builder(exporter).build()).build();
    let tracer = provider.tracer("host/file");
    let opens = opens();
    for batch in 0..rows / BATCH {
        for open in &opens {
            let builder = tracer.span_builder("file.open").with_start_time(at(open.time)).with_attributes(pairs(open));
            builder.start(&tracer).end_with_timestamp(at(open.time + open.duration));
        }
        // The SDK's queue holds 2048 rows and drops the rest.
        if batch % 2 == 1 {
            provider.force_flush().unwrap();
        }
    }
    provider.shutdown().unwrap();
}

pub fn sdk_logs(url: &str, rows: u64) {
    let exporter = LogExporter::builder().with_http().with_endpoint(format!("{url}/v1/logs"));
    let exporter = exporter.with_protocol(opentelemetry_otlp::Protocol::HttpBinary).build().unwrap();
    let provider = SdkLoggerProvider::builder().with_log_processor(BatchLogProcessor::builder(exporter).build()).build();
    let logger = provider.logger("host/file");
    let opens = opens();
    for batch in 0..rows / BATCH {
        for open in &opens {
            let mut record = logger.create_log_record();
            record.set_timestamp(at(open.time));
            record.set_event_name("file.open");
            record.add_attributes(pairs(open).into_iter().map(|pair| (pair.key, value(pair.value))));
            logger.emit(record);
        }
        if batch % 2 == 1 {
            provider.force_flush().unwrap();
        }
    }
    provider.shutdown().unwrap();
}

fn pairs(open: &Open) -> Vec<Pair> {
    let key = Key::from_static_str;
    vec![
        Pair::new(key("file.path"), open.path.clone()),
        Pair::new(key("process.executable.name"), open.executable.clone()),
        Pair::new(key("container.id"), open.container.clone()),
        Pair::new(key("process.user.name"), open.user.clone()),
        Pair::new(key("process.pid"), i64::from(open.pid)),
        Pair::new(key("process.parent_pid"), i64::from(open.parent)),
        Pair::new(key("file.open.flags"), i64::from(open.flags)),
        Pair::new(key("file.inode"), open.inode as i64),
    ]
}

fn value(value: opentelemetry::Value) -> Any {
    match value {
        opentelemetry::Value::I64(number) => Any::Int(number),
        other => Any::String(other.to_string().into()),
    }
}

fn at(ns: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_000 + ns)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
