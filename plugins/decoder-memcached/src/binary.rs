//! Headers of binary messages.

/// The first byte of a request.
pub(crate) const REQUEST: u8 = 0x80;
/// The first byte of a response.
pub(crate) const RESPONSE: u8 = 0x81;

/// Length of a header.
pub(crate) const HEADER: usize = 24;

/// The fields of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub opcode: u8,
    pub key: u16,
    /// Status of a response.
    pub status: u16,
    /// Number of bytes behind the header.
    pub body: u32,
    /// An identifier that a response copies from its request.
    pub opaque: u32,
}

// === impl Header ===

impl Header {
    /// Parses the header at the start of these bytes; None if it has not come completely.
    #[inline]
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let &[_, opcode, k0, k1, _, _, s0, s1, b0, b1, b2, b3, o0, o1, o2, o3, ..] = bytes.first_chunk::<HEADER>()?;
        Some(Self {
            opcode,
            key: u16::from_be_bytes([k0, k1]),
            status: u16::from_be_bytes([s0, s1]),
            body: u32::from_be_bytes([b0, b1, b2, b3]),
            opaque: u32::from_be_bytes([o0, o1, o2, o3]),
        })
    }

    /// Whether the parts fit into the body, and the body into the maximum of a server.
    pub(crate) const fn is_sound(&self) -> bool {
        self.key as u32 <= self.body && self.body < crate::line::MAX_LENGTH
    }
}
