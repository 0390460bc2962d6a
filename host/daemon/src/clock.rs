//! Times in the units of the control socket and of the exporter.

use std::time::Duration;

pub(crate) use host_model::unix_ns;

/// Unix time in milliseconds.
pub(crate) fn unix_ms() -> u64 {
    unix_ns() / 1_000_000
}

/// A duration in milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
