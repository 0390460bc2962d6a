//! Limits of one plugin, with the reason for each number.

use std::time::Duration;

/// Limits of one plugin. Memory and counts apply to its whole instance, the rest to each call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Maximum time, by kind of call.
    pub deadlines: Deadlines,
    /// Maximum linear memory. 64 MiB: enough for the interpreters of scripting languages (13 MiB at the start) with room to work.
    pub memory_bytes: usize,
    /// Linear memory above which an instance is replaced by a new one before its next batch: memory grows and never shrinks, so that it
    /// would retain the memory for one odd batch for ever. 32 MiB, half of the maximum: twice the initial size of an interpreter, and the
    /// batch that makes memory grow still has room. `memory_bytes` or more means never.
    pub recycle_bytes: usize,
    /// Maximum number of elements of all its tables. 100,000: five times as many as any measured toolchain asks for.
    pub table_elements: usize,
    /// Maximum number of bytes that one call returns, and that one import is passed. 16 MiB: 64 times the largest run of the defaults.
    pub output_bytes: usize,
    /// Maximum number of rows from one run, for a schema with up to [`FIELDS_OF_A_ROW`] fields; with more fields fewer. 262,144: 256 times
    /// the rows of a full batch. Each row costs the host a few words, and all its fields when it is exported, even if no column was asked
    /// for.
    pub output_rows: usize,
    /// Maximum size of the state that it hands to a successor, or is handed. 4 MiB: 50,000 keys of 80 bytes, copied in a millisecond, for
    /// which the path waits.
    pub state_bytes: usize,
    /// Maximum number of calls into the host during one call. 10,000: ten for every row of a full batch, although one for all rows is
    /// intended.
    pub host_calls: u32,
    /// Maximum number of lines per second in the host's log; the rest is counted. Twenty: more than a person reads.
    pub log_lines_per_second: u32,
    /// When it is quarantined; None for never.
    pub quarantine: Option<Quarantine>,
}

/// Maximum time of each kind of call. Times are the plugin's own: while a busy machine does not schedule the worker, the deadline is
/// extended. Deadlines are exact to about 40 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// Maximum for instantiation, `expects` and `bind` together. A second: interpreters start here, and a load that hangs longer looks
    /// broken.
    pub bind: Duration,
    /// Maximum for `decode` and `complete`. 100 ms: a call of 1024 rows takes microseconds, and a ring of 8 MiB holds the events of about
    /// that time at a million records a second.
    pub decode: Duration,
    /// Maximum for `decide`. 100 ms, as `decode`: the ring waits for it as well.
    pub decide: Duration,
    /// Maximum for `tune`. 50 ms: it is called every second, gets eight numbers, and must not cost a tenth of a processor.
    pub tune: Duration,
    /// Maximum for `enrich`. 250 ms: a lookup of 1024 new processes in a table reads /proc for each, 50 us a process.
    pub enrich: Duration,
    /// Maximum for `export-state` and `import-state`. A second: the path waits meanwhile, and its ring must not overflow.
    pub handover: Duration,
}

/// Number of offences (a broken limit or contract, not an error that the plugin returns) that lead to quarantine, and the time within which
/// they count. Ten within a minute: after the third it is paused, each time twice as long, so that a plugin that always fails is
/// quarantined after 13 seconds, and one that meets an odd batch now and then is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantine {
    /// Number of offences.
    pub faults: u32,
    /// Time within which they count.
    pub window: Duration,
}

/// Maximum deadline: the path stands still during a call.
pub const LONGEST_DEADLINE: Duration = Duration::from_secs(10);

/// Maximum memory: wasm addresses have 32 bits.
pub const LARGEST_MEMORY: usize = 4 << 30;

/// Maximum output: Arrow's offsets are signed 32-bit.
pub const LARGEST_OUTPUT: usize = 1 << 30;

/// Maximum number of rows from one run: 32 MiB for their thresholds alone.
pub const MOST_ROWS: usize = 4 << 20;

/// Maximum state: the path stands still while it is copied, about 50 ms for this size.
pub const LARGEST_STATE: usize = 128 << 20;

/// Maximum number of table elements: each takes 8 bytes of the host, and address space for this number is reserved for each of 2048 tables.
pub const MOST_ELEMENTS: usize = 1_000_000;

/// Maximum number of calls into the host during one call: a second of the cheapest ones.
pub const MOST_HOST_CALLS: u32 = 10_000_000;

/// Maximum number of log lines per second: each is a system call on the path.
pub const MOST_LOG_LINES: u32 = 1_000;

/// Maximum number of offences of a quarantine: each is stored with its time.
pub const MOST_FAULTS: u32 = 1_000;

/// Number of errors that one function may return in a row; each further one counts as an offence. 100: an error is a valid answer, but a
/// plugin that always returns one does as much harm as a fault, and less visibly.
pub const ERRORS_IN_A_ROW: u32 = 100;

/// Number of fields for which a row counts once against `output_rows`; a row with more counts once for each group of this size. 16: a row
/// costs the host what its fields cost.
pub const FIELDS_OF_A_ROW: usize = 16;

/// Maximum number of core instances of one component. An interpreter has 108.
pub(crate) const CORE_INSTANCES: usize = 1_000;

/// Maximum number of linear memories of one component.
pub(crate) const MEMORIES: usize = 16;

/// Maximum number of tables of one component. An interpreter with its 38 modules has about as many.
pub(crate) const TABLES: usize = 200;

/// Maximum size of a component, in bytes. More than twice the largest component measured (Python, 18 MiB).
pub const LARGEST_COMPONENT: usize = 64 << 20;

/// Maximum number of metrics of a schema: each is counted for every row.
pub(crate) const MAX_METRICS: usize = 64;

/// Maximum number of conversations that a decoder may disown after one `decode`: the number that the router stores.
pub(crate) const MOST_DISOWNED: usize = 1 << 16;

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            memory_bytes: 64 << 20,
            recycle_bytes: 32 << 20,
            table_elements: 100_000,
            output_bytes: 16 << 20,
            output_rows: 1 << 18,
            state_bytes: 4 << 20,
            host_calls: 10_000,
            log_lines_per_second: 20,
            quarantine: Some(Quarantine::default()),
        }
    }
}

impl Limits {
    /// Returns these limits, reduced to what the host supports.
    #[must_use]
    pub fn bounded(self) -> Self {
        let counted = |limit: Quarantine| Quarantine { faults: limit.faults.clamp(1, MOST_FAULTS), window: limit.window };
        Self {
            deadlines: self.deadlines.bounded(),
            memory_bytes: self.memory_bytes.min(LARGEST_MEMORY),
            recycle_bytes: self.recycle_bytes,
            table_elements: self.table_elements.min(MOST_ELEMENTS),
            output_bytes: self.output_bytes.min(LARGEST_OUTPUT),
            output_rows: self.output_rows.min(MOST_ROWS),
            state_bytes: self.state_bytes.min(LARGEST_STATE),
            host_calls: self.host_calls.min(MOST_HOST_CALLS),
            log_lines_per_second: self.log_lines_per_second.min(MOST_LOG_LINES),
            quarantine: self.quarantine.map(counted),
        }
    }

    /// Returns each limit with its value, formatted for operators, in the order of this type.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, String)> {
        let Deadlines { bind, decode, decide, tune, enrich, handover } = &self.deadlines;
        let quarantine = self
            .quarantine
            .map_or_else(|| "never".into(), |Quarantine { faults, window }| format!("{faults} faults within {}", time(window)));
        vec![
            ("deadlines.bind", time(*bind)),
            ("deadlines.decode", time(*decode)),
            ("deadlines.decide", time(*decide)),
            ("deadlines.tune", time(*tune)),
            ("deadlines.enrich", time(*enrich)),
            ("deadlines.handover", time(*handover)),
            ("memory_bytes", size(self.memory_bytes)),
            ("recycle_bytes", size(self.recycle_bytes)),
            ("table_elements", self.table_elements.to_string()),
            ("output_bytes", size(self.output_bytes)),
            ("output_rows", self.output_rows.to_string()),
            ("state_bytes", size(self.state_bytes)),
            ("host_calls", self.host_calls.to_string()),
            ("log_lines_per_second", self.log_lines_per_second.to_string()),
            ("quarantine", quarantine),
        ]
    }
}

// === impl Deadlines ===

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            bind: Duration::from_secs(1),
            decode: Duration::from_millis(100),
            decide: Duration::from_millis(100),
            tune: Duration::from_millis(50),
            enrich: Duration::from_millis(250),
            handover: Duration::from_secs(1),
        }
    }
}

impl Deadlines {
    /// Sets the same deadline for every call on a path; loads and handovers keep theirs.
    #[must_use]
    pub fn calls(deadline: Duration) -> Self {
        Self { decode: deadline, decide: deadline, tune: deadline, enrich: deadline, ..Self::default() }
    }

    fn bounded(self) -> Self {
        let bounded = |deadline: Duration| deadline.min(LONGEST_DEADLINE);
        Self {
            bind: bounded(self.bind),
            decode: bounded(self.decode),
            decide: bounded(self.decide),
            tune: bounded(self.tune),
            enrich: bounded(self.enrich),
            handover: bounded(self.handover),
        }
    }
}

// === impl Quarantine ===

impl Default for Quarantine {
    fn default() -> Self {
        Self { faults: 10, window: Duration::from_secs(60) }
    }
}

/// Formats a time as the configuration writes it: `250ms`, `1s`.
fn time(duration: Duration) -> String {
    match duration.as_millis() {
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}

/// Formats a size as the configuration writes it: `64MiB`, `100KiB`, `1000`.
fn size(bytes: usize) -> String {
    match bytes {
        0 => "0".into(),
        bytes if bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}KiB", bytes >> 10),
        bytes => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_unlimited_whatever_is_asked_for() {
        const FOR_EVER: Duration = Duration::from_secs(1 << 30);
        let deadlines = Deadlines { bind: FOR_EVER, handover: FOR_EVER, ..Deadlines::calls(FOR_EVER) };
        let asked = Limits {
            deadlines,
            memory_bytes: usize::MAX,
            recycle_bytes: usize::MAX,
            table_elements: usize::MAX,
            output_bytes: usize::MAX,
            output_rows: usize::MAX,
            state_bytes: usize::MAX,
            host_calls: u32::MAX,
            log_lines_per_second: u32::MAX,
            quarantine: Some(Quarantine { faults: 0, window: FOR_EVER }),
        };
        let longest = LONGEST_DEADLINE;
        let given = Limits {
            deadlines: Deadlines { bind: longest, handover: longest, ..Deadlines::calls(longest) },
            memory_bytes: LARGEST_MEMORY,
            recycle_bytes: usize::MAX,
            table_elements: MOST_ELEMENTS,
            output_bytes: LARGEST_OUTPUT,
            output_rows: MOST_ROWS,
            state_bytes: LARGEST_STATE,
            host_calls: MOST_HOST_CALLS,
            log_lines_per_second: MOST_LOG_LINES,
            quarantine: Some(Quarantine { faults: 1, window: FOR_EVER }),
        };
        assert_eq!(asked.bounded(), given);
        assert_eq!(Limits::default().bounded(), Limits::default());
    }

    #[test]
    fn limits_are_shown_as_the_configuration_writes_them() {
        let named = Limits { memory_bytes: 1000, quarantine: None, ..Limits::default() }.named();
        let value = |name: &str| named.iter().find(|(of, _)| *of == name).map(|(_, value)| value.as_str());
        assert_eq!(value("deadlines.enrich"), Some("250ms"));
        assert_eq!(value("deadlines.bind"), Some("1s"));
        assert_eq!(value("memory_bytes"), Some("1000"));
        assert_eq!(value("recycle_bytes"), Some("32MiB"));
        assert_eq!(value("quarantine"), Some("never"));
        assert_eq!(Limits::default().named().last().map(|(_, value)| value.as_str()), Some("10 faults within 60s"));
    }
}
