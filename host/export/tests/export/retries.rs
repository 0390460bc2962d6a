//! The possible answers of a collector over HTTP, and the outcome of the rows.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use host_model::DeliveryCounters;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;

use crate::collector::{Collector, until};
use crate::rows::spans;

fn partial(rejected_spans: i64, error_message: &str) -> Vec<u8> {
    let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message: error_message.into() });
    ExportTraceServiceResponse { partial_success }.encode_to_vec()
}

#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again_with_the_same_bytes() {
    for status in [429, 502, 503, 504] {
        let collector = Collector::start().await;
        collector.answer(status, &[], Vec::new());
        let exporter = collector.exporter();
        let counters = Arc::<DeliveryCounters>::default();
        exporter.sink("file", Arc::clone(&counters)).write(&spans(10));
        let received = collector.received(2).await;
        assert_eq!(received[0].body, received[1].body);
        until("the rows are exported", || counters.exported.load(Relaxed) == 10).await;
        assert_eq!((counters.dropped(), exporter.status().retries), (0, 1), "status {status}");
    }
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_sent_again() {
    for (status, hint) in [(400, "400"), (401, "key"), (404, "path"), (301, "redirects"), (500, "500")] {
        let collector = Collector::start().await;
        collector.answer(status, &[("location", "/elsewhere")], Vec::new());
        let exporter = collector.exporter();
        let counters = Arc::<DeliveryCounters>::default();
        exporter.sink("file", Arc::clone(&counters)).write(&spans(10));
        exporter.drain(Duration::from_secs(10)).await;
        assert_eq!(collector.received(1).await.len(), 1, "status {status}");
        assert_eq!((counters.dropped_rejected.load(Relaxed), counters.exported.load(Relaxed)), (10, 0), "status {status}");
        let error = exporter.status().last_error.unwrap();
        assert!(error.contains(hint), "{error}");
    }
}

#[tokio::test]
async fn a_web_page_is_no_answer_of_a_collector() {
    for content_type in ["text/html", "text/html; charset=utf-8", "application/x-protobuf", "application/json", "text/plain"] {
        let collector = Collector::start().await;
        collector.answer(200, &[("content-type", content_type)], b"<html>Sign in</html>".to_vec());
        let exporter = collector.exporter();
        let counters = Arc::<DeliveryCounters>::default();
        exporter.sink("file", Arc::clone(&counters)).write(&spans(10));
        exporter.drain(Duration::from_secs(10)).await;
        assert_eq!((counters.dropped_rejected.load(Relaxed), counters.exported.load(Relaxed)), (10, 0), "{content_type}");
        let error = exporter.status().last_error.unwrap();
        assert!(error.contains("not a collector"), "{error}");
    }
}

#[tokio::test]
async fn the_collectors_own_words_are_shown_without_what_steers_a_terminal() {
    let collector = Collector::start().await;
    // google.rpc.Status { message = 2 }
    let words = "bad \x1b[31mtenant";
    collector.answer(400, &[], [&[0x12, words.len() as u8], words.as_bytes()].concat());
    let exporter = collector.exporter();
    exporter.sink("file", Arc::default()).write(&spans(1));
    exporter.drain(Duration::from_secs(10)).await;
    assert_eq!(exporter.status().last_error.unwrap(), "traces: 400 Bad Request: bad \u{fffd}[31mtenant");
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let collector = Collector::start().await;
    collector.answer(429, &[("retry-after", "1")], Vec::new());
    let exporter = collector.exporter();
    exporter.sink("file", Arc::default()).write(&spans(1));
    let received = collector.received(2).await;
    let waited = received[1].at - received[0].at;
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn rows_of_a_partial_success_are_split_exactly() {
    let collector = Collector::start().await;
    collector.answer(200, &[], partial(12, "too \u{7}old"));
    let exporter = collector.exporter();
    let paths = [Arc::<DeliveryCounters>::default(), Arc::<DeliveryCounters>::default()];
    let mut sinks = paths.each_ref().map(|counters| exporter.sink("file", Arc::clone(counters)));
    sinks.iter_mut().for_each(|sink| sink.write(&spans(10)));
    exporter.drain(Duration::from_secs(10)).await;
    assert_eq!(collector.received(1).await.len(), 1);
    let sum = |counter: fn(&DeliveryCounters) -> u64| paths.iter().map(|counters| counter(counters)).sum::<u64>();
    assert_eq!(sum(|counters| counters.exported.load(Relaxed)), 8);
    assert_eq!(sum(|counters| counters.dropped_rejected.load(Relaxed)), 12);
    assert_eq!(exporter.status().last_error.unwrap(), "traces: too \u{fffd}old");
}

#[tokio::test]
async fn a_collector_that_claims_to_have_refused_more_than_it_got_is_not_believed() {
    let collector = Collector::start().await;
    collector.answer(200, &[], partial(i64::MAX, ""));
    collector.answer(200, &[], partial(-5, ""));
    let exporter = collector.exporter();
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    sink.write(&spans(10));
    sink.flush();
    collector.received(1).await;
    sink.write(&spans(10));
    exporter.drain(Duration::from_secs(10)).await;
    assert_eq!((counters.exported.load(Relaxed), counters.dropped_rejected.load(Relaxed)), (10, 10));
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let collector = Collector::start().await;
    collector.answer_with(|| {
        let endless = tokio_stream::iter(std::iter::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![0; 8192]))));
        let answer = Response::builder().header("content-type", "application/x-protobuf");
        answer.body(Body::from_stream(endless)).unwrap()
    });
    let exporter = collector.exporter();
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(&spans(10));
    until("the rows are exported", || counters.exported.load(Relaxed) == 10).await;
    assert_eq!(counters.dropped(), 0);
}

#[tokio::test]
async fn a_drain_makes_one_more_attempt_instead_of_waiting() {
    let collector = Collector::start().await;
    collector.answer(503, &[("retry-after", "250")], Vec::new());
    let exporter = collector.exporter();
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(&spans(10));
    until("an attempt fails", || exporter.status().retries == 1).await;
    exporter.drain(Duration::from_secs(10)).await;
    assert_eq!((counters.exported.load(Relaxed), counters.dropped()), (10, 0));
}
