//! The limits of a plugin, converted between the sandbox's form and that of the control socket and of repros.

use std::time::Duration;

use host_api::{SlotDeadlines, SlotLimits, SlotQuarantine};
use host_plugin::{Deadlines, Limits, Quarantine};

/// Converts limits to the form of the control socket, with times in whole microseconds.
#[must_use]
pub fn to_slot_limits(limits: &Limits) -> SlotLimits {
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let Deadlines { bind, decode, decide, tune, enrich, handover } = &limits.deadlines;
    SlotLimits {
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

/// Converts limits back. Each is capped at the maximum that the host can hold, because a file may claim anything.
#[must_use]
pub fn from_slot_limits(limits: &SlotLimits) -> Limits {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let SlotDeadlines { bind, decode, decide, tune, enrich, handover } = limits.deadlines_us;
    Limits {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_come_back_as_they_went() {
        let limits = Limits { host_calls: 7, output_rows: 9, ..Limits::default() };
        let slot: SlotLimits = serde_json::from_str(&serde_json::to_string(&to_slot_limits(&limits)).unwrap()).unwrap();
        assert_eq!(from_slot_limits(&slot), limits);
        assert_eq!(slot.quarantine.unwrap().to_string(), "10 faults within 60s");
    }
}
