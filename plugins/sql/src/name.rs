//! The bytes of names and keywords.

use plugin_sdk::scan::{HIGH, ONES, eight};

/// Whether a name may begin with this byte: both servers take bytes beyond ASCII as letters.
#[inline]
pub(crate) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// Returns the number of leading bytes that may continue a name: letters, digits, `_`, `$` and bytes beyond ASCII; eight at a time.
#[inline(always)]
pub(crate) fn word_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let rest = bytes.get(length..).unwrap_or_default();
        let held = outside_words(eight(rest)).trailing_zeros() as usize / 8;
        length += held;
        if held < 8 {
            return length;
        }
    }
}

/// Returns the high bit of each byte that cannot continue a name. Each byte is independent: the sum of its lower seven bits and a number
/// below 128 carries only into its own high bit.
#[inline(always)]
const fn outside_words(word: u64) -> u64 {
    /// Returns the high bit of each byte whose lower seven bits are at least `least`.
    const fn at_least(low: u64, least: u8) -> u64 {
        low + ONES * (128 - least as u64)
    }
    let low = word & !HIGH;
    let letter = low | (ONES * 0x20);
    let letters = at_least(letter, b'a') & !at_least(letter, b'z' + 1);
    let digits = at_least(low, b'0') & !at_least(low, b'9' + 1);
    let line = !at_least(low ^ (ONES * b'_' as u64), 1);
    let dollar = !at_least(low ^ (ONES * b'$' as u64), 1);
    !(letters | digits | line | dollar | word) & HIGH
}

#[cfg(test)]
mod tests {
    use super::{is_word, word_length};

    #[test]
    fn a_name_goes_on_with_letters_digits_line_dollar_and_what_is_not_ascii() {
        for byte in 0..=u8::MAX {
            let is = is_word(byte) || byte.is_ascii_digit() || byte == b'$';
            for place in 0..20 {
                let mut bytes = [b'x'; 20];
                bytes[place] = byte;
                assert_eq!(word_length(&bytes), if is { 20 } else { place }, "{byte} at {place}");
            }
        }
    }
}
