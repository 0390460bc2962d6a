//! Unix time in human-readable form, in UTC.

use std::io::Write as _;

use chrono::{DateTime, Utc};

/// Appends RFC 3339 with nanoseconds: `2026-11-23T03:25:20.123456789Z`.
pub(crate) fn write_rfc3339(buf: &mut Vec<u8>, unix_ns: u64) {
    append(buf, unix_ns, "%Y-%m-%dT%H:%M:%S%.9fZ");
}

/// Appends the time of day to the millisecond: `03:25:20.123`.
pub(crate) fn write_clock(buf: &mut Vec<u8>, unix_ns: u64) {
    append(buf, unix_ns, "%H:%M:%S%.3f");
}

/// Appends a time in a format of `chrono::format::strftime`. Times after the year 2262 are written as its end.
fn append(buf: &mut Vec<u8>, unix_ns: u64, format: &str) {
    let time: DateTime<Utc> = DateTime::from_timestamp_nanos(i64::try_from(unix_ns).unwrap_or(i64::MAX));
    // Writing to a vector cannot fail, and the formats above have no item that can.
    let _ = write!(buf, "{}", time.format(format));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: fn(&mut Vec<u8>, u64), unix_ns: u64) -> String {
        let mut buf = Vec::new();
        write(&mut buf, unix_ns);
        String::from_utf8(buf).unwrap()
    }

    #[test]
    fn known_moments_read_as_they_should() {
        let rfc3339 = |unix_ns| written(write_rfc3339, unix_ns);
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(951_782_399_000_000_001), "2000-02-28T23:59:59.000000001Z");
        assert_eq!(rfc3339(951_782_400_000_000_000), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(rfc3339(1_795_404_320_123_456_789), "2026-11-23T03:25:20.123456789Z");
        assert_eq!(rfc3339(u64::MAX), "2262-04-11T23:47:16.854775807Z");
    }

    #[test]
    fn the_time_of_day_has_three_digits_of_a_second_and_is_not_rounded_up() {
        assert_eq!(written(write_clock, 0), "00:00:00.000");
        assert_eq!(written(write_clock, 1_795_404_320_123_999_999), "03:25:20.123");
    }
}
