//! Looking for a byte, eight at a time: a loop in Wasm pays for each turn.

/// One in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The high bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Where the first such byte is.
///
/// ```
/// assert_eq!(plugin_sdk::scan::find(b"GET / HTTP/1.1\r\n", b'\n'), Some(15));
/// assert_eq!(plugin_sdk::scan::find(b"GET", b' '), None);
/// ```
#[must_use]
#[inline]
pub fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    let pattern = u64::from(byte) * ONES;
    let mut rest = bytes;
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        if let Some(at) = first_zero(u64::from_le_bytes(*eight) ^ pattern) {
            return Some(bytes.len() - rest.len() + at);
        }
        rest = behind;
    }
    let done = bytes.len() - rest.len();
    let word = match bytes.last_chunk::<8>() {
        // Those that were seen already are shifted out, and ones come in that are never the byte.
        Some(last) if !rest.is_empty() => {
            let seen = 64 - 8 * rest.len() as u32;
            (u64::from_le_bytes(*last) ^ pattern) >> seen | u64::MAX.checked_shl(8 * rest.len() as u32).unwrap_or(0)
        }
        Some(_) => return None,
        None => return rest.iter().position(|&other| other == byte),
    };
    first_zero(word).map(|at| done + at)
}

/// The line that `bytes` begin with, without its end (LF, or CR LF), and its length with it; None if it does not end.
///
/// ```
/// assert_eq!(plugin_sdk::scan::line(b"+OK\r\n+"), Some((b"+OK".as_slice(), 5)));
/// assert_eq!(plugin_sdk::scan::line(b"+OK\r"), None);
/// ```
#[must_use]
#[inline]
pub fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = find(bytes, b'\n')?;
    let line = bytes.get(..end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
}

/// Which byte of a word is the first that is 0.
#[inline(always)]
fn first_zero(word: u64) -> Option<usize> {
    let zeros = word.wrapping_sub(ONES) & !word & HIGH;
    (zeros != 0).then_some(zeros.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_first_is_found_wherever_it_is() {
        for len in 0..40 {
            for at in 0..len {
                let mut bytes = vec![b'x'; len];
                bytes[at..].fill(b'\n');
                assert_eq!(find(&bytes, b'\n'), Some(at), "{at} of {len}");
                bytes[at..].fill(b'\x0b');
                assert_eq!(find(&bytes, b'\n'), None, "{len}");
                assert_eq!(find(&bytes, 0), None);
                assert_eq!(find(&bytes, 0xff), None);
            }
        }
    }
}
