//! Appends protobuf to a vector: for everything that is not written once per row.

use super::slice_writer;
use super::wire::LONGEST_VARINT;

/// Appends a varint.
pub(crate) fn varint(buf: &mut Vec<u8>, value: u64) {
    let start = buf.len();
    buf.resize(start + LONGEST_VARINT, 0);
    let end = slice_writer::varint(buf, start, value);
    buf.truncate(end);
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

/// Appends a varint field, unless it is 0: a reader takes a missing field for 0.
pub(crate) fn number(buf: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        buf.push(tag);
        varint(buf, value);
    }
}

/// A message that is being written: the start of its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open(usize);

/// Starts a message.
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
