//! The time of day.

use std::time::SystemTime;

/// Returns Unix time, nanoseconds; 0 if the machine's clock is before 1970.
#[must_use]
pub fn unix_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
