//! What is done about a fault at once, on the worker of its path: little. It is told once in a while, offered to be kept as a
//! repro, and who puts earlier generations back is woken.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use host_model::{Digest, Fault, FaultKind, Input, Layout, Observer};
use tokio::sync::Notify;

use crate::repro::keeper::Keeper;

/// How often the same fault of the same plugin is told, and kept.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// Watches the plugins of one path.
pub(crate) struct Watch {
    pub(crate) probe: Arc<str>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) told: Mutex<Seldom<(Arc<str>, Digest, FaultKind)>>,
    pub(crate) keeper: Option<Arc<Keeper>>,
    /// Fires for every batch that a plugin in quarantine did not see.
    pub(crate) given_up: Arc<Notify>,
}

/// Lets each of many things through once per interval, and counts the others.
pub(crate) struct Seldom<K> {
    interval: Duration,
    seen: HashMap<K, (Instant, u64)>,
}

/// Things that are told apart. More than this many plugins with faults of every kind within an interval: some are told twice.
const MOST: usize = 1024;

// === impl Watch ===

impl Observer for Watch {
    fn fault(&self, fault: &Fault, input: Input<'_>) {
        if fault.kind == FaultKind::Quarantined {
            self.given_up.notify_one();
        }
        let key = (Arc::clone(&fault.plugin.slot), fault.plugin.digest, fault.kind);
        let due = self.told.lock().unwrap_or_else(PoisonError::into_inner).due(key, Instant::now());
        if let Some(since) = due {
            let Fault { plugin, step, kind, detail } = fault;
            tracing::warn!(path = %self.probe, %plugin, digest = %plugin.digest, step, %kind, since, "{detail}");
        }
        if let Some(keeper) = &self.keeper {
            keeper.offer(&self.probe, &self.layout, fault, input);
        }
    }
}

// === impl Seldom ===

impl<K: std::hash::Hash + Eq> Seldom<K> {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, seen: HashMap::new() }
    }

    /// Whether it is time again for this one: how many there were since it was last let through, this one included.
    pub(crate) fn due(&mut self, key: K, now: Instant) -> Option<u64> {
        if self.seen.len() >= MOST {
            let interval = self.interval;
            self.seen.retain(|_, (last, _)| now.saturating_duration_since(*last) < interval);
            if self.seen.len() >= MOST {
                self.seen.clear();
            }
        }
        match self.seen.get_mut(&key) {
            Some((last, since)) if now.saturating_duration_since(*last) < self.interval => {
                *since += 1;
                None
            }
            Some((last, since)) => {
                *last = now;
                Some(std::mem::take(since) + 1)
            }
            None => {
                self.seen.insert(key, (now, 0));
                Some(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_comes_through_once_per_interval_with_how_many_there_were() {
        let (mut seldom, start) = (Seldom::new(INTERVAL), Instant::now());
        assert_eq!(seldom.due('a', start), Some(1));
        assert_eq!(seldom.due('a', start), None);
        assert_eq!(seldom.due('b', start), Some(1), "another is told at once");
        assert_eq!(seldom.due('a', start + INTERVAL / 2), None);
        assert_eq!(seldom.due('a', start + INTERVAL), Some(3));
        assert_eq!(seldom.due('a', start + 2 * INTERVAL), Some(1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut seldom, start) = (Seldom::new(INTERVAL), Instant::now());
        (0..10 * MOST).for_each(|key| {
            seldom.due(key, start);
        });
        assert!(seldom.seen.len() <= MOST);
    }
}
