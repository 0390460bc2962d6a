//! Frames: RFC 9113, section 4 and 6.

use plugin_sdk::conversation::Sender;

/// The frame header: the first 9 bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Length of the payload, which follows.
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    /// Stream number, with the reserved bit, which is 0.
    pub stream: u32,
}

/// The first bytes of a client; a SETTINGS frame follows.
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length of the frame header.
pub(crate) const HEAD_BYTES: usize = 9;
/// Default maximum length of a frame.
pub(crate) const FRAME_BYTES: u32 = 16 * 1024;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
/// RFC 7838.
const ALTSVC: u8 = 10;
/// RFC 8336.
const ORIGIN: u8 = 12;
/// RFC 9218.
const PRIORITY_UPDATE: u8 = 16;

/// Flag of DATA and HEADERS.
pub(crate) const END_STREAM: u8 = 0x1;
/// Flag of HEADERS, PUSH_PROMISE and CONTINUATION.
pub(crate) const END_HEADERS: u8 = 0x4;
/// Flag of DATA, HEADERS and PUSH_PROMISE.
const PADDED: u8 = 0x8;
/// Flag of HEADERS.
const WITH_PRIORITY: u8 = 0x20;
/// Flag of SETTINGS and PING.
const ACK: u8 = 0x1;

/// The bit before a stream's number.
const RESERVED: u32 = 1 << 31;

// === impl Head ===

impl Head {
    /// Parses the frame header at the start of these bytes; None if there are fewer than 9.
    #[inline]
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, stream @ ..] = bytes.first_chunk::<HEAD_BYTES>()?;
        Some(Self { length: u32::from_be_bytes([0, a, b, c]), kind, flags, stream: u32::from_be_bytes(stream) })
    }

    /// Returns the length of header and payload.
    pub(crate) const fn total(self) -> usize {
        HEAD_BYTES + self.length as usize
    }

    pub(crate) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether the decoder reads the payload; other frames are skipped.
    pub(crate) const fn is_read(self) -> bool {
        matches!(self.kind, HEADERS | PUSH_PROMISE | CONTINUATION | RST_STREAM | GOAWAY | SETTINGS)
    }

    /// Whether a peer may send this frame: length and stream are allowed for its type. Frames of unknown types may have any.
    pub(crate) const fn is_legal(self) -> bool {
        let (on_stream, length) = (self.stream & !RESERVED != 0, self.length);
        match self.kind {
            DATA | HEADERS | CONTINUATION => on_stream,
            PRIORITY => on_stream && length == 5,
            RST_STREAM => on_stream && length == 4,
            SETTINGS => !on_stream && length.is_multiple_of(6) && !(self.has(ACK) && length != 0),
            PUSH_PROMISE => on_stream && length >= 4,
            PING => !on_stream && length == 8,
            GOAWAY => !on_stream && length >= 8,
            WINDOW_UPDATE => length == 4,
            _ => true,
        }
    }

    /// Whether bytes at an unknown position look like a frame header: legal, of a known type, with no unknown flag, and on a stream that
    /// this end may use.
    pub(crate) fn is_plausible(self, sender: Option<Sender>, longest: u32) -> bool {
        let (flags, longest) = match self.kind {
            DATA => (END_STREAM | PADDED, longest),
            HEADERS => (END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY, longest),
            SETTINGS => (ACK, 64 * 6),
            PUSH_PROMISE => (END_HEADERS | PADDED, longest),
            PING => (ACK, longest),
            CONTINUATION => (END_HEADERS, longest),
            PRIORITY | RST_STREAM | WINDOW_UPDATE => (0, longest),
            GOAWAY | ALTSVC | ORIGIN | PRIORITY_UPDATE => (0, 1024),
            _ => return false,
        };
        let is_possible = match (self.kind, sender) {
            (PUSH_PROMISE, Some(Sender::Client)) => false,
            // Clients send only on streams that they open; these have odd numbers.
            (HEADERS | DATA, Some(Sender::Client)) | (PUSH_PROMISE, _) => self.stream % 2 == 1,
            _ => true,
        };
        self.is_legal() && is_possible && self.flags & !flags == 0 && self.stream & RESERVED == 0 && self.length <= longest
    }

    /// Returns the header block, or its part, in the payload of HEADERS, PUSH_PROMISE or CONTINUATION, without padding. The payload may be
    /// cut.
    pub(crate) fn block(self, payload: &[u8]) -> &[u8] {
        let mut before = match self.kind {
            HEADERS if self.has(WITH_PRIORITY) => 5,
            PUSH_PROMISE => 4,
            _ => 0,
        };
        let mut end = self.length as usize;
        if self.kind != CONTINUATION && self.has(PADDED) {
            before += 1;
            end = end.saturating_sub(usize::from(payload.first().copied().unwrap_or(0)));
        }
        payload.get(before..end.min(payload.len())).unwrap_or_default()
    }
}

/// A chain of frames at the start of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Number of frames whose headers are there.
    pub heads: usize,
    /// Whether the last frame ends where the bytes end.
    pub is_even: bool,
}

/// Maximum number of frames in a row that are followed: more do not make the result more certain.
const MAX_CHAIN: usize = 8;

/// Follows frames from the start of these bytes; None at bytes that are not a frame. `missing` bytes follow that were not captured.
pub(crate) fn follow_chain(bytes: &[u8], missing: u32, mut is_frame: impl FnMut(Head) -> bool) -> Option<Chain> {
    let mut at = 0_usize;
    let mut chain = Chain { heads: 0, is_even: false };
    while chain.heads < MAX_CHAIN
        && let Some(head) = bytes.get(at..).and_then(Head::read)
    {
        if !is_frame(head) {
            return None;
        }
        chain.heads += 1;
        at = at.saturating_add(head.total());
    }
    chain.is_even = at == bytes.len() + missing as usize;
    Some(chain)
}
