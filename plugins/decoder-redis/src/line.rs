//! Lines of the protocol: a number behind a type byte, or a word.

use plugin_sdk::scan;

/// The bytes are not of this protocol, or the position in it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Maximum length or count that is accepted: Redis refuses larger ones as well. It also keeps offsets within 32 bits.
pub(crate) const MAX_LENGTH: u32 = i32::MAX as u32;

/// Returns the number on the line that starts with a type byte, and the length of the line; None if its end has not come yet. -1 is "null".
#[inline(always)]
pub(crate) fn parse_number(line: &[u8]) -> Result<Option<(Option<u32>, usize)>, Malformed> {
    // One or two digits: nearly all numbers.
    match *line {
        [_, a @ b'0'..=b'9', b'\r', b'\n', ..] => Ok(Some((Some(u32::from(a - b'0')), 4))),
        [_, a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..] => {
            Ok(Some((Some(u32::from(a - b'0') * 10 + u32::from(b - b'0')), 5)))
        }
        _ => parse_long_number(line),
    }
}

fn parse_long_number(line: &[u8]) -> Result<Option<(Option<u32>, usize)>, Malformed> {
    /// Maximum length of the line: a type byte, the ten digits of [`MAX_LENGTH`], and the line end.
    const LONGEST: usize = 13;
    let Some(end) = line.iter().take(LONGEST).position(|&byte| byte == b'\n') else {
        let digits = line.get(1..).unwrap_or_default();
        let may_become_one = line.len() < LONGEST && digits.iter().all(|byte| b"-\r0123456789".contains(byte));
        return if may_become_one { Ok(None) } else { Err(Malformed) };
    };
    let digits = line.get(1..end).and_then(|digits| digits.strip_suffix(b"\r")).ok_or(Malformed)?;
    if digits == b"-1" {
        return Ok(Some((None, end + 1)));
    }
    let value = digits.iter().try_fold(0_u64, |value, byte| match byte {
        b'0'..=b'9' => Ok(value * 10 + u64::from(byte - b'0')),
        _ => Err(Malformed),
    })?;
    match u32::try_from(value) {
        Ok(value) if value <= MAX_LENGTH && !digits.is_empty() => Ok(Some((Some(value), end + 1))),
        _ => Err(Malformed),
    }
}

/// Returns the length of the line with its line end; None if that has not come yet.
#[inline]
pub(crate) fn end(line: &[u8]) -> Option<usize> {
    scan::find(line, b'\n').map(|place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::{Malformed, parse_number};

    #[test]
    fn numbers_are_read_up_to_what_a_string_may_be_long() {
        assert_eq!(parse_number(b"$0\r\n"), Ok(Some((Some(0), 4))));
        assert_eq!(parse_number(b"*17\r\n$3"), Ok(Some((Some(17), 5))));
        assert_eq!(parse_number(b"$536870912\r\n"), Ok(Some((Some(536_870_912), 12))));
        assert_eq!(parse_number(b"$2147483647\r\n"), Ok(Some((Some(2_147_483_647), 13))));
        assert_eq!(parse_number(b"$-1\r\n"), Ok(Some((None, 5))));
    }

    #[test]
    fn a_line_that_is_not_whole_waits_and_what_is_no_number_is_garbled() {
        for part in ["$", "$1", "$1\r", "$214748364", "$-", "$2147483647\r"] {
            assert_eq!(parse_number(part.as_bytes()), Ok(None), "{part:?}");
        }
        for bad in
            ["$\r\n", "$x\r\n", "$1\n", "$-2\r\n", "$2147483648\r\n", "$18446744073709551616\r\n", "$1 2\r\n", "$0000000000000"]
        {
            assert_eq!(parse_number(bad.as_bytes()), Err(Malformed), "{bad:?}");
        }
    }
}
