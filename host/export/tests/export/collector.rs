//! A collector in this process: it answers as the test sets it, and stores the requests.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use host_export::{Endpoint, ExportSettings, Exporter, OtlpSettings, Output, Protocol};
use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};

/// Longer than any test takes; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One request.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Instant,
}

type Answer = Box<dyn FnOnce() -> Response + Send>;

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    script: Mutex<VecDeque<Answer>>,
    arrived: Notify,
}

pub struct Collector {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
}

impl Collector {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let app = axum::Router::new().fallback(receive).with_state(Arc::clone(&shared));
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async move { stopped.await.unwrap_or_default() };
            axum::serve(listener, app).with_graceful_shutdown(stopped).await.unwrap();
        });
        Self { address, shared, stop: Some(stop), served }
    }

    /// Sets the answer of the next request without one. All others are accepted.
    pub fn answer(&self, status: u16, headers: &[(&'static str, &str)], body: Vec<u8>) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(Body::from(body)).unwrap();
        self.answer_with(move || response);
    }

    pub fn answer_with(&self, answer: impl FnOnce() -> Response + Send + 'static) {
        self.shared.script.lock().unwrap().push_back(Box::new(answer));
    }

    /// Returns the requests, once there are at least `least`.
    pub async fn received(&self, least: usize) -> Vec<Received> {
        let wait = async {
            loop {
                let arrived = self.shared.arrived.notified();
                let received = self.shared.received.lock().unwrap().clone();
                if received.len() >= least {
                    return received;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("fewer than {least} requests arrived"))
    }

    /// Stops the collector; it no longer listens when this returns.
    pub async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.served.await.unwrap();
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An exporter that sends all signals to this collector.
    pub fn exporter(&self) -> Exporter {
        exporter(self.settings())
    }

    pub fn settings(&self) -> ExportSettings {
        let endpoint = |path| Some(Endpoint::new(format!("{}/v1/{path}", self.url()), Protocol::Http));
        let otlp = OtlpSettings { traces: endpoint("traces"), metrics: endpoint("metrics"), logs: endpoint("logs") };
        ExportSettings { otlp: Some(otlp), ..ExportSettings::default() }
    }
}

pub fn exporter(settings: ExportSettings) -> Exporter {
    Exporter::start(settings, Output::None, &tokio::runtime::Handle::current()).unwrap()
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let received = Received { path: head.uri.path().to_owned(), headers: head.headers, body, at: Instant::now() };
    shared.received.lock().unwrap().push(received);
    shared.arrived.notify_waiters();
    let answer = shared.script.lock().unwrap().pop_front();
    answer.map_or_else(|| Response::new(Body::empty()), |answer| answer())
}

/// Waits until a condition holds that cannot be awaited.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what} never came true");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
