//! What a path is made of.

use std::sync::Arc;
use std::time::Duration;

use host_model::{Decoder, Enricher, Observer, PathCounters, Sampler, Seed, Sink, Source};

/// The parts of one path.
pub struct Blueprint {
    /// The name of its probe.
    pub name: Arc<str>,
    /// Where records come from.
    pub source: Box<dyn Source>,
    /// What happens to them.
    pub stages: Stages,
    /// Where kept rows and metrics go. It shares `counters.delivery`.
    pub sink: Box<dyn Sink>,
    /// Observes every fault.
    pub observer: Arc<dyn Observer>,
    /// The path's side of the ledger.
    pub counters: Arc<PathCounters>,
    /// When a batch closes, and how often the slow things happen.
    pub limits: BatchLimits,
    /// What rows are sampled by. The sink derives ids from the same.
    pub seed: Seed,
}

/// The plugins of one path, each bound to the schema in front of it.
pub struct Stages {
    /// Records to rows.
    pub decoder: Box<dyn Decoder>,
    /// Which rows are kept; all, if there is none.
    pub sampler: Option<Box<dyn Sampler>>,
    /// In order: a later one sees the columns of an earlier one.
    pub enrichers: Vec<Box<dyn Enricher>>,
}

/// When a batch closes, and how often the slow things happen.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Rows. 1024: the crossing costs 0.5 us, so from here on it is under 1 ns a row.
    pub rows: usize,
    /// Bytes. 256 KiB stay in the second-level cache.
    pub bytes: usize,
    /// The longest that a record waits in the ring before it is read. 50 ms is at once to a person.
    pub age: Duration,
    /// How often metrics are handed to the sink.
    pub metric_interval: Duration,
    /// Series per metric; what is over goes into one series with `otel.metric.overflow`. 2000 is OpenTelemetry's default.
    /// A schema with more than 16 metrics gets fewer, so that its series take no more memory than theirs would.
    pub cardinality: usize,
    /// Bytes that the points of all series may take as they go out, buckets included. 32 MiB: 2000 series of four distributions, with
    /// 400 bytes of attributes, take half of it. What is over goes into the series with `otel.metric.overflow`.
    pub metric_bytes: usize,
}

/// Why a path does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The schemas of the stages do not fit together.
    #[error("path {path}: {source}")]
    Schema {
        /// The path.
        path: Arc<str>,
        /// What does not fit.
        source: host_model::schema::SchemaError,
    },
    /// The system gave no thread.
    #[error("path {path}: no thread for its worker: {source}")]
    Thread {
        /// The path.
        path: Arc<str>,
        /// What the system said.
        source: std::io::Error,
    },
}

// === impl BatchLimits ===

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            rows: 1024,
            bytes: 256 * 1024,
            age: Duration::from_millis(50),
            metric_interval: Duration::from_secs(10),
            cardinality: 2000,
            metric_bytes: 32 << 20,
        }
    }
}
