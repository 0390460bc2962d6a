//! Words and numbers of lines.

use plugin_sdk::scan::find;

/// The bytes are not of this protocol, or the position in it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Maximum length of a value: a server refuses larger ones, and reads the bytes behind the line as commands. It also keeps offsets within
/// 32 bits.
pub(crate) const MAX_LENGTH: u32 = i32::MAX as u32 - 2;

/// Maximum length of a line; a `get` may be longer, but its keys are not stored.
pub(crate) const MAX_LINE: usize = 8192;

/// Returns the words of a line.
#[inline(always)]
pub(crate) const fn words(line: &[u8]) -> Words<'_> {
    Words(line)
}

/// The rest of a line, as words.
#[derive(Debug, Clone)]
pub(crate) struct Words<'a>(&'a [u8]);

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline(always)]
    fn next(&mut self) -> Option<&'a [u8]> {
        while let [b' ', rest @ ..] = self.0 {
            self.0 = rest;
        }
        let end = find(self.0, b' ').unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// Parses a length; returns None if it is invalid, or one that a server refuses.
#[inline]
pub(crate) fn parse_length(word: &[u8]) -> Option<u32> {
    let digit = |value: u32, &byte: &u8| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u32::from(byte - b'0')),
        _ => None,
    };
    let value = if word.is_empty() { None } else { word.iter().try_fold(0, digit) };
    value.filter(|length| *length <= MAX_LENGTH)
}

/// Hashes the opaque of a meta command, which is the word among `words` that begins with `O`; 0 without one.
pub(crate) fn hash_opaque<'a>(words: impl Iterator<Item = &'a [u8]>) -> u32 {
    let Some(word) = words.into_iter().find(|word| word.first() == Some(&b'O')) else { return 0 };
    word.iter().fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)).max(1)
}

#[cfg(test)]
mod tests {
    use super::{hash_opaque, parse_length, words};

    /// CVE-2026-45686: the largest number, and then two more bytes.
    #[test]
    fn lengths_that_a_server_refuses_are_none() {
        assert_eq!((parse_length(b"0"), parse_length(b"2147483645")), (Some(0), Some(2_147_483_645)));
        for word in
            ["", "-1", "2147483646", "2147483647", "4294967295", "9223372036854775807", "18446744073709551616", "1e3", "+1"]
        {
            assert_eq!(parse_length(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn opaques_are_told_apart() {
        let of = |line: &str| hash_opaque(words(line.as_bytes()));
        assert_eq!(of("mg key v q O123"), of("VA 3 O123"));
        assert_ne!(of("O123"), of("O124"));
        assert_eq!(of("mg key v"), 0);
    }
}
