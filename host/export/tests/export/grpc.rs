//! OTLP over gRPC, against the reference implementation's own services.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use host_export::{Compression, Endpoint, ExportSettings, OtlpSettings, Protocol};
use host_model::{DeliveryCounters, MetricData, MetricPoint, PointValue, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{MetricsService, MetricsServiceServer};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request, Response, Status};

use crate::collector::{exporter, until};
use crate::rows::{Rows, spans};

type Traces = Result<ExportTraceServiceResponse, Status>;

#[derive(Default)]
struct Received {
    traces: Vec<(Instant, ExportTraceServiceRequest, tonic::metadata::MetadataMap)>,
    logs: Vec<ExportLogsServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
    script: VecDeque<Traces>,
}

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Received>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut received = self.0.lock().unwrap();
        let metadata = request.metadata().clone();
        received.traces.push((Instant::now(), request.into_inner(), metadata));
        received.script.pop_front().unwrap_or_else(|| Ok(ExportTraceServiceResponse::default())).map(Response::new)
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(&self, request: Request<ExportLogsServiceRequest>) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.0.lock().unwrap().logs.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.0.lock().unwrap().metrics.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

impl Collector {
    async fn start(script: impl IntoIterator<Item = Traces>) -> (Self, ExportSettings) {
        let collector = Self::default();
        collector.0.lock().unwrap().script.extend(script);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()).accept_compressed(CompressionEncoding::Gzip))
            .add_service(LogsServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
        (collector, settings(address))
    }

    fn trace_requests(&self) -> usize {
        self.0.lock().unwrap().traces.len()
    }
}

fn settings(address: SocketAddr) -> ExportSettings {
    let endpoint = Some(Endpoint::new(format!("http://{address}"), Protocol::Grpc));
    let otlp = OtlpSettings { traces: endpoint.clone(), metrics: endpoint.clone(), logs: endpoint };
    ExportSettings { otlp: Some(otlp), ..ExportSettings::default() }
}

#[tokio::test]
async fn all_signals_arrive() {
    let (collector, mut settings) = Collector::start([]).await;
    settings.otlp.as_mut().unwrap().traces.as_mut().unwrap().headers = vec![("x-key".into(), "secret".into())];
    let exporter = exporter(settings);
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    sink.write(&spans(5000));
    sink.write(&Rows::new(Signal::Log, 20).kept());
    let point = MetricPoint { attributes: [].into(), value: PointValue::Sum(1) };
    let (name, description, unit) = ("m".into(), String::new(), String::new());
    sink.metrics(&[MetricData { name, description, unit, start_unix_ns: 1, unix_ns: 2, points: vec![point] }]);
    exporter.drain(Duration::from_secs(10)).await;
    assert_eq!((counters.exported.load(Relaxed), counters.dropped()), (5020, 0));
    let received = collector.0.lock().unwrap();
    let spans = received.traces.iter().flat_map(|(_, request, _)| &request.resource_spans[0].scope_spans[0].spans);
    assert_eq!(spans.count(), 5000);
    assert_eq!(received.logs[0].resource_logs[0].scope_logs[0].log_records.len(), 20);
    assert_eq!(received.metrics[0].resource_metrics[0].scope_metrics[0].scope.as_ref().unwrap().name, "host/file");
    let metadata = &received.traces[0].2;
    let header = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok());
    assert_eq!((header("x-key"), header("grpc-timeout")), (Some("secret"), Some("10000m")));
}

#[tokio::test]
async fn compressed_messages_are_understood() {
    let (collector, mut settings) = Collector::start([]).await;
    settings.otlp.as_mut().unwrap().traces.as_mut().unwrap().compression = Compression::Gzip;
    let exporter = exporter(settings);
    exporter.sink("file", Arc::default()).write(&spans(500));
    exporter.drain(Duration::from_secs(10)).await;
    let received = collector.0.lock().unwrap();
    assert_eq!(received.traces[0].1.resource_spans[0].scope_spans[0].spans.len(), 500);
}

#[tokio::test]
async fn a_collector_that_is_unavailable_is_asked_again() {
    let (collector, settings) = Collector::start([Err(Status::unavailable("restarting"))]).await;
    let exporter = exporter(settings);
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(&spans(10));
    until("the rows are exported", || counters.exported.load(Relaxed) == 10).await;
    assert_eq!(
        (collector.trace_requests(), exporter.status().last_error.unwrap()),
        (2, "traces: Unavailable: restarting".into())
    );
}

#[tokio::test]
async fn retry_info_is_waited_for() {
    let details =
        [&[0x1a, 48, 0x0a, 40][..], b"type.googleapis.com/google.rpc.RetryInfo", &[0x12, 4, 0x0a, 2, 0x08, 1]].concat();
    let full = Status::with_details(Code::ResourceExhausted, "full", details.into());
    let (collector, settings) = Collector::start([Err(full)]).await;
    let exporter = exporter(settings);
    exporter.sink("file", Arc::default()).write(&spans(1));
    until("it is asked again", || collector.trace_requests() == 2).await;
    let received = collector.0.lock().unwrap();
    assert!(received.traces[1].0 - received.traces[0].0 >= Duration::from_secs(1));
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_sent_again() {
    let (collector, settings) = Collector::start([Err(Status::unauthenticated("no key"))]).await;
    let exporter = exporter(settings);
    let counters = Arc::<DeliveryCounters>::default();
    exporter.sink("file", Arc::clone(&counters)).write(&spans(10));
    exporter.drain(Duration::from_secs(10)).await;
    assert_eq!((collector.trace_requests(), counters.dropped_rejected.load(Relaxed)), (1, 10));
}

#[tokio::test]
async fn a_partial_success_is_read_and_a_huge_one_is_not() {
    let partial = |rejected_spans, error_message| {
        Ok(ExportTraceServiceResponse { partial_success: Some(ExportTracePartialSuccess { rejected_spans, error_message }) })
    };
    let (_, settings) = Collector::start([partial(3, "late".into()), partial(3, "x".repeat(2 << 20))]).await;
    let exporter = exporter(settings);
    let counters = Arc::<DeliveryCounters>::default();
    let mut sink = exporter.sink("file", Arc::clone(&counters));
    sink.write(&spans(10));
    sink.flush();
    until("the rows are settled", || counters.exported.load(Relaxed) == 7).await;
    assert_eq!(counters.dropped_rejected.load(Relaxed), 3);
    sink.write(&spans(10));
    exporter.drain(Duration::from_secs(10)).await;
    assert_eq!((counters.exported.load(Relaxed), counters.dropped()), (17, 3));
}

#[tokio::test]
async fn a_port_that_speaks_http_says_so() {
    let http = crate::collector::Collector::start().await;
    let exporter = exporter(settings(http.address));
    exporter.sink("file", Arc::default()).write(&spans(1));
    until("an attempt fails", || exporter.status().last_error.is_some()).await;
    exporter.drain(Duration::from_millis(1)).await;
}
