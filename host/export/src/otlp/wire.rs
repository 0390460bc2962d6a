//! Protobuf on the wire: varints, and messages whose length is known only when they are written.

/// Wire tags of one byte: `field << 3 | type`.
pub(crate) const VARINT: u8 = 0;
/// Eight bytes, little-endian.
pub(crate) const FIXED64: u8 = 1;
/// A length and as many bytes.
pub(crate) const BYTES: u8 = 2;
/// Four bytes, little-endian.
pub(crate) const FIXED32: u8 = 5;

/// The tag of a field with a number under 16.
pub(crate) const fn tag(field: u8, wire: u8) -> u8 {
    field << 3 | wire
}

/// Bytes that `value` takes as a varint.
pub(crate) const fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a varint.
#[inline]
pub(crate) fn varint(buf: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buf.push(value as u8 | 0x80);
        value >>= 7;
    }
    buf.push(value as u8);
}

/// Appends tag, length and bytes.
#[inline]
pub(crate) fn bytes(buf: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    buf.push(tag);
    varint(buf, bytes.len() as u64);
    buf.extend_from_slice(bytes);
}

/// Appends a field of eight bytes.
#[inline]
pub(crate) fn fixed64(buf: &mut Vec<u8>, tag: u8, value: u64) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    buf.extend_from_slice(&[tag, a, b, c, d, e, f, g, h]);
}

/// Appends a varint field, unless it is 0, which is what a reader takes an absent one for.
pub(crate) fn number(buf: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        buf.push(tag);
        varint(buf, value);
    }
}

/// A message that is being written: where its length goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open(usize);

/// Bytes set aside for a length. Spans and most logs have 128 to 16383 bytes, so that nothing has to be moved.
const GUESS: usize = 2;

/// Begins a message.
#[inline]
pub(crate) fn open(buf: &mut Vec<u8>, tag: u8) -> Open {
    buf.extend_from_slice(&[tag, 0, 0]);
    Open(buf.len())
}

/// Ends a message: writes its length, as short as it can be, and moves the body where the guess was wrong.
#[inline]
pub(crate) fn close(buf: &mut Vec<u8>, Open(start): Open) {
    let body = buf.len().saturating_sub(start);
    if (0x80..0x4000).contains(&body) {
        if let Some([low, high]) = start.checked_sub(GUESS).and_then(|at| buf.get_mut(at..start)) {
            *low = body as u8 | 0x80;
            *high = (body >> 7) as u8;
        }
    } else if body < 0x80 {
        if let Some(place) = start.checked_sub(GUESS).and_then(|at| buf.get_mut(at)) {
            *place = body as u8;
        }
        buf.copy_within(start.., start - 1);
        buf.truncate(buf.len() - 1);
    } else {
        close_elsewhere(buf, start, body);
    }
}

#[cold]
fn close_elsewhere(buf: &mut Vec<u8>, start: usize, body: usize) {
    let mut length = Vec::with_capacity(10);
    varint(&mut length, body as u64);
    buf.splice(start.saturating_sub(GUESS)..start, length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_is_as_long_as_its_length_says() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), 1 << 56, u64::MAX] {
            let mut buf = Vec::new();
            varint(&mut buf, value);
            assert_eq!(buf.len(), varint_len(value), "{value}");
        }
    }

    #[test]
    fn a_length_is_as_short_as_it_can_be_whatever_was_guessed() {
        for body in [0usize, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let mut buf = vec![7; 5];
            let at = open(&mut buf, 0x12);
            buf.resize(buf.len() + body, 9);
            close(&mut buf, at);
            let mut expected = vec![7; 5];
            bytes(&mut expected, 0x12, &vec![9; body]);
            assert_eq!(buf, expected, "body of {body}");
        }
    }
}
