//! What a plugin may use, as it is told over the socket and kept in a repro. Times are whole microseconds.

use std::time::Duration;

use host_plugin::{Deadlines, Limits, Quarantine};
use serde::{Deserialize, Serialize};

/// Limits of one slot. What each is for and why its default is what it is: `docs/host.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotLimits {
    /// Time for one call, by what is called.
    pub deadlines_us: SlotDeadlines,
    /// Linear memory of one instance.
    pub memory_bytes: u64,
    /// An instance whose memory has grown past this is replaced between two calls.
    pub recycle_bytes: u64,
    /// Elements of all its tables.
    pub table_elements: u64,
    /// Bytes that one call may return.
    pub output_bytes: u64,
    /// Rows that one call may return.
    pub output_rows: u64,
    /// Bytes of state that it may hand over.
    pub state_bytes: u64,
    /// Calls into the host within one call.
    pub host_calls: u32,
    /// Lines in the host's log.
    pub log_lines_per_second: u32,
    /// When it is called no more; none: never.
    pub quarantine: Option<SlotQuarantine>,
}

/// Time for one call, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotDeadlines {
    /// Instantiation, `expects` and `bind` together.
    pub bind: u64,
    /// `decode` and `complete`.
    pub decode: u64,
    /// `decide`.
    pub decide: u64,
    /// `tune`.
    pub tune: u64,
    /// `enrich`.
    pub enrich: u64,
    /// `export-state` and `import-state`.
    pub handover: u64,
}

/// This many faults within this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotQuarantine {
    /// Faults.
    pub faults: u32,
    /// Milliseconds.
    pub window_ms: u64,
}

// === impl SlotQuarantine ===

/// `10 faults within 60 s`
impl std::fmt::Display for SlotQuarantine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} faults within {:?}", self.faults, Duration::from_millis(self.window_ms))
    }
}

// === impl SlotLimits ===

impl From<&Limits> for SlotLimits {
    fn from(limits: &Limits) -> Self {
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let Deadlines { bind, decode, decide, tune, enrich, handover } = &limits.deadlines;
        Self {
            deadlines_us: SlotDeadlines {
                bind: us(*bind),
                decode: us(*decode),
                decide: us(*decide),
                tune: us(*tune),
                enrich: us(*enrich),
                handover: us(*handover),
            },
            memory_bytes: limits.memory_bytes as u64,
            recycle_bytes: limits.recycle_bytes as u64,
            table_elements: limits.table_elements as u64,
            output_bytes: limits.output_bytes as u64,
            output_rows: limits.output_rows as u64,
            state_bytes: limits.state_bytes as u64,
            host_calls: limits.host_calls,
            log_lines_per_second: limits.log_lines_per_second,
            quarantine: limits.quarantine.map(|Quarantine { faults, window }| SlotQuarantine {
                faults,
                window_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }
}

impl From<&SlotLimits> for Limits {
    /// None beyond what the host can hold: a file may claim anything.
    fn from(limits: &SlotLimits) -> Self {
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let SlotDeadlines { bind, decode, decide, tune, enrich, handover } = limits.deadlines_us;
        Self {
            deadlines: Deadlines {
                bind: Duration::from_micros(bind),
                decode: Duration::from_micros(decode),
                decide: Duration::from_micros(decide),
                tune: Duration::from_micros(tune),
                enrich: Duration::from_micros(enrich),
                handover: Duration::from_micros(handover),
            },
            memory_bytes: count(limits.memory_bytes),
            recycle_bytes: count(limits.recycle_bytes),
            table_elements: count(limits.table_elements),
            output_bytes: count(limits.output_bytes),
            output_rows: count(limits.output_rows),
            state_bytes: count(limits.state_bytes),
            host_calls: limits.host_calls,
            log_lines_per_second: limits.log_lines_per_second,
            quarantine: limits
                .quarantine
                .map(|SlotQuarantine { faults, window_ms }| Quarantine { faults, window: Duration::from_millis(window_ms) }),
        }
        .bounded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_come_back_as_they_went() {
        let limits = Limits { host_calls: 7, output_rows: 9, ..Limits::default() };
        let told: SlotLimits = serde_json::from_str(&serde_json::to_string(&SlotLimits::from(&limits)).unwrap()).unwrap();
        assert_eq!(Limits::from(&told), limits);
        assert_eq!(told.quarantine.unwrap().to_string(), "10 faults within 60s");
    }
}
