//! Unix time as people write it. UTC, proleptic Gregorian calendar.

/// Days from 1970-01-01 to a date; None before that day or where the year is out of reach.
pub(crate) fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years begin in March, so that the leap day is the last one.
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let days = era.checked_mul(146_097)? + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    days.checked_sub(719_468)
}

/// Year, month and day of a day since 1970-01-01.
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + carry, month, day)
}

/// Appends RFC 3339 with nanoseconds: `2026-11-23T03:25:20.123456789Z`.
pub(crate) fn write_rfc3339(buf: &mut Vec<u8>, unix_ns: u64) {
    let seconds = unix_ns / 1_000_000_000;
    let (year, month, day) = civil_from_days(seconds / 86_400);
    digits::<4>(buf, year);
    buf.push(b'-');
    digits::<2>(buf, month);
    buf.push(b'-');
    digits::<2>(buf, day);
    buf.push(b'T');
    write_clock(buf, seconds);
    buf.push(b'.');
    digits::<9>(buf, unix_ns % 1_000_000_000);
    buf.push(b'Z');
}

/// Appends the time of day: `03:25:20`.
pub(crate) fn write_clock(buf: &mut Vec<u8>, seconds: u64) {
    digits::<2>(buf, seconds / 3600 % 24);
    buf.push(b':');
    digits::<2>(buf, seconds / 60 % 60);
    buf.push(b':');
    digits::<2>(buf, seconds % 60);
}

/// Appends exactly N digits.
pub(crate) fn digits<const N: usize>(buf: &mut Vec<u8>, mut value: u64) {
    let mut text = [b'0'; N];
    for place in text.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
    buf.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc3339(unix_ns: u64) -> String {
        let mut buf = Vec::new();
        write_rfc3339(&mut buf, unix_ns);
        String::from_utf8(buf).unwrap()
    }

    #[test]
    fn known_moments_read_as_they_should() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(951_782_399_000_000_001), "2000-02-28T23:59:59.000000001Z");
        assert_eq!(rfc3339(951_782_400_000_000_000), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(rfc3339(1_795_404_320_123_456_789), "2026-11-23T03:25:20.123456789Z");
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for days in 0..146_097 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), Some(days));
        }
    }
}
