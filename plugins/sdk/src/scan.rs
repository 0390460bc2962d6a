//! Searches bytes and copies a few, eight at a time: in Wasm each iteration of a loop has a cost, and a copy whose length the compiler does
//! not know is a call out of the sandbox.

/// One in each byte.
pub const ONES: u64 = 0x0101_0101_0101_0101;
/// The high bit of each byte.
pub const HIGH: u64 = 0x8080_8080_8080_8080;
/// Number of eight-byte steps without a loop: most searched bytes are near.
const STEPS: usize = 4;
/// Maximum length of a copy by eights: at this length it costs as much as the call out of the sandbox.
const FEW: usize = 64;

/// Returns the position of the first such byte.
///
/// ```
/// assert_eq!(plugin_sdk::scan::find(b"GET / HTTP/1.1\r\n", b'\n'), Some(15));
/// assert_eq!(plugin_sdk::scan::find(b"GET", b' '), None);
/// ```
#[must_use]
#[inline(always)]
pub fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    let pattern = u64::from(byte) * ONES;
    let mut rest = bytes;
    for _ in 0..STEPS {
        let Some((eight, behind)) = rest.split_first_chunk::<8>() else {
            let done = bytes.len() - rest.len();
            let word = match bytes.last_chunk::<8>() {
                _ if rest.is_empty() => return None,
                // The bytes that were already searched are shifted out.
                Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
                None => short(bytes),
            };
            // Ones behind the end are never the byte.
            return first_zero((word ^ pattern) | u64::MAX << (8 * rest.len())).map(|at| done + at);
        };
        if let Some(at) = first_zero(u64::from_le_bytes(*eight) ^ pattern) {
            return Some(bytes.len() - rest.len() + at);
        }
        rest = behind;
    }
    Some(8 * STEPS + find_far(rest, byte)).filter(|&at| at < bytes.len())
}

/// Returns the position of the first such byte, or the end.
#[inline(never)]
fn find_far(bytes: &[u8], byte: u8) -> usize {
    let pattern = u64::from(byte) * ONES;
    let (eights, rest) = bytes.as_chunks::<8>();
    let found = |(place, eight): (usize, &[u8; 8])| Some(8 * place + first_zero(u64::from_le_bytes(*eight) ^ pattern)?);
    let far = eights.iter().enumerate().find_map(found);
    far.unwrap_or_else(|| 8 * eights.len() + rest.iter().position(|&other| other == byte).unwrap_or(rest.len()))
}

/// Returns the first line of `bytes`, without its end (LF, or CR LF), and its length with the end; None if it does not end.
///
/// ```
/// assert_eq!(plugin_sdk::scan::line(b"+OK\r\n+"), Some((b"+OK".as_slice(), 5)));
/// assert_eq!(plugin_sdk::scan::line(b"+OK\r"), None);
/// ```
#[must_use]
#[inline(always)]
pub fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = find(bytes, b'\n')?;
    let line = bytes.get(..end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
}

/// Appends bytes, short ones without a call out of the sandbox.
#[inline(always)]
pub fn append(all: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() > FEW {
        all.extend_from_slice(bytes);
        return;
    }
    let (first, last) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>());
    let (Some(first), Some(last)) = (first, last) else {
        return pad(all, short(bytes), bytes.len());
    };
    let mut rest = bytes;
    for _ in 0..FEW / 16 {
        let Some((sixteen, behind)) = rest.split_first_chunk::<16>() else { break };
        all.extend_from_slice(sixteen);
        rest = behind;
    }
    // The rest is written together with bytes before it that are already there.
    match (rest.len(), bytes.last_chunk::<16>()) {
        (0, _) => {}
        (left, Some(sixteen)) => {
            all.truncate(all.len() + left - 16);
            all.extend_from_slice(sixteen);
        }
        (left, None) => {
            all.extend_from_slice(first);
            all.truncate(all.len() + left - 16);
            all.extend_from_slice(last);
        }
    }
}

/// Appends the lowest bytes of a word.
#[inline(always)]
fn pad(all: &mut Vec<u8>, word: u64, len: usize) {
    all.extend_from_slice(&word.to_le_bytes());
    all.truncate(all.len() - 8 + len);
}

/// Whether both are the same bytes.
#[must_use]
#[inline(always)]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        (Some(a), Some(b)) => {
            let eights = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
            a == b && eights.fold(true, |same, (a, b)| same & (u64::from_le_bytes(*a) == u64::from_le_bytes(*b)))
        }
        _ => short(one) == short(other),
    }
}

/// Returns the first eight bytes as a little-endian number; NUL for missing ones.
///
/// ```
/// assert_eq!(plugin_sdk::scan::eight(b"ab"), 0x6261);
/// ```
#[must_use]
#[inline(always)]
pub fn eight(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or_else(|| short(bytes), |eight| u64::from_le_bytes(*eight))
}

/// Returns up to seven bytes as a little-endian number.
#[inline(always)]
fn short(bytes: &[u8]) -> u64 {
    match *bytes {
        [] => 0,
        [a] => a.into(),
        [a, b] => u64::from(a) | u64::from(b) << 8,
        [a, b, c] => u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16,
        _ => {
            let low = bytes.first_chunk().map_or(0, |four| u32::from_le_bytes(*four));
            let high = bytes.last_chunk().map_or(0, |four| u32::from_le_bytes(*four));
            u64::from(low) | u64::from(high) << (8 * (bytes.len() & 7) - 32)
        }
    }
}

/// Returns the index of the first byte of a word that is 0.
#[inline(always)]
fn first_zero(word: u64) -> Option<usize> {
    let zeros = word.wrapping_sub(ONES) & !word & HIGH;
    (zeros != 0).then_some(zeros.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::{append, find, same};

    #[test]
    fn bytes_of_any_number_are_added_and_compared() {
        let bytes: Vec<u8> = (1..=100).collect();
        for len in 0..=100 {
            let mut all = b"before".to_vec();
            append(&mut all, &bytes[..len]);
            assert_eq!(all, [b"before", &bytes[..len]].concat(), "{len}");
            assert!(same(&bytes[..len], &all[6..]));
            for changed in 6..all.len() {
                let mut other = all.clone();
                other[changed] ^= 0x80;
                assert!(!same(&bytes[..len], &other[6..]), "{changed} of {len}");
            }
            assert!(!same(&bytes[..len], &[&bytes[..len], b"x"].concat()));
        }
    }

    #[test]
    fn the_first_is_found_wherever_it_is() {
        for len in 0..100 {
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
