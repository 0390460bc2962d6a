//! The rates of a plugin: how much it has used up in this second. They outlive instances: one that is built anew has no more of it
//! than the one before it had left.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use host_model::{CallStats, Lock, PluginId};

use super::bucket::Bucket;
use super::log::Log;
use crate::grant::Grants;
use crate::limits::Limits;

/// The rates of one plugin on one path, shared by its instances; they belong to one worker, so that no lock is ever waited for.
#[derive(Clone)]
pub(crate) struct Rates {
    log: Arc<Lock<Log>>,
    /// The remaining updates of each granted map; None without a limit.
    updates: Arc<Lock<Vec<Option<Bucket>>>>,
    /// Milliseconds that may still be read from the host's tables.
    reading: Arc<Lock<Bucket>>,
}

/// Milliseconds of every second that one plugin may have the host read for its tables. A quarter: 5000 processes that were not known
/// before; with four such plugins the one thread that reads is busy all the time.
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

    /// The time that the host may read for it now.
    pub(super) fn left_to_read(&self, now: Instant) -> Duration {
        Duration::from_secs_f64(self.reading().left(now) / 1e3)
    }

    /// Counts time that the host has read for it.
    pub(super) fn have_read(&self, took: Duration) {
        self.reading().spend(took.as_secs_f64() * 1e3);
    }

    fn reading(&self) -> MutexGuard<'_, Bucket> {
        self.reading.lock()
    }
}
