//! A chunked body: sizes in hexadecimal, each followed by that many bytes.

use plugin_sdk::scan::line;
use serde::{Deserialize, Serialize};

/// The position in a chunked body.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Chunks {
    /// At the line with a size.
    #[default]
    Size,
    /// In a chunk: number of its remaining bytes, with its line end.
    Data(u64),
    /// At the fields that may follow the last chunk.
    Trailer,
}

/// The outcome of reading some bytes of a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// This many bytes are consumed, and the body continues.
    Continue(usize),
    /// The body ends behind this many bytes.
    End(usize),
    /// The bytes are not a chunked body.
    Malformed,
}

/// Maximum length of a line with a size, or of a trailer.
const MAX_LINE: usize = 4096;

// === impl Chunks ===

impl Chunks {
    /// Reads these bytes. `size` counts the bytes of the body. An incomplete line is left for the next call; of a chunk all bytes are
    /// consumed, also those that have not come yet: [`gone_by`](Self::gone_by) follows them.
    pub(crate) fn advance(&mut self, bytes: &[u8], size: &mut u64) -> Step {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match *self {
                Self::Data(left) => {
                    let there = left.min(rest.len() as u64);
                    *self = Self::Data(left - there);
                    at += there as usize;
                    if left > there {
                        let asked = (left - there).min(1 << 30);
                        *self = Self::Data(left - there - asked);
                        return Step::Continue(at + asked as usize);
                    }
                    *self = Self::Size;
                }
                Self::Size => {
                    let Some((text, len)) = line(rest) else { return too_long(rest, at) };
                    let Some(chunk) = parse_hexadecimal(text) else { return Step::Malformed };
                    *size = size.saturating_add(chunk);
                    *self = if chunk == 0 { Self::Trailer } else { Self::Data(chunk.saturating_add(2)) };
                    at += len;
                }
                Self::Trailer => {
                    let Some((text, len)) = line(rest) else { return too_long(rest, at) };
                    at += len;
                    if text.is_empty() {
                        return Step::End(at);
                    }
                }
            }
        }
    }

    /// Skips bytes that cannot be read. Returns whether all of them are within this chunk: the bytes behind it are unknown.
    pub(crate) const fn unread(&mut self, bytes: u64) -> bool {
        match *self {
            Self::Data(left) if bytes <= left => {
                *self = if bytes == left { Self::Size } else { Self::Data(left - bytes) };
                true
            }
            _ => false,
        }
    }

    /// Accounts for the bytes that were consumed beyond a call, once they have passed.
    pub(crate) fn gone_by(&mut self) {
        if *self == Self::Data(0) {
            *self = Self::Size;
        }
    }
}

const fn too_long(rest: &[u8], at: usize) -> Step {
    if rest.len() > MAX_LINE { Step::Malformed } else { Step::Continue(at) }
}

/// Parses a size, up to an extension; returns None if it is invalid, or exceeds a u64.
fn parse_hexadecimal(text: &[u8]) -> Option<u64> {
    let mut number = 0;
    for (place, &byte) in text.iter().enumerate() {
        match char::from(byte).to_digit(16) {
            Some(digit) if number >> 60 == 0 => number = number << 4 | u64::from(digit),
            None if place > 0 && matches!(byte, b';' | b' ' | b'\t') => return Some(number),
            _ => return None,
        }
    }
    (!text.is_empty()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{Chunks, Step};

    #[test]
    fn a_body_is_the_same_in_one_piece_and_in_any_two() {
        let body = b"5\r\nhello\r\n1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nA: b\r\n\r\nNEXT";
        let (mut whole, mut size) = (Chunks::default(), 0);
        assert_eq!(whole.advance(body, &mut size), Step::End(body.len() - 4));
        assert_eq!(size, 31);
        for cut in 1..body.len() - 4 {
            let (mut chunks, mut size) = (Chunks::default(), 0);
            let Step::Continue(done) = chunks.advance(&body[..cut], &mut size) else { panic!("{cut}") };
            if done > cut {
                chunks.gone_by();
            }
            let Step::End(more) = chunks.advance(&body[done..], &mut size) else { panic!("{cut}") };
            assert_eq!((done + more, size), (body.len() - 4, 31), "{cut}");
        }
    }

    #[test]
    fn sizes_that_no_number_holds_and_lines_without_end_are_refused() {
        for body in ["fffffffffffffffff\r\n", "-1\r\n", "\r\n", "xyz\r\n", &"1".repeat(5000)] {
            assert_eq!(Chunks::default().advance(body.as_bytes(), &mut 0), Step::Malformed, "{body:?}");
        }
        let (mut chunks, mut size) = (Chunks::default(), 7);
        assert!(matches!(chunks.advance(b"ffffffffffffffff\r\nx", &mut size), Step::Continue(asked) if asked > 1 << 29));
        assert_eq!(size, u64::MAX);
    }
}
