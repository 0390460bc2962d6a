//! Names: labels, and pointers to earlier labels.

/// Why a message, or a name in it, cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParseError {
    /// The question exceeds the captured bytes.
    Truncated,
    /// The bytes are not a message.
    Malformed,
}

/// Maximum number of bytes of a name, its lengths included.
const MAX_NAME: usize = 255;

/// Appends the name at `at` in lower case; returns the offset behind it. The root is `.`, and bytes that are not printable are `\DDD`, as
/// in zone files.
#[inline(always)]
pub(crate) fn read(bytes: &[u8], at: usize, text: &mut Vec<u8>) -> Result<usize, ParseError> {
    let (mut at, mut part, mut behind, mut length) = (at, at, None, 0);
    let start = text.len();
    loop {
        match read_label(bytes, at)? {
            Label::End => break,
            Label::Pointer(to) => {
                behind.get_or_insert(at + 2);
                // Each pointer must lead to before the part that it ends, so that the chain terminates.
                if to >= part {
                    return Err(ParseError::Malformed);
                }
                (at, part) = (to, to);
            }
            Label::Text(label) => {
                length += label.len() + 1;
                if length >= MAX_NAME {
                    return Err(ParseError::Malformed);
                }
                if text.len() > start {
                    text.push(b'.');
                }
                append_label(label, text);
                at += 1 + label.len();
            }
        }
    }
    if text.len() == start {
        text.push(b'.');
    }
    Ok(behind.unwrap_or(at + 1))
}

/// Returns the offset behind the name at `at` without reading it; None if it exceeds the bytes, or is malformed.
pub(crate) fn skip(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match read_label(bytes, at).ok()? {
            Label::End => return Some(at + 1),
            Label::Pointer(_) => return Some(at + 2),
            Label::Text(label) => at += 1 + label.len(),
        }
    }
}

enum Label<'a> {
    End,
    Pointer(usize),
    Text(&'a [u8]),
}

#[inline]
fn read_label(bytes: &[u8], at: usize) -> Result<Label<'_>, ParseError> {
    let (&length, rest) = bytes.get(at..).and_then(<[u8]>::split_first).ok_or(ParseError::Truncated)?;
    match length {
        0 => Ok(Label::End),
        1..=63 => rest.get(..usize::from(length)).map(Label::Text).ok_or(ParseError::Truncated),
        192.. => {
            let &low = rest.first().ok_or(ParseError::Truncated)?;
            Ok(Label::Pointer(usize::from(length & 63) << 8 | usize::from(low)))
        }
        _ => Err(ParseError::Malformed),
    }
}

/// Appends a label, eight bytes at a time while they need no escape.
#[inline]
fn append_label(label: &[u8], text: &mut Vec<u8>) {
    let mut rest = label;
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        match lower_case(u64::from_le_bytes(*eight)) {
            Some(small) => text.extend_from_slice(&small.to_le_bytes()),
            None => eight.iter().for_each(|&byte| append_byte(byte, text)),
        }
        rest = behind;
    }
    let word = rest.iter().rev().fold(LETTERS, |word, &byte| word << 8 | u64::from(byte));
    match lower_case(word) {
        Some(small) => {
            text.extend_from_slice(&small.to_le_bytes());
            text.truncate(text.len() - 8 + rest.len());
        }
        None => rest.iter().for_each(|&byte| append_byte(byte, text)),
    }
}

/// A word filled with a letter.
const LETTERS: u64 = u64::from_le_bytes(*b"aaaaaaaa");

/// Returns eight bytes in lower case; None if one of them needs an escape.
#[inline(always)]
const fn lower_case(word: u64) -> Option<u64> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    const fn all(byte: u8) -> u64 {
        ONES * byte as u64
    }
    /// Returns a word with a high bit set in some byte if one of these bytes equals `byte`.
    const fn has(word: u64, byte: u8) -> u64 {
        let zero_if = word ^ all(byte);
        zero_if.wrapping_sub(ONES) & !zero_if
    }
    // Without high bits, a sum does not carry into the next byte.
    let low = word & !HIGH;
    let below = !(low + all(0x80 - b'!'));
    let above = low + all(0x7f - b'~');
    if (word | below | above | has(word, b'.') | has(word, b'\\') | has(word, b'"')) & HIGH != 0 {
        return None;
    }
    let capital = (low + all(0x80 - b'A')) & !(low + all(0x7f - b'Z')) & HIGH;
    Some(word | capital >> 2)
}

fn append_byte(byte: u8, text: &mut Vec<u8>) {
    match byte {
        b'A'..=b'Z' => text.push(byte.to_ascii_lowercase()),
        b'.' | b'\\' | b'"' => text.extend([b'\\', byte]),
        b'!'..=b'~' => text.push(byte),
        _ => text.extend([b'\\', b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10]),
    }
}

#[cfg(test)]
mod tests {
    use super::{ParseError, append_byte, append_label, read, skip};

    #[test]
    fn eight_bytes_at_a_time_are_as_one_by_one() {
        for byte in 0..=u8::MAX {
            for place in 0..19 {
                let mut label = *b"aZ09-_xYaZ09-_xYaZ0";
                label[place] = byte;
                let (mut whole, mut each) = (Vec::new(), Vec::new());
                append_label(&label, &mut whole);
                label.iter().for_each(|&byte| append_byte(byte, &mut each));
                assert_eq!(whole, each, "{byte} at {place}");
            }
        }
    }

    fn name(bytes: &[u8], at: usize) -> Result<(String, usize), ParseError> {
        let mut text = Vec::new();
        let behind = read(bytes, at, &mut text)?;
        assert_eq!(skip(bytes, at), Some(behind));
        Ok((String::from_utf8(text).unwrap(), behind))
    }

    #[test]
    fn labels_pointers_and_what_is_not_printable() {
        let bytes = b"____________\x07example\x03com\0\x03wWw\xc0\x0c\0\x05a.\x00\\ ";
        assert_eq!(name(bytes, 12), Ok(("example.com".into(), 25)));
        assert_eq!(name(bytes, 25), Ok(("www.example.com".into(), 31)));
        assert_eq!(name(bytes, 31), Ok((".".into(), 32)));
        assert_eq!(name(&[bytes.as_slice(), b"\0"].concat(), 32), Ok(("a\\.\\000\\\\\\032".into(), 39)));
    }

    #[test]
    fn loops_forward_pointers_and_names_without_end_are_none() {
        for bad in [&b"\xc0\x00"[..], b"\xc0\x02\x01a\0", b"\x01a\xc0\x00", b"\x01a\xc0\x02", b"\x40a", b"\x80a"] {
            assert_eq!(read(bad, 0, &mut Vec::new()), Err(ParseError::Malformed), "{bad:?}");
        }
        let long = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4);
        assert_eq!(read(&[&long[..], b"\0"].concat(), 0, &mut Vec::new()), Err(ParseError::Malformed));
        assert_eq!(read(&long[..128], 0, &mut Vec::new()), Err(ParseError::Truncated));
        // Two pointers that point at each other, and a chain that goes back as far as it can.
        assert_eq!(read(b"\x01a\xc0\x04\xc0\x02", 4, &mut Vec::new()), Err(ParseError::Malformed));
        let chain: Vec<u8> = std::iter::once(0)
            .chain((0..8000).flat_map(|n| {
                let to = if n == 0 { 0 } else { 1 + (n - 1) * 2 };
                [0xc0 | (to >> 8) as u8, to as u8]
            }))
            .collect();
        let mut text = Vec::new();
        assert_eq!(read(&chain, 15_999, &mut text), Ok(16_001));
        assert_eq!(text, b".");
    }
}
