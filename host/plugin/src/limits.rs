//! What one plugin may use. Each number with its reason.

use std::time::Duration;

/// Limits of one plugin. Memory and counts hold for its whole instance, times and output for each call. Times are the
/// plugin's own: a worker that is not run, because the machine is busy, is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Instantiation, `expects` and `bind` together. A second: interpreters start here, and a load that hangs longer looks broken.
    pub bind_deadline: Duration,
    /// `decode`, `complete`, `decide`, `tune`, `enrich`. 100 ms: a call of 1024 rows takes microseconds, and a ring of 8 MiB
    /// holds the events of about that time at a million records a second.
    pub call_deadline: Duration,
    /// `export-state` and `import-state`. A second: the path waits meanwhile, and its ring must not run over.
    pub handover_deadline: Duration,
    /// Linear memory. 64 MiB: enough for the interpreters of scripting languages (13 MiB at the start) with room to work.
    pub memory_bytes: usize,
    /// What one call may hand to the host, and what one import may be given. 16 MiB: 64 times the largest run of the defaults.
    pub output_bytes: usize,
    /// Elements of all its tables. 100,000: five times what any toolchain that was measured asks for.
    pub table_elements: usize,
    /// Lines a second in the host's log; the rest is counted. Twenty: more than a person reads.
    pub log_lines_per_second: u32,
}

/// No deadline is longer: a path would stand still for it.
pub const LONGEST_DEADLINE: Duration = Duration::from_secs(10);

/// No output is larger: Arrow's offsets are signed 32-bit.
pub const LARGEST_OUTPUT: usize = 1 << 30;

/// Core instances of one component. An interpreter brings 108.
pub(crate) const CORE_INSTANCES: usize = 1_000;

/// Linear memories of one component.
pub(crate) const MEMORIES: usize = 16;

/// Tables of one component. An interpreter with its 38 modules brings about as many.
pub(crate) const TABLES: usize = 200;

/// Bytes of wasm that are looked at. Twice the largest component measured (Python, 18 MiB) and then some.
pub const LARGEST_COMPONENT: usize = 64 << 20;

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            bind_deadline: Duration::from_secs(1),
            call_deadline: Duration::from_millis(100),
            handover_deadline: Duration::from_secs(1),
            memory_bytes: 64 << 20,
            output_bytes: 16 << 20,
            table_elements: 100_000,
            log_lines_per_second: 20,
        }
    }
}

impl Limits {
    /// These limits, none beyond what the host can hold.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.bind_deadline = self.bind_deadline.min(LONGEST_DEADLINE);
        self.call_deadline = self.call_deadline.min(LONGEST_DEADLINE);
        self.handover_deadline = self.handover_deadline.min(LONGEST_DEADLINE);
        self.output_bytes = self.output_bytes.min(LARGEST_OUTPUT);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_an_hour_is_shortened() {
        let limits = Limits { call_deadline: Duration::from_secs(3600), ..Limits::default() }.bounded();
        assert_eq!(limits.call_deadline, LONGEST_DEADLINE);
    }
}
