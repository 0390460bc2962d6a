//! What a call may cost: each limit of a slot, where it is not the default.

use std::time::Duration;

use host_plugin::{Deadlines, Limits};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Size, Span};

/// What a plugin may use: one slot, or all whose slot says nothing. The defaults and their reasons: `host plugin inspect`, docs/host.toml.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Time that one `decode`, `decide`, `tune` or `enrich` may take; `deadlines` goes before it.
    pub deadline: Option<Span>,
    /// Time that one call may take, by what is called.
    pub deadlines: DeadlinesConfig,
    /// Memory that one instance may have. Default 64MiB.
    pub memory_bytes: Option<Size>,
    /// An instance whose memory has grown past this is replaced between two calls. Default 32MiB.
    pub recycle_bytes: Option<Size>,
    /// Elements of all its tables. Default 100000.
    pub table_elements: Option<u32>,
    /// Bytes that one call may return. Default 16MiB.
    pub output_bytes: Option<Size>,
    /// Rows that one run may become. Default 262144.
    pub output_rows: Option<u32>,
    /// Bytes of state that it may hand over. Default 4MiB.
    pub state_bytes: Option<Size>,
    /// Calls into the host within one call. Default 10000.
    pub host_calls: Option<u32>,
    /// Lines in the host's log; the rest is counted. Default 20.
    pub log_lines_per_second: Option<u32>,
}

/// Time that one call may take, by what is called. None is longer than 10s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeadlinesConfig {
    /// Instantiation, `expects` and `bind` together. Default 1s.
    pub bind: Option<Span>,
    /// `decode` and `complete`. Default 100ms.
    pub decode: Option<Span>,
    /// `decide`. Default 100ms.
    pub decide: Option<Span>,
    /// `tune`. Default 50ms.
    pub tune: Option<Span>,
    /// `enrich`. Default 250ms.
    pub enrich: Option<Span>,
    /// `export-state` and `import-state`. Default 1s.
    pub handover: Option<Span>,
}

// === impl LimitsConfig ===

impl LimitsConfig {
    /// What is set here, and what is set `below` for the rest.
    pub(crate) fn over(&self, below: &Self) -> Self {
        let (own, rest) = (&self.deadlines, &below.deadlines);
        Self {
            deadline: self.deadline.or(below.deadline),
            deadlines: DeadlinesConfig {
                bind: own.bind.or(rest.bind),
                decode: own.decode.or(rest.decode),
                decide: own.decide.or(rest.decide),
                tune: own.tune.or(rest.tune),
                enrich: own.enrich.or(rest.enrich),
                handover: own.handover.or(rest.handover),
            },
            memory_bytes: self.memory_bytes.or(below.memory_bytes),
            // Half of the memory that a slot asks for is not a mark that was set for less.
            recycle_bytes: self.recycle_bytes.or(below.recycle_bytes.filter(|_| self.memory_bytes.is_none())),
            table_elements: self.table_elements.or(below.table_elements),
            output_bytes: self.output_bytes.or(below.output_bytes),
            output_rows: self.output_rows.or(below.output_rows),
            state_bytes: self.state_bytes.or(below.state_bytes),
            host_calls: self.host_calls.or(below.host_calls),
            log_lines_per_second: self.log_lines_per_second.or(below.log_lines_per_second),
        }
    }

    /// The limits that hold: what is set here, and the defaults for the rest; none beyond what the host can hold.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits { deadlines: self.deadlines.over(self.deadline), ..Limits::default() };
        set(&mut limits.memory_bytes, self.memory_bytes.map(|size| size.0));
        // Where only the memory is raised or lowered, the mark stays at half of it, as in the defaults.
        limits.recycle_bytes = limits.memory_bytes / 2;
        set(&mut limits.recycle_bytes, self.recycle_bytes.map(|size| size.0));
        set(&mut limits.table_elements, self.table_elements.map(u64::from));
        set(&mut limits.output_bytes, self.output_bytes.map(|size| size.0));
        set(&mut limits.output_rows, self.output_rows.map(u64::from));
        set(&mut limits.state_bytes, self.state_bytes.map(|size| size.0));
        limits.host_calls = self.host_calls.unwrap_or(limits.host_calls);
        limits.log_lines_per_second = self.log_lines_per_second.unwrap_or(limits.log_lines_per_second);
        limits.bounded()
    }
}

// === impl DeadlinesConfig ===

impl DeadlinesConfig {
    fn over(&self, shorthand: Option<Span>) -> Deadlines {
        let default = shorthand.map_or_else(Deadlines::default, |deadline| Deadlines::calls(deadline.0));
        let or = |set: Option<Span>, default: Duration| set.map_or(default, |set| set.0);
        Deadlines {
            bind: or(self.bind, default.bind),
            decode: or(self.decode, default.decode),
            decide: or(self.decide, default.decide),
            tune: or(self.tune, default.tune),
            enrich: or(self.enrich, default.enrich),
            handover: or(self.handover, default.handover),
        }
    }
}

fn set(limit: &mut usize, value: Option<u64>) {
    if let Some(value) = value {
        *limit = usize::try_from(value).unwrap_or(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::slot::Slot;

    fn limits(text: &str) -> Limits {
        let config = Config::parse(Path::new("host.toml"), &format!("[plugins.sampler.limits]\n{text}")).unwrap();
        config.plugins.get(&Slot::Sampler).unwrap().limits.limits()
    }

    #[test]
    fn without_a_word_the_defaults_hold() {
        assert_eq!(limits(""), Limits { quarantine: limits("").quarantine, ..Limits::default() });
    }

    #[test]
    fn every_limit_can_be_set() {
        let text = "deadlines = { bind = \"2s\", decode = \"1ms\", decide = \"2ms\", tune = \"3ms\", enrich = \"4ms\", handover = \"5ms\" }
            memory_bytes = \"1MiB\"\nrecycle_bytes = 2\ntable_elements = 3\noutput_bytes = 4\noutput_rows = 5\nstate_bytes = 6
            host_calls = 7\nlog_lines_per_second = 8\n";
        let ms = Duration::from_millis;
        let deadlines = Deadlines { bind: ms(2000), decode: ms(1), decide: ms(2), tune: ms(3), enrich: ms(4), handover: ms(5) };
        let expected = Limits {
            deadlines,
            memory_bytes: 1 << 20,
            recycle_bytes: 2,
            table_elements: 3,
            output_bytes: 4,
            output_rows: 5,
            state_bytes: 6,
            host_calls: 7,
            log_lines_per_second: 8,
            ..Limits::default()
        };
        assert_eq!(limits(text), expected);
    }

    #[test]
    fn one_deadline_for_all_calls_gives_way_to_those_that_are_named() {
        let deadlines = limits("deadline = \"7ms\"\ndeadlines = { tune = \"3ms\" }").deadlines;
        let ms = Duration::from_millis;
        assert_eq!((deadlines.decode, deadlines.tune, deadlines.enrich), (ms(7), ms(3), ms(7)));
        assert_eq!(deadlines.bind, Deadlines::default().bind, "a load is not a call");
    }

    #[test]
    fn what_a_slot_says_goes_before_what_all_have() {
        let text = "[limits]\nmemory_bytes = \"8MiB\"\nrecycle_bytes = \"1MiB\"\nhost_calls = 9\n[plugins.sampler.limits]\nhost_calls = 7";
        let config = Config::parse(Path::new("host.toml"), text).unwrap();
        let slot = config.plugins.get(&Slot::Sampler).unwrap().limits;
        let limits = slot.over(&config.limits).limits();
        assert_eq!((limits.memory_bytes, limits.recycle_bytes, limits.host_calls), (8 << 20, 1 << 20, 7));
        let larger = LimitsConfig { memory_bytes: Some(Size(32 << 20)), ..slot }.over(&config.limits).limits();
        assert_eq!(larger.recycle_bytes, 16 << 20);
    }

    #[test]
    fn an_hour_is_shortened() {
        assert_eq!(limits("deadline = \"1h\"").deadlines.decode, host_plugin::limits::LONGEST_DEADLINE);
    }
}
