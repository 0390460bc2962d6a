//! Counts and limits the memory and tables of one instance.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use host_model::CallStats;
use wasmtime::ResourceLimiter;

use crate::limits::{CORE_INSTANCES, Limits, MEMORIES, TABLES};

/// Counts what an instance allocates, in all its memories and tables, and refuses what exceeds its limits.
pub(crate) struct Limiter {
    memory_bytes: usize,
    memory_cap: usize,
    elements: usize,
    element_cap: usize,
    refused: Option<Refused>,
    stats: Arc<CallStats>,
}

/// The resource that a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    Memory,
    Elements,
}

// === impl Limiter ===

impl Limiter {
    pub(crate) fn new(limits: &Limits, stats: Arc<CallStats>) -> Self {
        Self {
            memory_bytes: 0,
            memory_cap: limits.memory_bytes,
            elements: 0,
            element_cap: limits.table_elements,
            refused: None,
            stats,
        }
    }

    /// Forgets earlier refusals at the start of a call: they do not explain its failure.
    pub(crate) fn begin(&mut self) {
        self.refused = None;
    }

    /// Number of bytes of all its memories.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Returns a description of the refusal in this call, if any, and the cure.
    pub(crate) fn refusal(&self) -> Option<(String, &'static str)> {
        Some(match self.refused? {
            Refused::Memory => {
                let mib = self.memory_cap as f64 / f64::from(1 << 20);
                let words = format!("it asked for more than the {mib} MiB of memory (`memory_bytes`) that it may have");
                (words, "raise `memory_bytes` in `limits` of its slot, or load a plugin that takes less")
            }
            Refused::Elements => {
                let cap = self.element_cap;
                let words = format!("it asked for more than the {cap} elements of tables (`table_elements`) that it may have");
                (words, "raise `table_elements` in `limits` of its slot, or load a plugin that takes less")
            }
        })
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Growth beyond the memory's own maximum fails anyway, so nothing is counted.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let all = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        if all > self.memory_cap {
            self.refused = Some(Refused::Memory);
            return Ok(false);
        }
        self.memory_bytes = all;
        self.stats.memory_bytes.store(all as u64, Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let all = self.elements.saturating_sub(current).saturating_add(desired);
        if all > self.element_cap {
            self.refused = Some(Refused::Elements);
            return Ok(false);
        }
        self.elements = all;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(limits: &Limits) -> Limiter {
        Limiter::new(limits, Arc::new(CallStats::default()))
    }

    #[test]
    fn two_memories_share_one_cap() {
        let mut limiter = limiter(&Limits { memory_bytes: 100, ..Limits::default() });
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.refusal().unwrap().0.contains("`memory_bytes`"));
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!((limiter.memory_bytes(), limiter.stats.memory_bytes.load(Relaxed)), (100, 100));
        limiter.begin();
        assert_eq!(limiter.refusal(), None);
    }

    #[test]
    fn two_tables_share_one_cap() {
        let mut limiter = limiter(&Limits { table_elements: 100, ..Limits::default() });
        assert!(limiter.table_growing(0, 60, None).unwrap());
        assert!(!limiter.table_growing(0, 60, None).unwrap());
        assert!(limiter.refusal().unwrap().0.contains("`table_elements`"));
    }

    #[test]
    fn what_is_beyond_the_modules_own_maximum_is_not_counted() {
        let mut limiter = limiter(&Limits::default());
        (0..100).for_each(|_| assert!(!limiter.memory_growing(10, 1_000, Some(20)).unwrap()));
        assert_eq!(limiter.memory_bytes(), 0);
        assert!(!limiter.table_growing(10, 1_000, Some(20)).unwrap());
        assert_eq!(limiter.refusal(), None);
    }
}
