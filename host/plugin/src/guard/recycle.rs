//! Replaces an instance whose memory has grown by a new one, between two batches and with its own state.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_model::printable;

use super::{DETAIL, Ended, Guard};
use crate::breach::Breach;
use crate::instance::{Instance, Role};

/// When an instance was replaced last, and when it may be replaced again.
#[derive(Debug)]
pub(super) struct Pace {
    next: Option<Instant>,
    pause: Duration,
    told: Option<Instant>,
    untold: u64,
}

/// Interval between two replacements. A second: a plugin that works above the limit costs one start a second, not one per batch.
const PAUSE: Duration = Duration::from_secs(1);

/// Maximum interval between two attempts if they fail. Each may take as long as a start and a handover may.
const LONGEST: Duration = Duration::from_secs(64);

/// Interval between two lines in the log.
const TELL: Duration = Duration::from_secs(60);

impl<R: Role> Guard<R> {
    /// Replaces the instance if its memory has grown and the interval has passed. A failure costs no batch: the old instance works on, or
    /// the new one starts without state.
    pub(super) fn recycle_if_grown(&mut self) {
        let Some(instance) = &self.live else { return };
        let bytes = instance.memory_bytes();
        // An instance that started so large would not be smaller after it was replaced.
        if bytes > self.blueprint.setup.limits.recycle_bytes && bytes > instance.born_bytes {
            let now = Instant::now();
            if self.recycling.may(now) {
                let result = self.recycle();
                self.recycling.tried(Instant::now(), result.is_ok());
                self.tell(now, bytes, result);
            }
        }
    }

    fn recycle(&mut self) -> Result<(), Ended> {
        let fresh = match self.blueprint.build() {
            Ok((instance, bound)) if bound == self.bound => Ok(instance),
            Ok(_) => Err(Ended::from(Breach::Rebound)),
            Err(failed) => Err(Ended { kind: failed.kind, detail: format!("{} failed: {}", failed.step, failed.problem) }),
        };
        // The memory of the new instance was counted; the old one still has its own.
        let fresh = fresh.inspect_err(|_| self.count_memory()).map_err(|ended| ended.after("the old instance works on"))?;
        let state = self.hand_out();
        self.live = Some(fresh);
        self.count_memory();
        self.blueprint.stats.recycled.fetch_add(1, Relaxed);
        let taken = state.and_then(|state| state.map_or(Ok(false), |state| self.take_in(&state)));
        taken.map(drop).map_err(|ended| ended.after("the new instance starts cold"))
    }

    fn count_memory(&self) {
        let bytes = self.live.as_ref().map_or(0, Instance::memory_bytes);
        self.blueprint.stats.memory_bytes.store(bytes as u64, Relaxed);
    }

    fn tell(&mut self, now: Instant, bytes: usize, result: Result<(), Ended>) {
        let (plugin, mib) = (printable(&self.blueprint.id.to_string(), 256), bytes >> 20);
        match result {
            Ok(()) => {
                if let Some(times) = self.recycling.telling(now) {
                    tracing::info!(target: "plugin", plugin, mib, times, "its memory had grown past `recycle_bytes`: replaced");
                }
            }
            Err(Ended { kind, detail }) => {
                self.blueprint.stats.fault(kind);
                let detail = printable(&detail, DETAIL);
                tracing::warn!(target: "plugin", plugin, mib, %kind, "its memory has grown past `recycle_bytes`, but {detail}");
            }
        }
    }
}

// === impl Ended ===

impl Ended {
    fn after(self, what: &str) -> Self {
        Self { kind: self.kind, detail: format!("{what}: {}", self.detail) }
    }
}

// === impl Pace ===

impl Default for Pace {
    fn default() -> Self {
        Self { next: None, pause: PAUSE, told: None, untold: 0 }
    }
}

impl Pace {
    fn may(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    fn tried(&mut self, now: Instant, worked: bool) {
        self.pause = if worked { PAUSE } else { (self.pause * 2).min(LONGEST) };
        self.next = Some(now + self.pause);
    }

    /// Returns the number of replacements since the last log line, this one included; None if it is too early for another.
    fn telling(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        if self.told.is_some_and(|told| now.duration_since(told) < TELL) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_fail_become_rare_and_one_that_works_forgives_them() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert!(pace.may(start));
        (0..10).for_each(|_| pace.tried(start, false));
        assert!(!pace.may(start + LONGEST - PAUSE));
        assert!(pace.may(start + LONGEST));
        pace.tried(start, true);
        assert!(!pace.may(start));
        assert!(pace.may(start + PAUSE));
    }

    #[test]
    fn a_minute_has_one_line() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!([pace.telling(start), pace.telling(start), pace.telling(start)], [Some(1), None, None]);
        assert_eq!(pace.telling(start + TELL), Some(3));
    }
}
