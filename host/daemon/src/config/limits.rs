//! Limits of a plugin: each limit of a slot that is not the default.

use std::time::Duration;

use host_plugin::limits::{
    LARGEST_MEMORY, LARGEST_OUTPUT, LARGEST_STATE, LONGEST_DEADLINE, MOST_ELEMENTS, MOST_HOST_CALLS, MOST_LOG_LINES, MOST_ROWS,
};
use host_plugin::{Deadlines, Limits};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, Size, Span};

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
    /// Rows that one run may become, of a schema with up to 16 fields; with more fields fewer. Default 262144.
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
    /// Returns the limits set here, and those of `below` for the rest.
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
            // If a slot sets its own memory, the mark from `below`, set for another size, does not apply.
            recycle_bytes: self.recycle_bytes.or(below.recycle_bytes.filter(|_| self.memory_bytes.is_none())),
            table_elements: self.table_elements.or(below.table_elements),
            output_bytes: self.output_bytes.or(below.output_bytes),
            output_rows: self.output_rows.or(below.output_rows),
            state_bytes: self.state_bytes.or(below.state_bytes),
            host_calls: self.host_calls.or(below.host_calls),
            log_lines_per_second: self.log_lines_per_second.or(below.log_lines_per_second),
        }
    }

    /// Refuses limits that are more than the host can hold, or too small for any plugin. `table` is the table's name.
    pub(super) fn check(&self, table: &str) -> Result<(), ConfigError> {
        let wrong = |key: &str, message: String| Err(ConfigError::Value { key: format!("{table}.{key}"), message });
        let bytes = |size: Option<Size>| size.map(|size| size.0);
        let count = u64::from;
        let sizes = [
            ("memory_bytes", bytes(self.memory_bytes), 1, LARGEST_MEMORY as u64, true),
            ("table_elements", self.table_elements.map(count), 0, MOST_ELEMENTS as u64, false),
            ("output_bytes", bytes(self.output_bytes), 1, LARGEST_OUTPUT as u64, true),
            ("output_rows", self.output_rows.map(count), 1, MOST_ROWS as u64, false),
            ("state_bytes", bytes(self.state_bytes), 0, LARGEST_STATE as u64, true),
            ("host_calls", self.host_calls.map(count), 0, MOST_HOST_CALLS.into(), false),
            ("log_lines_per_second", self.log_lines_per_second.map(count), 0, MOST_LOG_LINES.into(), false),
        ];
        for (key, value, least, most, of_bytes) in sizes {
            let words = |number: u64| if of_bytes { Size(number).to_string() } else { number.to_string() };
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                return wrong(key, format!("{} is not possible; write {} to {}", words(value), words(least), words(most)));
            }
        }
        let DeadlinesConfig { bind, decode, decide, tune, enrich, handover } = self.deadlines;
        let spans = [
            ("deadline", self.deadline),
            ("deadlines.bind", bind),
            ("deadlines.decode", decode),
            ("deadlines.decide", decide),
            ("deadlines.tune", tune),
            ("deadlines.enrich", enrich),
            ("deadlines.handover", handover),
        ];
        for (key, span) in spans {
            if let Some(span) = span.filter(|span| span.0.is_zero() || span.0 > LONGEST_DEADLINE) {
                return wrong(key, format!("{:?} is not possible; write more than 0 and at most {LONGEST_DEADLINE:?}", span.0));
            }
        }
        Ok(())
    }

    /// Returns the effective limits: those set here, and the defaults for the rest; none beyond what the host can hold.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits { deadlines: self.deadlines.over(self.deadline), ..Limits::default() };
        set(&mut limits.memory_bytes, self.memory_bytes.map(|size| size.0));
        // If only the memory is set, the mark stays at half of it, as in the defaults.
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

    use host_api::Slot;

    use super::*;
    use crate::config::Config;

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
    fn what_no_host_can_hold_is_refused_with_what_it_can() {
        let refused = |text: &str| Config::parse(Path::new("host.toml"), text).unwrap_err().to_string();
        let memory = refused("[limits]\nmemory_bytes = \"64GiB\"");
        assert_eq!(memory, "limits.memory_bytes: 64GiB is not possible; write 1B to 4GiB");
        let slot = refused("[plugins.sampler.limits]\ndeadlines = { decide = \"1h\" }");
        assert_eq!(slot, "plugins.sampler.limits.deadlines.decide: 3600s is not possible; write more than 0 and at most 10s");
        for text in [
            "deadline = \"0ms\"",
            "memory_bytes = 0",
            "output_bytes = \"2GiB\"",
            "output_rows = 5000000",
            "state_bytes = \"129MiB\"",
            "host_calls = 10000001",
            "log_lines_per_second = 1001",
            "table_elements = 1000001",
        ] {
            assert!(refused(&format!("[limits]\n{text}")).contains("is not possible"), "{text}");
        }
    }
}
