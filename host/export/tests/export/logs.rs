//! Rows as log records.

use std::sync::Arc;

use host_model::{FieldUse, Kept, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;

use crate::collector::Collector;
use crate::rows::{OFFSET, Rows};

async fn arrive(kept: Kept) -> Vec<LogRecord> {
    let collector = Collector::start().await;
    let exporter = collector.exporter();
    let mut sink = exporter.sink("exec", Arc::default());
    sink.write(&kept);
    sink.flush();
    let received = collector.received(1).await.remove(0);
    assert_eq!(received.path, "/v1/logs");
    let mut request = ExportLogsServiceRequest::decode(received.body.clone()).unwrap();
    assert_eq!(request.encoded_len(), received.body.len());
    request.resource_logs.remove(0).scope_logs.remove(0).log_records
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

#[tokio::test]
async fn a_row_arrives_as_a_log_record_member_by_member() {
    let kept = Rows::new(Signal::Log, 2)
        .text("body", FieldUse::Body, vec!["/bin/true ran", ""])
        .text("error.type", FieldUse::Error, vec!["", "1"])
        .u64("process.duration", FieldUse::Duration, vec![7, 8])
        .text("process.executable.name", FieldUse::Plain, vec!["true", "false"])
        .kept();
    let logs = arrive(kept).await;
    let duration = |value| KeyValue {
        key: "process.duration".into(),
        value: Some(AnyValue { value: Some(Value::IntValue(value)) }),
        ..KeyValue::default()
    };
    let expected = LogRecord {
        time_unix_nano: OFFSET + 1_000_000_000,
        observed_time_unix_nano: logs[0].observed_time_unix_nano,
        severity_number: 9,
        severity_text: "INFO".into(),
        body: Some(AnyValue { value: Some(Value::StringValue("/bin/true ran".into())) }),
        attributes: vec![duration(7), text("process.executable.name", "true")],
        event_name: "file.open".into(),
        ..LogRecord::default()
    };
    assert_eq!(logs[0], expected);
    assert_eq!((logs[1].severity_number, logs[1].severity_text.as_str()), (17, "ERROR"));
    assert_eq!(logs[1].attributes, [text("error.type", "1"), duration(8), text("process.executable.name", "false")]);
}

#[tokio::test]
async fn a_sampled_log_tells_its_threshold_and_randomness_as_the_conventions_have_it() {
    let mut rows = Rows::new(Signal::Log, 2);
    rows.thresholds = vec![0xc0_0000_0000_0000, 0];
    let logs = arrive(rows.kept()).await;
    assert_eq!(logs[0].attributes, [text("sampling.threshold", "c"), text("sampling.randomness", "ff000000000000")]);
    assert!(logs[0].trace_id.is_empty(), "a log has no trace of its own");
    assert_eq!(logs[1].attributes, []);
}

#[tokio::test]
async fn a_log_with_a_traceparent_is_its_callers() {
    let parent = "00-4bf92f3577b34da6a3ff000000000000-00f067aa0ba902b7-01";
    let mut rows = Rows::new(Signal::Log, 2).text("traceparent", FieldUse::TraceParent, vec![parent, "00-nonsense"]);
    rows.thresholds = vec![0x80_0000_0000_0000; 2];
    let logs = arrive(rows.kept()).await;
    assert_eq!(logs[0].trace_id[..2], [0x4b, 0xf9]);
    assert_eq!((logs[0].span_id.len(), logs[0].flags), (8, 1));
    assert_eq!(logs[0].attributes, [text("sampling.threshold", "8")], "the trace id carries the randomness");
    assert!(logs[1].trace_id.is_empty());
}

#[tokio::test]
async fn texts_of_any_length_have_room() {
    let texts: Vec<String> = [0, 1, 100, 127, 128, 16_383, 16_384, 300_000, 5].map(|length| "x".repeat(length)).into();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let kept = Rows::new(Signal::Log, 9)
        .text("body", FieldUse::Body, texts.clone())
        .text("name", FieldUse::Name, texts.clone())
        .text("attribute", FieldUse::Plain, texts.clone())
        .kept();
    let collector = Collector::start().await;
    let exporter = collector.exporter();
    exporter.sink("exec", Arc::default()).write(&kept);
    exporter.drain(std::time::Duration::from_secs(10)).await;
    let mut logs = Vec::new();
    for received in collector.received(1).await {
        let request = ExportLogsServiceRequest::decode(received.body.clone()).unwrap();
        assert_eq!(request.encoded_len(), received.body.len());
        logs.extend(request.resource_logs.into_iter().flat_map(|of| of.scope_logs).flat_map(|of| of.log_records));
    }
    assert_eq!(logs.len(), texts.len());
    for expected in texts {
        let value = Some(AnyValue { value: Some(Value::StringValue(expected.into())) });
        let name = if expected.is_empty() { "file.open" } else { expected };
        let found = logs.iter().any(|log| log.body == value && log.event_name == name && log.attributes[0].value == value);
        assert!(found, "text of {} bytes", expected.len());
    }
}
