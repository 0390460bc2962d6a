//! Builds a column of text or bytes.

use std::fmt;

use crate::scan::{HIGH, ONES, append};
use crate::wit::{Column, Values};

/// A column of text under construction, row by row: parts are added to the row, then the row ends.
///
/// ```
/// let mut text = plugin_sdk::Text::with_capacity(2, 16);
/// text.push("first");
/// text.str("pid ").number(7).end();
/// let column = text.finish();
/// ```
#[derive(Debug, Clone)]
pub struct Text {
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

// === impl Text ===

impl Text {
    /// Returns an empty column with capacity for this many rows and bytes.
    #[must_use]
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, bytes: Vec::with_capacity(bytes) }
    }

    /// Adds a complete row.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.str(text).end();
    }

    /// Ends the row; later parts belong to the next one.
    #[inline(always)]
    pub fn end(&mut self) {
        self.offsets.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    /// Adds text to the row.
    #[inline(always)]
    pub fn str(&mut self, text: &str) -> &mut Self {
        append(&mut self.bytes, text.as_bytes());
        self
    }

    /// Adds a number to the row.
    pub fn number(&mut self, number: u64) -> &mut Self {
        let mut digits = [0_u8; 20];
        let mut rest = number;
        let mut length = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            length += 1;
            if rest == 0 {
                break;
            }
        }
        append(&mut self.bytes, digits.get(digits.len() - length..).unwrap_or_default());
        self
    }

    /// Adds text as the kernel wrote it: up to the first NUL, with U+FFFD for invalid UTF-8.
    #[inline(always)]
    pub fn chars(&mut self, chars: &[u8]) -> &mut Self {
        // Nearly all of it is ASCII: copied eight bytes at a time, until a NUL or another byte occurs.
        let mut rest = chars;
        while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
            let ascii = self.word(u64::from_le_bytes(*eight));
            if ascii < 8 {
                return self.behind_ascii(rest.get(ascii..).unwrap_or_default());
            }
            rest = behind;
        }
        let ascii = match chars.last_chunk::<8>() {
            _ if rest.is_empty() => 0,
            // The last eight bytes, without those that were copied: zeros take their place, and zero is the end.
            Some(last) => self.word(u64::from_le_bytes(*last) >> (64 - 8 * rest.len())),
            None => self.word(rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))),
        };
        self.behind_ascii(rest.get(ascii..).unwrap_or_default())
    }

    /// Returns the column.
    #[must_use]
    pub fn finish(self) -> Column {
        Column::Text(self.values())
    }

    /// Returns the values, for a column of bytes.
    #[must_use]
    pub fn values(self) -> Values {
        Values { offsets: self.offsets, bytes: self.bytes }
    }

    /// Adds the bytes of a word up to the first that is NUL or not ASCII; returns their number.
    #[inline(always)]
    fn word(&mut self, word: u64) -> usize {
        let stop = (word.wrapping_sub(ONES) | word) & HIGH;
        let ascii = (stop.trailing_zeros() / 8) as usize;
        self.bytes.extend_from_slice(&word.to_le_bytes());
        self.bytes.truncate(self.bytes.len() - 8 + ascii);
        ascii
    }

    /// Adds the rest behind ASCII: empty, a NUL, or other bytes.
    #[inline(always)]
    fn behind_ascii(&mut self, rest: &[u8]) -> &mut Self {
        match rest.first() {
            None | Some(0) => self,
            Some(_) => self.lossy(rest),
        }
    }

    #[cold]
    fn lossy(&mut self, rest: &[u8]) -> &mut Self {
        let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
        for chunk in rest.get(..end).unwrap_or_default().utf8_chunks() {
            self.str(chunk.valid());
            if !chunk.invalid().is_empty() {
                self.str("\u{fffd}");
            }
        }
        self
    }

    /// Adds bytes to the row of a column of bytes.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }
}

/// `write!(text, ..)` adds to the row without an allocation of its own.
impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Text;
    use crate::testing::texts;

    /// Returns the text for one piece of kernel text.
    fn chars(bytes: &[u8]) -> String {
        let mut text = Text::with_capacity(1, 0);
        text.chars(bytes).end();
        texts(&text.finish()).remove(0)
    }

    #[test]
    fn kernel_text_ends_at_the_first_nul_wherever_it_is() {
        for length in 0..40 {
            let mut bytes = vec![b'x'; length];
            bytes.extend_from_slice(b"\0behind the end");
            assert_eq!(chars(&bytes), "x".repeat(length));
            assert_eq!(chars(&bytes[..length]), "x".repeat(length), "no NUL at all");
        }
    }

    #[test]
    fn what_is_not_utf8_is_replaced_and_the_rest_stays() {
        assert_eq!(chars("größer als gedacht".as_bytes()), "größer als gedacht");
        assert_eq!(chars(b"01234567\xff9\0\xfe"), "01234567\u{fffd}9");
        assert_eq!(chars(b"\xc3"), "\u{fffd}");
        assert_eq!(chars(b"1234567\x80\x01234567"), "1234567\u{fffd}\u{1}234567");
    }

    #[test]
    fn rows_do_not_run_into_each_other() {
        let mut text = Text::with_capacity(3, 0);
        text.push("a");
        text.str("pid ").number(u64::MAX).end();
        text.push("");
        text.number(0).end();
        assert_eq!(texts(&text.finish()), ["a", "pid 18446744073709551615", "", "0"]);
    }
}
