//! Rates: differences between two samples of the status.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use host_api::{PathStatus, Status};

/// Number of samples that a rate spans: long enough to be steady, short enough to be current.
const WINDOW: usize = 3;

/// The last few samples of the status.
#[derive(Debug, Default)]
pub(super) struct History {
    looks: VecDeque<(Instant, Status)>,
}

/// The rates of one path, per second.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PathRate {
    /// Its probe.
    pub(super) probe: String,
    /// Records the kernel produced.
    pub(super) produced: f64,
    /// Rows kept.
    pub(super) kept: f64,
    /// Rows exported.
    pub(super) exported: f64,
    /// Records lost since the start: in the ring, or missed in the kernel.
    pub(super) lost: u64,
    /// Rows dropped at export since the start.
    pub(super) dropped: u64,
    /// Nanoseconds in plugins per row from the decoder; None if there was no row.
    pub(super) plugin_ns_per_row: Option<f64>,
    /// Faults of its plugins since they went live.
    pub(super) traps: u64,
}

// === impl History ===

impl History {
    /// Adds a sample.
    pub(super) fn push(&mut self, at: Instant, status: Status) {
        self.looks.push_back((at, status));
        if self.looks.len() > WINDOW {
            self.looks.pop_front();
        }
    }

    /// Returns the last sample.
    pub(super) fn last(&self) -> Option<&Status> {
        self.looks.back().map(|(_, status)| status)
    }

    /// Returns the rates of each path over the stored samples; all zero after the first.
    pub(super) fn rates(&self) -> Vec<PathRate> {
        let (Some((from, before)), Some((to, now))) = (self.looks.front(), self.looks.back()) else {
            return Vec::new();
        };
        let elapsed = to.duration_since(*from);
        now.paths
            .iter()
            .map(|path| rate(before.paths.iter().find(|old| old.probe == path.probe).unwrap_or(path), path, elapsed))
            .collect()
    }

    /// Returns the share of one core that the host used, in percent.
    pub(super) fn cpu_percent(&self) -> f64 {
        let (Some((from, before)), Some((to, now))) = (self.looks.front(), self.looks.back()) else {
            return 0.0;
        };
        let used = now.process.cpu_ms.saturating_sub(before.process.cpu_ms);
        per_second(used, to.duration_since(*from)) / 10.0
    }
}

fn rate(before: &PathStatus, now: &PathStatus, elapsed: Duration) -> PathRate {
    let rows = now.ledger.rows.saturating_sub(before.ledger.rows);
    let spent = spent(now).saturating_sub(spent(before));
    PathRate {
        probe: now.probe.clone(),
        produced: per_second(now.ledger.produced.saturating_sub(before.ledger.produced), elapsed),
        kept: per_second(now.ledger.kept.saturating_sub(before.ledger.kept), elapsed),
        exported: per_second(now.ledger.exported.saturating_sub(before.ledger.exported), elapsed),
        lost: now.ledger.lost(),
        dropped: now.ledger.dropped_at_export,
        // A swap resets the counters of a plugin; the sample after it has no cost to show.
        plugin_ns_per_row: (rows > 0 && spent > 0).then(|| spent as f64 / rows as f64),
        traps: now.plugins.iter().map(|plugin| plugin.traps).sum(),
    }
}

fn spent(path: &PathStatus) -> u64 {
    path.plugins.iter().map(|plugin| plugin.total_ns).sum()
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { count as f64 / elapsed.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::tests::status;

    #[test]
    fn rates_span_the_looks_remembered_and_no_more() {
        let mut history = History::default();
        let start = Instant::now();
        for (second, produced) in [(0, 0), (1, 1_000), (2, 3_000), (3, 6_000)] {
            let mut look = status();
            look.paths[0].ledger.produced = produced;
            look.paths[0].ledger.rows = produced;
            look.paths[0].plugins[0].total_ns = produced * 20;
            history.push(start + Duration::from_secs(second), look);
        }
        let rates = history.rates();
        assert_eq!(rates[0].produced, 2_500.0);
        assert_eq!(rates[0].plugin_ns_per_row, Some(20.0));
    }

    #[test]
    fn the_first_look_has_no_rate() {
        let mut history = History::default();
        history.push(Instant::now(), status());
        assert_eq!(history.rates()[0].produced, 0.0);
        assert_eq!(history.rates()[0].plugin_ns_per_row, None);
    }
}
