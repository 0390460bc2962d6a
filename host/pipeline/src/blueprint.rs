//! The parts of a path.

use std::sync::Arc;
use std::time::Duration;

use host_model::{Decoder, Enricher, Observer, PathCounters, Sampler, Seed, Sink, Source};

/// The parts of one path.
pub struct Blueprint {
    /// The name of its probe.
    pub name: Arc<str>,
    /// The source of the records.
    pub source: Box<dyn Source>,
    /// The stages that records and rows go through.
    pub stages: Stages,
    /// The destination of kept rows and metrics. It shares `counters.delivery`.
    pub sink: Box<dyn Sink>,
    /// Observes every fault.
    pub observer: Arc<dyn Observer>,
    /// The path's side of the ledger.
    pub counters: Arc<PathCounters>,
    /// Limits of a batch, and the interval of metrics.
    pub limits: BatchLimits,
    /// The seed of the randomness of rows. The sink derives ids from the same seed.
    pub seed: Seed,
}

/// The plugins of one path, each bound to the schema in front of it.
pub struct Stages {
    /// Records to rows.
    pub decoder: Box<dyn Decoder>,
    /// Chooses the rows to keep; None keeps all.
    pub sampler: Option<Box<dyn Sampler>>,
    /// Enrichers, in order: a later one sees the columns of an earlier one.
    pub enrichers: Vec<Box<dyn Enricher>>,
}

/// Limits of a batch, and the interval of metrics.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Maximum rows of a batch. 1024: the crossing costs 0.5 us, so from here on it is under 1 ns a row.
    pub rows: usize,
    /// Maximum bytes of a batch. 256 KiB stay in the second-level cache.
    pub bytes: usize,
    /// Maximum time that a record waits in the ring before it is read. 50 ms is immediate to a person.
    pub age: Duration,
    /// Interval at which metrics are handed to the sink.
    pub metric_interval: Duration,
    /// Maximum series per metric; the rest go into one series with `otel.metric.overflow`. 2000 is OpenTelemetry's default.
    /// A schema with more than 16 metrics gets fewer, so that its series take no more memory than those of 16 would.
    pub cardinality: usize,
    /// Maximum exported bytes of the points of all series, buckets included. 32 MiB: 2000 series of four distributions, with 400 bytes of
    /// attributes, take half of it. The rest go into the series with `otel.metric.overflow`.
    pub metric_bytes: usize,
}

/// The reasons why a path does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The schemas of the stages do not fit together.
    #[error("path {path}: {source}")]
    Schema {
        /// The path.
        path: Arc<str>,
        /// The reason.
        source: host_model::schema::SchemaError,
    },
    /// The system did not create the thread.
    #[error("path {path}: no thread for its worker: {source}")]
    Thread {
        /// The path.
        path: Arc<str>,
        /// The system's error.
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
