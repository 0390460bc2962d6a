//! The cost of a plugin's calls: counts, faults by kind, durations.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::fault::FaultKind;

/// The cost of one plugin's calls on one path. Written by its worker, read by any thread.
#[derive(Debug)]
pub struct CallStats {
    /// Number of calls into the component.
    pub calls: AtomicU64,
    /// Number of rows that went in.
    pub rows: AtomicU64,
    /// Linear memory of the instance, bytes.
    pub memory_bytes: AtomicU64,
    /// Number of calls that it made into the host.
    pub host_calls: AtomicU64,
    /// Number of log lines over its rate, which were left out.
    pub lines_left_out: AtomicU64,
    /// Number of updates of BPF maps over their granted rate, which were not made.
    pub updates_left_out: AtomicU64,
    /// Number of keys of the host's tables that were not read in time, and so had no new values.
    pub lookups_left_out: AtomicU64,
    /// Number of instances that were replaced because their memory had grown past the high-water mark.
    pub recycled: AtomicU64,
    /// Number of faults by kind.
    faults: [AtomicU64; FaultKind::ALL.len()],
    /// The [`Health`] as a number.
    health: AtomicU8,
    /// Total time spent in calls, nanoseconds.
    pub total_ns: AtomicU64,
    /// Number of calls by duration: bucket i holds durations in [2^(i/4), 2^((i+1)/4)) nanoseconds.
    durations: [AtomicU64; BUCKETS],
    /// Total time of the host's own work on its results, nanoseconds.
    pub work_ns: AtomicU64,
    /// The same by batch, in the same buckets.
    works: [AtomicU64; BUCKETS],
}

/// Whether a plugin is called, and the reason if not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It is called for every batch.
    Live,
    /// It is not called for a while, because of faults.
    BackingOff,
    /// It is no longer called, because of faults.
    Quarantined,
}

/// Four buckets per power of two up to 2^40 ns, 18 minutes.
const BUCKETS: usize = 160;

// === impl CallStats ===

impl Default for CallStats {
    fn default() -> Self {
        Self {
            calls: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            host_calls: AtomicU64::new(0),
            lines_left_out: AtomicU64::new(0),
            updates_left_out: AtomicU64::new(0),
            lookups_left_out: AtomicU64::new(0),
            recycled: AtomicU64::new(0),
            faults: [const { AtomicU64::new(0) }; FaultKind::ALL.len()],
            health: AtomicU8::new(Health::Live as u8),
            total_ns: AtomicU64::new(0),
            durations: [const { AtomicU64::new(0) }; BUCKETS],
            work_ns: AtomicU64::new(0),
            works: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

impl CallStats {
    /// Counts one call of `rows` rows that took `nanos` nanoseconds.
    pub fn record(&self, rows: u64, nanos: u64) {
        self.calls.fetch_add(1, Relaxed);
        self.rows.fetch_add(rows, Relaxed);
        self.total_ns.fetch_add(nanos, Relaxed);
        count(&self.durations, nanos);
    }

    /// Counts the host's own work on the results of one batch.
    pub fn record_work(&self, nanos: u64) {
        self.work_ns.fetch_add(nanos, Relaxed);
        count(&self.works, nanos);
    }

    /// Counts a fault.
    pub fn fault(&self, kind: FaultKind) {
        if let Some(count) = self.faults.get(kind.index()) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Returns the number of faults of one kind.
    #[must_use]
    pub fn faults(&self, kind: FaultKind) -> u64 {
        self.faults.get(kind.index()).map_or(0, |count| count.load(Relaxed))
    }

    /// Returns the number of faults in which the plugin broke a limit or the contract.
    #[must_use]
    pub fn offences(&self) -> u64 {
        FaultKind::ALL.into_iter().filter(|kind| kind.is_offence()).map(|kind| self.faults(kind)).sum()
    }

    /// Returns whether it is called.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.health.load(Relaxed) {
            health if health == Health::BackingOff as u8 => Health::BackingOff,
            health if health == Health::Quarantined as u8 => Health::Quarantined,
            _ => Health::Live,
        }
    }

    /// Sets whether it is called.
    pub fn set_health(&self, health: Health) {
        self.health.store(health as u8, Relaxed);
    }

    /// Returns the duration that this share of calls did not exceed, nanoseconds, within 25 %. 0 before the first call.
    #[must_use]
    pub fn quantile_ns(&self, share: f64) -> u64 {
        quantile(&self.durations, share)
    }

    /// The same for the host's own work on its results, batch by batch.
    #[must_use]
    pub fn work_quantile_ns(&self, share: f64) -> u64 {
        quantile(&self.works, share)
    }
}

fn count(buckets: &[AtomicU64; BUCKETS], nanos: u64) {
    let nanos = nanos.max(1);
    let exponent = nanos.ilog2() as usize;
    let quarter = if exponent >= 2 { (nanos >> (exponent - 2)) as usize & 3 } else { 0 };
    if let Some(bucket) = buckets.get((exponent * 4 + quarter).min(BUCKETS - 1)) {
        bucket.fetch_add(1, Relaxed);
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count is a count")]
fn quantile(buckets: &[AtomicU64; BUCKETS], share: f64) -> u64 {
    let counts: Vec<u64> = buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return 0;
    }
    let rank = (total as f64 * share).ceil() as u64;
    let mut seen = 0;
    for (index, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= rank.max(1) {
            let (exponent, quarter) = (index / 4, index as u64 % 4);
            return (1 << exponent) + ((quarter + 1) << exponent) / 4;
        }
    }
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offences_are_what_broke_a_limit_or_the_contract() {
        let stats = CallStats::default();
        FaultKind::ALL.into_iter().for_each(|kind| stats.fault(kind));
        assert_eq!((stats.offences(), stats.faults(FaultKind::Refused)), (5, 1));
    }

    #[test]
    fn the_hosts_work_is_told_apart_from_the_calls() {
        let stats = CallStats::default();
        stats.record(1, 1_000);
        (0..2).for_each(|_| stats.record_work(6_000_000_000));
        assert!((1_000..=1_250).contains(&stats.quantile_ns(0.99)));
        assert!((6_000_000_000..=7_500_000_000).contains(&stats.work_quantile_ns(0.99)));
        assert_eq!((stats.work_ns.load(Relaxed), stats.total_ns.load(Relaxed)), (12_000_000_000, 1_000));
    }

    #[test]
    fn quantiles_are_within_a_quarter() {
        let stats = CallStats::default();
        (0..99).for_each(|_| stats.record(1, 1_000));
        stats.record(1, 1_000_000);
        let (p50, p99, max) = (stats.quantile_ns(0.5), stats.quantile_ns(0.99), stats.quantile_ns(1.0));
        assert!((1_000..=1_250).contains(&p50), "{p50}");
        assert!((1_000..=1_250).contains(&p99), "{p99}");
        assert!((1_000_000..=1_250_000).contains(&max), "{max}");
    }
}
