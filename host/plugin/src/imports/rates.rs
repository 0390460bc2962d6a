//! The rate limits of a plugin. They outlive instances: a new instance has no more left of this second than the one before it.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use host_model::{CallStats, Lock, PluginId};

use super::bucket::Bucket;
use super::log::Log;
use crate::grant::Grants;
use crate::limits::Limits;

/// The rate limits of one plugin on one path, shared by its instances; only one worker uses them, so that no lock is ever waited for.
#[derive(Clone)]
pub(crate) struct Rates {
    log: Arc<Lock<Log>>,
    /// Updates left of each map grant; None if it has no limit.
    updates: Arc<Lock<Vec<Option<Bucket>>>>,
    /// Milliseconds left for reading the host's tables.
    reading: Arc<Lock<Bucket>>,
}

/// Milliseconds per second that the host may read for the tables of one plugin. A quarter: 5000 processes not seen before; with four such
/// plugins the one thread that reads is busy all the time.
const READING: u32 = 250;

// === impl Rates ===

impl Rates {
    pub(crate) fn new(id: &PluginId, grants: &Grants, limits: &Limits, stats: Arc<CallStats>) -> Self {
        let now = Instant::now();
        let updates = grants.maps.iter().map(|grant| grant.updates_per_second.map(|rate| Bucket::new(rate, now)));
        Self {
            log: Arc::new(Lock::new(Log::new(id, limits.log_lines_per_second, stats))),
            updates: Arc::new(Lock::new(updates.collect())),
            reading: Arc::new(Lock::new(Bucket::new(READING, now))),
        }
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock()
    }

    /// Takes an update from the first of these grants that has one left.
    pub(super) fn take_update(&self, granted: &[usize], now: Instant) -> bool {
        let mut updates = self.updates.lock();
        granted.iter().any(|&place| updates.get_mut(place).and_then(Option::as_mut).is_none_or(|updates| updates.take(now)))
    }

    /// Returns how long the host may read for the plugin now.
    pub(super) fn left_to_read(&self, now: Instant) -> Duration {
        Duration::from_secs_f64(self.reading().left(now) / 1e3)
    }

    /// Counts time that the host has read for the plugin.
    pub(super) fn have_read(&self, took: Duration) {
        self.reading().spend(took.as_secs_f64() * 1e3);
    }

    fn reading(&self) -> MutexGuard<'_, Bucket> {
        self.reading.lock()
    }
}
