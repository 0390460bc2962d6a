//! Protobuf appended to a vector: for what is not written once per row.

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

/// Appends a varint.
pub(crate) fn varint(buf: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buf.push(value as u8 | 0x80);
        value >>= 7;
    }
    buf.push(value as u8);
}

/// Appends tag, length and bytes.
pub(crate) fn bytes(buf: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    buf.push(tag);
    varint(buf, bytes.len() as u64);
    buf.extend_from_slice(bytes);
}

/// Appends a field of eight bytes.
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

/// A message that is being written: where its body begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open(usize);

/// Begins a message.
pub(crate) fn open(buf: &mut Vec<u8>, tag: u8) -> Open {
    buf.push(tag);
    Open(buf.len())
}

/// Ends a message: puts its length before its body.
pub(crate) fn close(buf: &mut Vec<u8>, Open(start): Open) {
    let mut length = Vec::with_capacity(10);
    varint(&mut length, (buf.len() - start) as u64);
    buf.splice(start..start, length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_is_as_long_as_its_length_says() {
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 0x55]);
        for value in edges.chain([u64::MAX]) {
            let mut buf = Vec::new();
            varint(&mut buf, value);
            assert_eq!(buf.len(), varint_len(value), "{value:x}");
        }
    }

    #[test]
    fn a_message_has_its_length_before_its_body() {
        let mut buf = vec![7];
        let outer = open(&mut buf, 0x12);
        let inner = open(&mut buf, 0x0a);
        buf.resize(buf.len() + 200, 9);
        close(&mut buf, inner);
        close(&mut buf, outer);
        assert_eq!(buf[..7], [7, 0x12, 203, 1, 0x0a, 200, 1]);
        assert_eq!(buf.len(), 207);
    }
}
