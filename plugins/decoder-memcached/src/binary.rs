//! Headers of binary messages.

/// The first byte of a request.
pub(crate) const REQUEST: u8 = 0x80;
/// The first byte of a response.
pub(crate) const RESPONSE: u8 = 0x81;

/// Bytes of a header.
pub(crate) const HEADER: usize = 24;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub opcode: u8,
    pub key: u16,
    /// Of a response.
    pub status: u16,
    /// Bytes behind the header.
    pub body: u32,
    /// The same in a request and its response.
    pub opaque: u32,
}

// === impl Header ===

impl Header {
    /// The header that these bytes begin with; None if not all of it has come.
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

    /// Whether the parts fit into the body, and the body into what a server takes.
    pub(crate) const fn is_sound(&self) -> bool {
        self.key as u32 <= self.body && self.body < crate::line::MAX_LENGTH
    }
}
