//! The exporter: one per process; it creates a sink for every path and delivers the encoded rows.

use std::sync::Arc;
use std::time::Duration;

use host_model::{DeliveryCounters, Lock, MetricData, Seed, Sink};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::deliver::Deliverer;
use crate::deliver::error::TransportError;
use crate::deliver::signal::Signal;
use crate::deliver::transport::Transport;
use crate::lines::Output;
use crate::lines::writer::Lines;
use crate::otlp::request::{Resource, Scope};
use crate::plan::Allowed;
use crate::queue::{Budget, Overflow, Queue};
use crate::settings::{Endpoint, ExportSettings};
use crate::sink::PathSink;
use crate::status::{ExportStatus, Shared};
use crate::ways::{LinesWay, Ways};

/// The share of the queue's bytes reserved for metrics: they report the outage that fills the rest.
const METRICS_SHARE: u64 = 16;

/// Maximum time for a deliverer to give up.
const GIVING_UP: Duration = Duration::from_millis(500);

/// Delivers kept rows and metrics. If it is dropped without [`Exporter::drain`], it gives up waiting rows and counts them.
#[derive(Debug)]
pub struct Exporter {
    settings: ExportSettings,
    ways: Arc<Ways>,
    own: Arc<Scope>,
    seed: Seed,
    deliverers: Lock<Vec<JoinHandle<()>>>,
}

/// The reasons why an exporter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The endpoint of one signal is unusable.
    #[error("OTLP {signal} to {url}: {reason}")]
    Endpoint {
        /// `traces`, `metrics` or `logs`.
        signal: &'static str,
        /// Its URL.
        url: String,
        /// The reason.
        reason: TransportError,
    },
    /// The system did not create the thread.
    #[error("the thread that writes lines cannot start: {0}")]
    Thread(std::io::Error),
}

// === impl Exporter ===

impl Exporter {
    /// Starts delivery on `runtime`. It does not connect yet: it waits for a collector that is not up.
    ///
    /// # Errors
    /// Certificates, keys, headers or URLs are unusable.
    pub fn start(settings: ExportSettings, output: Output, runtime: &Handle) -> Result<Self, ExportError> {
        // rustls must know once per process which of several compiled-in providers to use; the first call is right.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let _within = runtime.enter();
        let shared = Shared::new();
        let points = Budget::new(settings.queue_bytes / METRICS_SHARE);
        let rows = Budget::new(settings.queue_bytes - settings.queue_bytes / METRICS_SHARE);
        let otlp = settings.otlp.clone().unwrap_or_default();
        let resource = Arc::new(Resource::new(&settings.resource));
        let mut deliverers = Vec::new();
        let mut way = |signal, endpoint: Option<Endpoint>, budget: &Arc<Budget>, overflow| -> Result<_, ExportError> {
            let Some(endpoint) = endpoint else { return Ok(None) };
            let transport = Transport::new(&endpoint, signal);
            let failed = |reason| ExportError::Endpoint { signal: signal.name(), url: without_user(&endpoint.url), reason };
            let queue = Queue::new(Arc::clone(budget), overflow, settings.request);
            deliverers.push(Deliverer {
                queue: Arc::clone(&queue),
                transport: transport.map_err(failed)?,
                resource: Arc::clone(&resource),
                shared: Arc::clone(&shared),
                linger: settings.linger,
            });
            Ok(Some(queue))
        };
        let traces = way(Signal::Traces, otlp.traces, &rows, Overflow::DropNewest)?;
        let logs = way(Signal::Logs, otlp.logs, &rows, Overflow::DropNewest)?;
        let metrics = way(Signal::Metrics, otlp.metrics, &points, Overflow::DropOldest)?;
        let lines = match output.open() {
            None => None,
            Some((format, output)) => {
                let writer = Lines::start(output).map_err(ExportError::Thread)?;
                // A view has a budget of its own: it must not use the bytes of the collector's queue.
                let budget = match settings.otlp {
                    None => Arc::clone(&rows),
                    Some(_) => Budget::new(settings.queue_bytes / METRICS_SHARE),
                };
                Some(LinesWay { format, writer, budget })
            }
        };
        let deliverers = deliverers.into_iter().map(|deliverer| runtime.spawn(deliverer.run())).collect();
        let collects = settings.otlp.is_some();
        let ways = Arc::new(Ways { traces, metrics, logs, collects, lines, rows, points, shared });
        let own = Arc::new(Scope::new("host", &settings.version));
        Ok(Self { settings, ways, own, seed: Seed::system(), deliverers: Lock::new(deliverers) })
    }

    /// Sets the seed that ids are derived from: that of the paths, whose sampling depends on trace ids.
    #[must_use]
    pub fn seeded(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// Sets whether rows wait for room in the queue, and their paths with them, or are dropped without room: a replay waits, the kernel
    /// would not. Set it to false before paths are stopped.
    pub fn be_patient(&self, patient: bool) {
        self.ways.rows.be_patient(patient);
        if let Some(lines) = &self.ways.lines {
            lines.budget.be_patient(patient);
        }
    }

    /// Returns the sink of a path. The outcome of its rows is counted in `counters`.
    #[must_use]
    pub fn sink(&self, path: &str, counters: Arc<DeliveryCounters>) -> Box<dyn Sink> {
        let allowed = Allowed::new(&self.settings.sensitive);
        Box::new(PathSink::new(path, counters, Arc::clone(&self.ways), allowed, &self.settings.version, &self.seed))
    }

    /// Sends metrics of the host itself.
    pub fn telemetry(&self, metrics: &[MetricData]) {
        self.ways.metrics(&self.own, metrics);
    }

    /// Returns the current state.
    #[must_use]
    pub fn status(&self) -> ExportStatus {
        let (rows, row_cap) = self.ways.rows.level();
        let (points, point_cap) = self.ways.points.level();
        let otlp = self.settings.otlp.as_ref();
        let endpoint = otlp.and_then(|otlp| otlp.traces.as_ref().or(otlp.logs.as_ref()).or(otlp.metrics.as_ref()));
        let mut status = ExportStatus {
            endpoint: endpoint.map(|endpoint| without_user(&endpoint.url)),
            queue_bytes: rows + points,
            queue_cap_bytes: row_cap + point_cap,
            output_closed: self.ways.lines.as_ref().is_some_and(|lines| *lines.writer.closed().borrow()),
            ..ExportStatus::default()
        };
        self.ways.shared.fill(&mut status);
        status
    }

    /// Returns once the reader of the output has gone (`host run | head`): time to stop. Never returns without an output.
    pub async fn output_closed(&self) {
        match &self.ways.lines {
            Some(lines) => {
                let _ = lines.writer.closed().wait_for(|closed| *closed).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Delivers waiting rows, for at most `deadline`, and accepts no more. The rest counts as dropped at shutdown: afterwards no row of any
    /// path is in flight.
    pub async fn drain(&self, deadline: Duration) {
        let end = tokio::time::Instant::now() + deadline;
        for queue in self.ways.queues() {
            queue.close();
        }
        self.ways.shared.drain();
        let deliverers = std::mem::take(&mut *self.deliverers.lock());
        let mut late = Vec::new();
        for mut deliverer in deliverers {
            if tokio::time::timeout_at(end, &mut deliverer).await.is_err() {
                late.push(deliverer);
            }
        }
        // The deliverers end with their requests: none of their rows is in flight afterwards.
        self.ways.shared.give_up();
        for mut deliverer in late {
            if tokio::time::timeout(GIVING_UP, &mut deliverer).await.is_err() {
                deliverer.abort();
            }
        }
        for queue in self.ways.queues() {
            queue.clear();
        }
        if let Some(lines) = &self.ways.lines {
            let writer = Arc::clone(&lines.writer);
            let _ = tokio::task::spawn_blocking(move || writer.drain(end.into_std())).await;
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        for deliverer in self.deliverers.lock().iter() {
            deliverer.abort();
        }
        for queue in self.ways.queues() {
            queue.close();
            queue.clear();
        }
    }
}

/// Returns a URL without the user and password that it may contain.
fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}
