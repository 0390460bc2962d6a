//! The wire format of protobuf: tags, and the length of a varint.

/// The wire types, the low bits of a tag of one byte: `field << 3 | type`.
pub(crate) const VARINT: u8 = 0;
/// Eight bytes, little-endian.
pub(crate) const FIXED64: u8 = 1;
/// A length, then that many bytes.
pub(crate) const BYTES: u8 = 2;
/// Four bytes, little-endian.
pub(crate) const FIXED32: u8 = 5;

/// Maximum bytes of a varint.
pub(crate) const LONGEST_VARINT: usize = 10;

/// Returns the tag of a field with a number under 16.
pub(crate) const fn tag(field: u8, wire: u8) -> u8 {
    field << 3 | wire
}

/// Returns the bytes that `value` takes as a varint: its bits by seven, rounded up, without a division.
pub(crate) const fn varint_len(value: u64) -> usize {
    (((value | 1).ilog2() * 9 + 73) / 64) as usize
}
