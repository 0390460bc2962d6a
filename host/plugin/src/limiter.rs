//! What one instance has taken of its memory.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use host_model::CallStats;
use wasmtime::ResourceLimiter;

use crate::limits::{CORE_INSTANCES, Limits, MEMORIES, TABLES};

/// Counts what an instance takes, over all its memories and tables, and refuses what is beyond its limits.
pub(crate) struct Limiter {
    memory_bytes: usize,
    memory_cap: usize,
    elements: usize,
    element_cap: usize,
    refused: bool,
    stats: Arc<CallStats>,
}

// === impl Limiter ===

impl Limiter {
    pub(crate) fn new(limits: &Limits, stats: Arc<CallStats>) -> Self {
        Self {
            memory_bytes: 0,
            memory_cap: limits.memory_bytes,
            elements: 0,
            element_cap: limits.table_elements,
            refused: false,
            stats,
        }
    }

    /// A sentence about the memory that it was refused, if it was.
    pub(crate) fn refusal(&self) -> Option<String> {
        let mib = self.memory_cap as f64 / f64::from(1 << 20);
        self.refused.then(|| format!("it asked for more than the {mib} MiB of memory (`memory_bytes`) that it may have"))
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let all = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        if all > self.memory_cap {
            self.refused = true;
            return Ok(false);
        }
        self.memory_bytes = all;
        self.stats.memory_bytes.store(all as u64, Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let all = self.elements.saturating_sub(current).saturating_add(desired);
        if all > self.element_cap {
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

    #[test]
    fn two_memories_share_one_cap() {
        let limits = Limits { memory_bytes: 100, ..Limits::default() };
        let stats = Arc::new(CallStats::default());
        let mut limiter = Limiter::new(&limits, stats.clone());
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.refusal().is_some());
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!(stats.memory_bytes.load(Relaxed), 100);
    }
}
