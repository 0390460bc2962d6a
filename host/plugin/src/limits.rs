//! Limits of one plugin, each number with its reason.

use std::time::Duration;

/// Limits of one plugin. Memory and counts hold for its whole instance, the rest for each call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Time, by kind of call.
    pub deadlines: Deadlines,
    /// Linear memory. 64 MiB: enough for the interpreters of scripting languages (13 MiB at the start) with room to work.
    pub memory_bytes: usize,
    /// Linear memory above which an instance is replaced by a new one before its next batch: memory grows and never shrinks,
    /// so that one odd batch would hold it for ever. 32 MiB, half of what it may have: twice what an interpreter starts with,
    /// and what is replaced still had room for the batch that made it grow. `memory_bytes` or more means never.
    pub recycle_bytes: usize,
    /// Elements of all its tables. 100,000: five times what any toolchain that was measured asks for.
    pub table_elements: usize,
    /// Maximum bytes that one call returns, and that one import is given. 16 MiB: 64 times the largest run of the defaults.
    pub output_bytes: usize,
    /// Rows that one run may become, of a schema with up to [`FIELDS_OF_A_ROW`] fields; with more fields fewer. 262,144: 256 times the
    /// rows of a full batch. Each costs the host a few words, and when it is exported every field of it, even where no column was
    /// asked for.
    pub output_rows: usize,
    /// State that it may hand to a successor, or be handed. 4 MiB: 50,000 keys of 80 bytes, copied in a millisecond; the path
    /// waits for it.
    pub state_bytes: usize,
    /// Calls of the host's functions during one call. 10,000: ten for every row of a full batch, where one for all of them is
    /// what is meant.
    pub host_calls: u32,
    /// Lines a second in the host's log; the rest is counted. Twenty: more than a person reads.
    pub log_lines_per_second: u32,
    /// When it is not called any more; None for never.
    pub quarantine: Option<Quarantine>,
}

/// Maximum time of each kind of call. Times are the plugin's own: a worker that is not run, because the machine is busy, is
/// waited for. They are kept to about 40 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// Instantiation, `expects` and `bind` together. A second: interpreters start here, and a load that hangs longer looks broken.
    pub bind: Duration,
    /// `decode` and `complete`. 100 ms: a call of 1024 rows takes microseconds, and a ring of 8 MiB holds the events of about
    /// that time at a million records a second.
    pub decode: Duration,
    /// `decide`. 100 ms: as `decode`; the ring waits for it as well.
    pub decide: Duration,
    /// `tune`. 50 ms: it is called every second, sees eight numbers, and must not cost a tenth of a processor.
    pub tune: Duration,
    /// `enrich`. 250 ms: a table that is asked about 1024 new processes reads /proc for each, 50 us a process.
    pub enrich: Duration,
    /// `export-state` and `import-state`. A second: the path waits meanwhile, and its ring must not run over.
    pub handover: Duration,
}

/// The number of offences (a broken limit or contract, not an error of its own) after which a plugin is not called any more, and the time
/// within which they count. Ten within a minute: it rests after the third, each time twice as long, so that one that always fails is given up
/// after 13 seconds, and one that meets an odd batch now and then is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantine {
    /// The number.
    pub faults: u32,
    /// The time within which they count.
    pub window: Duration,
}

/// No deadline is longer: a path would stand still for it.
pub const LONGEST_DEADLINE: Duration = Duration::from_secs(10);

/// No memory is larger: addresses of wasm have 32 bits.
pub const LARGEST_MEMORY: usize = 4 << 30;

/// No output is larger: Arrow's offsets are signed 32-bit.
pub const LARGEST_OUTPUT: usize = 1 << 30;

/// No run becomes more rows: 32 MiB for their thresholds alone.
pub const MOST_ROWS: usize = 4 << 20;

/// No state is larger: the path stands still while it is copied, about 50 ms for this.
pub const LARGEST_STATE: usize = 128 << 20;

/// No table is larger: an element takes 8 bytes of the host, and addresses for as many are set aside for each of 2048 tables.
pub const MOST_ELEMENTS: usize = 1_000_000;

/// No call calls the host more often: a second of the cheapest ones.
pub const MOST_HOST_CALLS: u32 = 10_000_000;

/// No log is faster: each line is a system call on the path.
pub const MOST_LOG_LINES: u32 = 1_000;

/// No quarantine counts more faults: each is remembered with its time.
pub const MOST_FAULTS: u32 = 1_000;

/// Errors that one function may return in a row before each further one counts as an offence. 100: an error is an answer, but one that is
/// always given does as much harm as a fault, and nobody sees it.
pub const ERRORS_IN_A_ROW: u32 = 100;

/// Fields of a schema whose rows count once against `output_rows`; with more of them each counts as often as it has as many. 16: what a
/// row costs the host is what its fields cost.
pub const FIELDS_OF_A_ROW: usize = 16;

/// Core instances of one component. An interpreter brings 108.
pub(crate) const CORE_INSTANCES: usize = 1_000;

/// Linear memories of one component.
pub(crate) const MEMORIES: usize = 16;

/// Tables of one component. An interpreter with its 38 modules brings about as many.
pub(crate) const TABLES: usize = 200;

/// Bytes of wasm that are looked at. Twice the largest component measured (Python, 18 MiB) and then some.
pub const LARGEST_COMPONENT: usize = 64 << 20;

/// Maximum metrics of a schema: each is counted for every row.
pub(crate) const MAX_METRICS: usize = 64;

/// Maximum conversations that a decoder may disown after one `decode`: as many as the router knows.
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
    /// These limits, none beyond what the host can hold.
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

    /// Each limit with its value, as an operator reads them, in the order of this type.
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
    /// The same deadline for every call on a path; loads and handovers keep theirs.
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

/// As the configuration writes it: `250ms`, `1s`.
fn time(duration: Duration) -> String {
    match duration.as_millis() {
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}

/// As the configuration writes it: `64MiB`, `100KiB`, `1000`.
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
