//! The limits of a plugin, in the form of the control socket and of repros. Times are whole microseconds.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of one slot. What each is for and why its default is what it is: `docs/host.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
