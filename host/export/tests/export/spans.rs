//! Rows as spans: every member and attribute as the reference types read them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use host_export::ExportSettings;
use host_model::{DeliveryCounters, FieldUse, Kept, Sensitivity, Signal};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::collector::{Collector, exporter};
use crate::rows::{OFFSET, Rows, extremes};

/// Returns the spans that a collector decodes from some rows.
async fn arrive(kept: Kept, adjust: impl FnOnce(&mut ExportSettings)) -> (Vec<Span>, u64) {
    let collector = Collector::start().await;
    let mut settings = collector.settings();
    adjust(&mut settings);
    let exporter = exporter(settings);
    let mut sink = exporter.sink("file", Arc::<DeliveryCounters>::default());
    sink.write(&kept);
    sink.flush();
    let received = collector.received(1).await.remove(0);
    let request = ExportTraceServiceRequest::decode(received.body.clone()).unwrap();
    assert_eq!(request.encoded_len(), received.body.len(), "every length is as short as it can be, and no default is written");
    let [of_resource] = request.resource_spans.try_into().unwrap();
    let [of_scope] = of_resource.scope_spans.try_into().unwrap();
    let scope = of_scope.scope.unwrap();
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("host/file", env!("CARGO_PKG_VERSION")));
    (of_scope.spans, exporter.status().withheld_values)
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[tokio::test]
async fn a_row_of_every_type_and_use_arrives_member_by_member() {
    let long = "x".repeat(20_000);
    let mut rows = Rows::new(Signal::Span, 2)
        .u64("duration", FieldUse::Duration, vec![1_500, 0])
        .text("name", FieldUse::Name, vec!["open it", ""])
        .u32("kind", FieldUse::Kind, vec![3, 77])
        .text("error.type", FieldUse::Error, vec!["ENOENT", ""])
        .u64("threshold", FieldUse::Threshold, vec![9, 9])
        .text("file.path", FieldUse::Dimension, vec!["/etc/passwd", &long])
        .u32("process.pid", FieldUse::Plain, vec![4_000_000_000, 0])
        .u64("big", FieldUse::Plain, vec![i64::MAX as u64, u64::MAX])
        .i64("offset", vec![-1, 300])
        .f64("ratio", vec![0.25, -0.0])
        .boolean("ok", vec![1, 0])
        .bytes("raw", vec![b"\x00\xff", b""])
        .text("note", FieldUse::Body, vec!["on a span the body is an attribute", ""])
        .omit_zero()
        .u32(&"k".repeat(128), FieldUse::Plain, vec![1, 300]);
    rows.thresholds = vec![0x80_0000_0000_0000, 0];
    let (spans, _) = arrive(rows.kept(), |_| {}).await;
    let [first, second] = spans.try_into().unwrap();
    let text = |text: &str| Value::StringValue(text.into());

    let expected = Span {
        trace_id: first.trace_id.clone(),
        span_id: first.span_id.clone(),
        trace_state: "ot=th:8".into(),
        flags: 0x103,
        name: "open it".into(),
        kind: 3,
        start_time_unix_nano: OFFSET + 1_000_000_000,
        end_time_unix_nano: OFFSET + 1_000_001_500,
        attributes: vec![
            attribute("error.type", text("ENOENT")),
            attribute("file.path", text("/etc/passwd")),
            attribute("process.pid", Value::IntValue(4_000_000_000)),
            attribute("big", Value::IntValue(i64::MAX)),
            attribute("offset", Value::IntValue(-1)),
            attribute("ratio", Value::DoubleValue(0.25)),
            attribute("ok", Value::BoolValue(true)),
            attribute("raw", Value::BytesValue(vec![0, 255])),
            attribute("note", text("on a span the body is an attribute")),
            attribute(&"k".repeat(128), Value::IntValue(1)),
        ],
        status: Some(opentelemetry_proto::tonic::trace::v1::Status { code: 2, ..Default::default() }),
        ..Span::default()
    };
    assert_eq!(first, expected);
    assert_eq!(first.trace_id[9..], [0xff, 0, 0, 0, 0, 0, 0], "the randomness is the low 56 bits of the trace id");
    assert_eq!((first.trace_id.len(), first.span_id.len()), (16, 8));

    let expected = Span {
        trace_id: second.trace_id.clone(),
        span_id: second.span_id.clone(),
        trace_state: "ot=th:0".into(),
        flags: 0x103,
        name: "file.open".into(),
        kind: 1,
        start_time_unix_nano: OFFSET + 2_000_000_000,
        end_time_unix_nano: OFFSET + 2_000_000_000,
        attributes: vec![
            attribute("file.path", text(&long)),
            attribute("process.pid", Value::IntValue(0)),
            attribute("big", text("18446744073709551615")),
            attribute("offset", Value::IntValue(300)),
            attribute("ratio", Value::DoubleValue(-0.0)),
            attribute("ok", Value::BoolValue(false)),
            attribute("raw", Value::BytesValue(vec![])),
            attribute(&"k".repeat(128), Value::IntValue(300)),
        ],
        ..Span::default()
    };
    assert_eq!(second, expected);
    assert_ne!(first.trace_id, second.trace_id);
}

#[tokio::test]
async fn a_span_is_what_the_sdk_would_have_made_of_it() {
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
    let kept = Rows::new(Signal::Span, 1)
        .u64("duration", FieldUse::Duration, vec![2_000_000])
        .u32("kind", FieldUse::Kind, vec![2])
        .text("error.type", FieldUse::Error, vec!["timeout"])
        .text("traceparent", FieldUse::TraceParent, vec!["00-4bf92f3577b34da6a3ff000000000000-00f067aa0ba902b7-01"])
        .u32("server.port", FieldUse::Plain, vec![443])
        .kept();
    let (spans, _) = arrive(kept, |_| {}).await;
    let [ours] = spans.try_into().unwrap();
    let start = SystemTime::UNIX_EPOCH + Duration::from_nanos(OFFSET + 1_000_000_000);
    let sdk = opentelemetry_sdk::trace::SpanData {
        span_context: SpanContext::new(
            TraceId::from_hex("4bf92f3577b34da6a3ff000000000000").unwrap(),
            SpanId::from_bytes(ours.span_id.clone().try_into().unwrap()),
            TraceFlags::SAMPLED,
            false,
            TraceState::from_key_value([("ot", "th:0")]).unwrap(),
        ),
        parent_span_id: SpanId::from_hex("00f067aa0ba902b7").unwrap(),
        parent_span_is_remote: true,
        span_kind: SpanKind::Server,
        name: "file.open".into(),
        start_time: start,
        end_time: start + Duration::from_millis(2),
        attributes: vec![
            opentelemetry::KeyValue::new("error.type", "timeout"),
            opentelemetry::KeyValue::new("server.port", 443),
        ],
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: Status::error(""),
        instrumentation_scope: opentelemetry::InstrumentationScope::builder("host/file").build(),
    };
    assert_eq!(ours, Span::from(sdk));
}

#[tokio::test]
async fn the_server_s_span_of_an_exchange_is_a_child_of_the_client_s_span() {
    let parent = "00-4bf92f3577b34da6a3ff000000000000-00f067aa0ba902b7-01";
    let kept = Rows::new(Signal::Span, 6)
        .u32("kind", FieldUse::Kind, vec![3, 2, 3, 2, 2, 2])
        .u64("correlation", FieldUse::Correlation, vec![7, 7, 8, 8, 0, 0])
        .text("traceparent", FieldUse::TraceParent, vec!["", "", parent, parent, parent, ""])
        .kept();
    let (spans, _) = arrive(kept, |_| {}).await;
    let [client, server, called, answers, alone, stranger] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&server.trace_id, &server.parent_span_id), (&client.trace_id, &client.span_id));
    assert!(client.parent_span_id.is_empty());
    assert_eq!((&answers.trace_id, &answers.parent_span_id), (&called.trace_id, &called.span_id));
    assert_eq!((&called.trace_id[..2], &called.parent_span_id[..]), (&[0x4b, 0xf9][..], &alone.parent_span_id[..]));
    assert_eq!(alone.trace_id, called.trace_id, "an exchange of which one end is here is its caller's all the same");
    assert!(stranger.parent_span_id.is_empty() && stranger.trace_id != client.trace_id);
    assert!(spans.iter().all(|span| span.attributes.is_empty()), "a correlation is no attribute: {spans:?}");
    let ids: std::collections::HashSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn randomness_of_the_samplers_own_travels_as_rv() {
    let mut rows = Rows::new(Signal::Span, 1);
    rows.explicit_randomness = true;
    rows.randomness = vec![0xc0_ffee];
    rows.thresholds = vec![0x00_0000_0000_0010];
    let (spans, _) = arrive(rows.kept(), |_| {}).await;
    assert_eq!(spans[0].trace_state, "ot=th:0000000000001;rv:00000000c0ffee");
    assert_ne!(spans[0].trace_id[9..], [0, 0, 0, 0, 0xc0, 0xff, 0xee]);
}

#[tokio::test]
async fn what_is_not_known_is_not_exported() {
    let rows = Rows::new(Signal::Span, 2)
        .u32("u32", FieldUse::Plain, vec![0, 1])
        .omit_zero()
        .u64("u64", FieldUse::Dimension, vec![0, 1])
        .omit_zero()
        .i64("i64", vec![0, -1])
        .omit_zero()
        .f64("f64", vec![0.0, 0.5])
        .omit_zero()
        .boolean("boolean", vec![0, 1])
        .omit_zero()
        .text("text", FieldUse::Plain, vec!["", "1"])
        .omit_zero()
        .bytes("bytes", vec![b"", b"1"])
        .omit_zero();
    let (spans, _) = arrive(rows.kept(), |_| {}).await;
    assert_eq!((spans[0].attributes.len(), spans[1].attributes.len()), (0, 7));
}

#[tokio::test]
async fn numbers_at_their_ends_arrive_and_hurt_nobody() {
    let (spans, _) = arrive(extremes(), |_| {}).await;
    let [span] = spans.try_into().unwrap();
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (999_999_999, u64::MAX));
    assert_eq!(span.attributes[0], attribute("least", Value::IntValue(i64::MIN)));
    let Some(Value::DoubleValue(nan)) = span.attributes[1].value.as_ref().and_then(|value| value.value.clone()) else {
        panic!("{span:?}")
    };
    assert!(nan.is_nan());
    assert_eq!(span.attributes[2], attribute("infinite", Value::DoubleValue(f64::NEG_INFINITY)));
}

#[tokio::test]
async fn an_unknown_time_is_now() {
    let mut rows = Rows::new(Signal::Span, 1);
    rows = rows.u64("row", FieldUse::Plain, vec![0]);
    let mut kept = rows.kept();
    let mut columns = kept.batch.columns().to_vec();
    columns[0] = Arc::new(arrow_array::UInt64Array::from(vec![0]));
    kept.batch = arrow_array::RecordBatch::try_new(kept.batch.schema(), columns).unwrap();
    let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let (spans, _) = arrive(kept, |_| {}).await;
    assert!(spans[0].start_time_unix_nano >= before);
}

fn secrets() -> Kept {
    Rows::new(Signal::Span, 2)
        .text("process.command_args", FieldUse::Plain, vec!["--password=hunter2", ""])
        .sensitive(Sensitivity::Payload)
        .text("user.name", FieldUse::Plain, vec!["alice", "bob"])
        .sensitive(Sensitivity::Identity)
        .text("error.type", FieldUse::Error, vec!["EACCES", ""])
        .u32("process.pid", FieldUse::Plain, vec![1, 2])
        .kept()
}

#[tokio::test]
async fn what_is_sensitive_stays_here_and_is_counted() {
    let (spans, withheld) = arrive(secrets(), |_| {}).await;
    let keys = |span: &Span| span.attributes.iter().map(|pair| pair.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&spans[0]), ["error.type", "process.pid"]);
    assert_eq!(keys(&spans[1]), ["process.pid"]);
    assert_eq!((spans[0].dropped_attributes_count, spans[1].dropped_attributes_count), (2, 1));
    assert_eq!(withheld, 3);
}

#[tokio::test]
async fn what_the_operator_allows_by_name_leaves() {
    let (spans, withheld) = arrive(secrets(), |settings| settings.sensitive = vec!["user.name".into()]).await;
    assert_eq!(spans[0].attributes[0], attribute("user.name", Value::StringValue("alice".into())));
    assert_eq!(withheld, 1);
    let (spans, withheld) = arrive(secrets(), |settings| settings.sensitive = vec!["*".into()]).await;
    assert_eq!((spans[0].attributes.len(), withheld), (4, 0));
}

#[tokio::test]
async fn the_resource_says_whose_spans_they_are() {
    let collector = Collector::start().await;
    let mut settings = collector.settings();
    settings.resource = vec![("service.name".into(), "host".into()), ("k".into(), "v".into())];
    let exporter = exporter(settings);
    let mut sink = exporter.sink("file", Arc::default());
    sink.write(&crate::rows::spans(1));
    let body = collector.received(1).await.remove(0).body;
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let expected = ["service.name", "k"].iter().zip(["host", "v"]);
    let expected: Vec<_> = expected.map(|(key, value)| attribute(key, Value::StringValue(value.into()))).collect();
    assert_eq!(request.resource_spans[0].resource.as_ref().unwrap().attributes, expected);
}
