//! What a plugin has used up of what it may have in a second. It outlives instances: one that is built anew has no more of it
//! than the one before it had left.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use host_model::{CallStats, PluginId};

use super::bucket::Bucket;
use super::log::Log;
use crate::grant::Grants;
use crate::limits::Limits;

/// Shared by the instances of one plugin on one path; they belong to one worker, so that nobody ever waits.
#[derive(Clone)]
pub(crate) struct Rates {
    log: Arc<Mutex<Log>>,
    /// How often each granted map may still be written; None without a limit.
    updates: Arc<Mutex<Vec<Option<Bucket>>>>,
}

// === impl Rates ===

impl Rates {
    pub(crate) fn new(id: &PluginId, grants: &Grants, limits: &Limits, stats: Arc<CallStats>) -> Self {
        let now = Instant::now();
        let updates = grants.maps.iter().map(|grant| grant.updates_per_second.map(|rate| Bucket::new(rate, now)));
        Self {
            log: Arc::new(Mutex::new(Log::new(id, limits.log_lines_per_second, stats))),
            updates: Arc::new(Mutex::new(updates.collect())),
        }
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an update from the first of these grants that has one left.
    pub(super) fn take_update(&self, granted: &[usize], now: Instant) -> bool {
        let mut updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        granted.iter().any(|&place| updates.get_mut(place).and_then(Option::as_mut).is_none_or(|updates| updates.take(now)))
    }
}
