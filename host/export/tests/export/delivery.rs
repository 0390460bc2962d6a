//! From sink to collector over HTTP: every kept row ends in exactly one counter.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use host_export::{Compression, ExportSettings, OtlpSettings, Protocol};
use host_model::{DeliveryCounters, MetricData, MetricPoint, PointValue, Signal};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::collector::{Collector, Received, exporter, until};
use crate::rows::{Rows, spans};

/// Returns the rows exported, dropped because the queue was full, rejected, and dropped at shutdown.
fn counts(counters: &DeliveryCounters) -> [u64; 4] {
    let DeliveryCounters { exported, dropped_queue_full, dropped_rejected, dropped_at_shutdown, .. } = counters;
    [exported, dropped_queue_full, dropped_rejected, dropped_at_shutdown].map(|counter| counter.load(Relaxed))
}

fn spans_in(received: &[Received]) -> usize {
    let spans = |request: ExportTraceServiceRequest| -> usize {
        request.resource_spans.iter().flat_map(|of| &of.scope_spans).map(|of| of.spans.len()).sum()
    };
    received.iter().map(|received| spans(ExportTraceServiceRequest::decode(received.body.clone()).unwrap())).sum()
}

#[tokio::test]
async fn rows_reach_the_collector_with_the_headers_of_otlp() {
    let collector = Collector::start().await;
    let mut settings = collector.settings();
    settings.otlp.as_mut().unwrap().traces.as_mut().unwrap().headers = vec![("x-key".into(), "secret".into())];
    assert!(!format!("{settings:?}").contains("secret"));
    let exporter = exporter(settings);
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    sink.write(&spans(1000));
    assert_eq!(counts(&counters), [0; 4], "nothing is counted before its fate is known");
    exporter.drain(Duration::from_secs(10)).await;
    assert_eq!(counts(&counters), [1000, 0, 0, 0]);
    let received = collector.received(1).await;
    assert_eq!(spans_in(&received), 1000);
    let head = &received[0].headers;
    assert_eq!(received[0].path, "/v1/traces");
    assert_eq!(
        (&head["content-type"], &head["x-key"]),
        (&"application/x-protobuf".parse().unwrap(), &"secret".parse().unwrap())
    );
    assert!(head["user-agent"].to_str().unwrap().starts_with("host-otlp/"));
    let status = exporter.status();
    assert_eq!((status.queue_bytes, status.requests, status.retries), (0, 1, 0));
    assert_eq!(status.queue_cap_bytes, 64 << 20);
}

#[tokio::test]
async fn small_batches_of_several_paths_travel_together() {
    let collector = Collector::start().await;
    let settings = ExportSettings { linger: Duration::from_secs(3600), ..collector.settings() };
    let exporter = exporter(settings);
    let mut sinks = ["file", "tcp"].map(|path| exporter.sink(path, Arc::default()));
    for _ in 0..10 {
        sinks.iter_mut().for_each(|sink| sink.write(&spans(3)));
    }
    sinks[0].flush();
    let received = collector.received(1).await;
    let request = ExportTraceServiceRequest::decode(received[0].body.clone()).unwrap();
    let scopes = &request.resource_spans[0].scope_spans;
    let names = |of: usize| (scopes[of].scope.as_ref().unwrap().name.as_str(), scopes[of].spans.len());
    assert_eq!((scopes.len(), names(0), names(1)), (2, ("host/file", 30), ("host/tcp", 30)));
    assert_eq!(request.encoded_len(), received[0].body.len());
}

#[tokio::test]
async fn a_full_request_leaves_without_waiting_for_company() {
    let collector = Collector::start().await;
    let exporter = exporter(ExportSettings { linger: Duration::from_secs(3600), ..collector.settings() });
    let mut sink = exporter.sink("file", Arc::default());
    for _ in 0..5 {
        sink.write(&spans(1000));
    }
    let received = collector.received(1).await;
    assert_eq!(spans_in(&received[..1]), 4000, "4096 rows are a full request");
}

#[tokio::test]
async fn a_batch_larger_than_a_request_is_split() {
    let collector = Collector::start().await;
    let exporter = collector.exporter();
    let counters = Arc::<DeliveryCounters>::default();
    let path = "p".repeat(3000);
    let rows = Rows::new(Signal::Span, 1000).text("file.path", host_model::FieldUse::Plain, vec![&path; 1000]);
    exporter.sink("file", Arc::clone(&counters)).write(&rows.kept());
    exporter.drain(Duration::from_secs(10)).await;
    let received = collector.received(6).await;
    assert!(received.iter().all(|received| received.body.len() < 1 << 20));
    assert_eq!((spans_in(&received), counts(&counters)), (1000, [1000, 0, 0, 0]));
}

#[tokio::test]
async fn rows_of_no_signal_count_as_exported_at_once() {
    let collector = Collector::start().await;
    let exporter = collector.exporter();
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(&Rows::new(Signal::None, 5).kept());
    assert_eq!(counts(&counters), [5, 0, 0, 0]);
    exporter.drain(Duration::from_secs(10)).await;
    assert_eq!(collector.received(0).await.len(), 0);
}

#[tokio::test]
async fn without_a_collector_rows_count_as_exported_at_once() {
    let exporter = exporter(ExportSettings::default());
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(&spans(5));
    assert_eq!(counts(&counters), [5, 0, 0, 0]);
    assert_eq!(exporter.status().endpoint, None);
}

#[tokio::test]
async fn bodies_are_compressed_when_asked() {
    let collector = Collector::start().await;
    let mut settings = collector.settings();
    settings.otlp.as_mut().unwrap().traces.as_mut().unwrap().compression = Compression::Gzip;
    let exporter = exporter(settings);
    exporter.sink("file", Arc::default()).write(&spans(500));
    let received = collector.received(1).await.remove(0);
    assert_eq!(received.headers["content-encoding"], "gzip");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&received.body[..]).read_to_end(&mut plain).unwrap();
    let plain = Received { body: plain.into(), ..received };
    assert_eq!(spans_in(&[plain]), 500);
}

#[tokio::test]
async fn a_full_queue_drops_the_newest_rows_and_counts_them() {
    let collector = Collector::start().await;
    let settings = ExportSettings { queue_bytes: 100_000, ..collector.settings() };
    collector.stop().await;
    let exporter = exporter(settings);
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    for _ in 0..100 {
        sink.write(&spans(100));
        let (waiting, cap) = sink.queue();
        assert!(waiting <= cap, "{waiting} of {cap}");
    }
    let [exported, full, rejected, shutdown] = counts(&counters);
    assert!(full > 5_000 && full < 10_000, "{full}");
    assert_eq!([exported, rejected, shutdown], [0; 3]);
    exporter.drain(Duration::from_millis(10)).await;
    assert_eq!(counts(&counters), [0, full, 0, 10_000 - full]);
    assert_eq!(exporter.status().queue_bytes, 0);
}

#[tokio::test]
async fn a_collector_that_comes_back_gets_everything() {
    let collector = Collector::start().await;
    let (address, settings) = (collector.address, collector.settings());
    let exporter = exporter(settings);
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    sink.write(&spans(10));
    until("ten rows are exported", || counts(&counters)[0] == 10).await;
    collector.stop().await;
    for _ in 0..20 {
        sink.write(&spans(10));
        sink.flush();
    }
    until("an attempt fails", || exporter.status().retries > 0).await;
    let error = exporter.status().last_error.unwrap();
    assert!(error.contains("refused") || error.contains("closed"), "{error}");
    let collector = Collector::start_at(address).await;
    until("all rows are exported", || counts(&counters)[0] == 210).await;
    assert_eq!((spans_in(&collector.received(1).await), counts(&counters)), (200, [210, 0, 0, 0]));
}

#[tokio::test]
async fn what_cannot_be_delivered_before_the_deadline_is_dropped_at_shutdown() {
    let collector = Collector::start().await;
    let settings = collector.settings();
    collector.stop().await;
    let exporter = exporter(settings);
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    sink.write(&spans(7));
    exporter.drain(Duration::from_millis(50)).await;
    assert_eq!(counts(&counters), [0, 0, 0, 7]);
    sink.write(&spans(3));
    assert_eq!(counts(&counters), [0, 0, 0, 10], "what comes after the drain is not lost from the account");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_drain_is_over_no_row_is_in_flight_whatever_the_collector_does() {
    for _ in 0..20 {
        let collector = Collector::start().await;
        // Requests that are answered late, and with "later": some are under way, some are paused when the drain ends.
        for _ in 0..8 {
            collector.answer(503, &[("retry-after", "60")], Vec::new());
        }
        let exporter = collector.exporter();
        let counters = Arc::<DeliveryCounters>::default();
        let mut sink = exporter.sink("file", Arc::clone(&counters));
        for _ in 0..8 {
            sink.write(&spans(50));
            sink.flush();
        }
        collector.received(1).await;
        exporter.drain(Duration::from_millis(1)).await;
        let now = counters.now();
        assert_eq!((now.in_flight, now.exported + now.dropped()), (0, 400), "{now:?}");
    }
}

#[tokio::test]
async fn an_exporter_that_is_dropped_accounts_for_what_it_held() {
    let collector = Collector::start().await;
    let settings = collector.settings();
    collector.stop().await;
    let exporter = exporter(settings);
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(&spans(7));
    drop(exporter);
    until("the rows are counted", || counts(&counters) == [0, 0, 0, 7]).await;
}

#[tokio::test]
async fn what_is_too_large_for_the_collector_is_sent_in_parts() {
    let collector = Collector::start().await;
    // The answer to all of it, then to the first half.
    collector.answer(413, &[], Vec::new());
    collector.answer(413, &[], Vec::new());
    let exporter = collector.exporter();
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(&spans(100));
    exporter.drain(Duration::from_secs(10)).await;
    let received = collector.received(5).await;
    assert_eq!((received.len(), counts(&counters)), (5, [100, 0, 0, 0]));
    assert_eq!(spans_in(&received[2..]), 100, "in the order of the rows, and none twice");
}

#[tokio::test]
async fn an_item_that_is_too_large_alone_is_refused_and_the_others_are_not() {
    let collector = Collector::start().await;
    for _ in 0..3 {
        collector.answer(413, &[], Vec::new());
    }
    let exporter = collector.exporter();
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(&spans(4));
    exporter.drain(Duration::from_secs(10)).await;
    assert_eq!(counts(&counters), [3, 0, 1, 0]);
    let error = exporter.status().last_error.unwrap();
    assert!(error.contains("one item alone takes"), "{error}");
}

#[tokio::test]
async fn a_signal_that_is_not_wanted_counts_as_exported() {
    let collector = Collector::start().await;
    let otlp = OtlpSettings { logs: None, ..collector.settings().otlp.unwrap() };
    let exporter = exporter(ExportSettings { otlp: Some(otlp), ..ExportSettings::default() });
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(&Rows::new(Signal::Log, 5).kept());
    assert_eq!(counts(&counters), [5, 0, 0, 0]);
}

#[tokio::test]
async fn metrics_that_pile_up_keep_the_newest() {
    let collector = Collector::start().await;
    let (address, settings) = (collector.address, ExportSettings { queue_bytes: 16 * 1000, ..collector.settings() });
    collector.stop().await;
    let exporter = exporter(settings);
    let metric = |unix_ns| MetricData {
        name: "m".into(),
        description: "d".repeat(200),
        unit: String::new(),
        start_unix_ns: 1,
        unix_ns,
        points: vec![MetricPoint { attributes: [].into(), value: PointValue::Sum(unix_ns) }],
    };
    for time in 1..=100 {
        exporter.telemetry(&[metric(time)]);
    }
    until("an attempt fails", || exporter.status().retries > 0).await;
    let collector = Collector::start_at(address).await;
    exporter.drain(Duration::from_secs(10)).await;
    let bodies = collector.received(1).await;
    let newest =
        bodies.iter().any(|received| received.body.windows(9).any(|window| window == [0x19, 100, 0, 0, 0, 0, 0, 0, 0]));
    assert!(newest, "the newest point is there");
    let total: usize = bodies.iter().map(|received| received.body.len()).sum();
    assert!(total < 4000, "and few others: {total} bytes");
}

#[tokio::test]
async fn an_endpoint_that_is_no_use_is_refused_at_start() {
    let mut settings = Collector::start().await.settings();
    let traces = settings.otlp.as_mut().unwrap().traces.as_mut().unwrap();
    (traces.protocol, traces.certificate) = (Protocol::Http, Some("/nonexistent.pem".into()));
    let runtime = tokio::runtime::Handle::current();
    let error = host_export::Exporter::start(settings, host_export::Output::None, &runtime).unwrap_err().to_string();
    assert!(error.contains("traces") && error.contains("/nonexistent.pem"), "{error}");
}
