//! The destinations, shared by all sinks: a queue for each signal, and the output of lines.

use std::sync::Arc;

use host_model::{MetricData, Signal};

use crate::buffer::Taken;
use crate::lines::Format;
use crate::lines::writer::Lines;
use crate::otlp::metric;
use crate::otlp::request::Scope;
use crate::queue::{Budget, Queue};
use crate::status::Shared;

/// The destinations, shared by all sinks.
#[derive(Debug)]
pub(crate) struct Ways {
    pub(crate) traces: Option<Arc<Queue>>,
    pub(crate) metrics: Option<Arc<Queue>>,
    pub(crate) logs: Option<Arc<Queue>>,
    pub(crate) collects: bool,
    pub(crate) lines: Option<LinesWay>,
    pub(crate) rows: Arc<Budget>,
    pub(crate) points: Arc<Budget>,
    pub(crate) shared: Arc<Shared>,
}

/// The output of lines.
#[derive(Debug)]
pub(crate) struct LinesWay {
    pub(crate) format: Format,
    pub(crate) writer: Arc<Lines>,
    pub(crate) budget: Arc<Budget>,
}

// === impl Ways ===

impl Ways {
    /// Returns the queue of a signal; None if it does not go to a collector.
    pub(crate) fn queue(&self, signal: Signal) -> Option<&Arc<Queue>> {
        match signal {
            Signal::Span => self.traces.as_ref(),
            Signal::Log => self.logs.as_ref(),
            Signal::None => None,
        }
    }

    pub(crate) const fn lines(&self) -> Option<&LinesWay> {
        self.lines.as_ref()
    }

    /// Whether there is a collector.
    pub(crate) const fn collects(&self) -> bool {
        self.collects
    }

    /// Encodes metrics and puts them into their queue.
    pub(crate) fn metrics(&self, scope: &Arc<Scope>, metrics: &[MetricData]) {
        let Some(queue) = &self.metrics else { return };
        let mut encoded = Vec::new();
        let points = metric::encode(&mut encoded, metrics);
        if points > 0 {
            queue.push(scope, Taken::from(encoded), points, None);
        }
    }

    pub(crate) fn hurry(&self) {
        self.queues().for_each(|queue| queue.hurry());
    }

    /// Returns the bytes of rows that wait, and their maximum.
    pub(crate) fn level(&self) -> (u64, u64) {
        self.rows.level()
    }

    pub(crate) fn queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        [&self.traces, &self.logs, &self.metrics].into_iter().flatten()
    }
}
