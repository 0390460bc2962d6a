//! The time of day.

use std::time::SystemTime;

/// Unix time, nanoseconds; 0 on a machine whose clock stands before 1970.
#[must_use]
pub fn unix_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
