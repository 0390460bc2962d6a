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

/// Bytes that `value` takes as a varint: its bits by seven, rounded up, without a division.
pub(crate) const fn varint_len(value: u64) -> usize {
    (((value | 1).ilog2() * 9 + 73) / 64) as usize
}

/// Appends a varint. The groups of seven bits are moved apart all at once: three steps, no loop.
#[inline]
pub(crate) fn varint(buf: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        buf.push(value as u8);
    } else if value < 1 << 56 {
        let halves = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
        let quarters = halves & 0x0000_3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
        let groups = quarters & 0x007f_007f_007f_007f | (quarters & 0x3f80_3f80_3f80_3f80) << 1;
        let length = varint_len(value);
        let continues = 0x8080_8080_8080_8080 & ((1 << (8 * (length - 1))) - 1);
        prefix(buf, &(groups | continues).to_le_bytes(), length);
    } else {
        long_varint(buf, value);
    }
}

fn long_varint(buf: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buf.push(value as u8 | 0x80);
        value >>= 7;
    }
    buf.push(value as u8);
}

/// Appends the first `length` of N bytes. All N are copied, which is quicker than a copy whose length is known only now.
#[inline]
pub(crate) fn prefix<const N: usize>(buf: &mut Vec<u8>, bytes: &[u8; N], length: usize) {
    let end = buf.len() + length;
    buf.extend_from_slice(bytes);
    buf.truncate(end);
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
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 0x55]);
        for value in edges.chain([u64::MAX, 0x1234_5678_9abc_def0]) {
            let (mut buf, mut expected) = (Vec::new(), Vec::new());
            varint(&mut buf, value);
            long_varint(&mut expected, value);
            assert_eq!((buf.len(), &buf), (varint_len(value), &expected), "{value:x}");
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
