//! The state of one direction of a connection.

use plugin_sdk::conversation::{Began, Data, Sender};
use serde::{Deserialize, Serialize};

use crate::frame::{FRAME_BYTES, HEAD_BYTES, Head, PREFACE, follow_chain};
use crate::hpack::table::Table;

/// One end's half of a connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Direction {
    /// The fields that this end may refer to by index.
    pub table: Table,
    /// Whether the position of the next frame is known.
    pub is_synced: bool,
    /// A header block that continues in the next frame.
    pub block: Option<Block>,
    /// The stream whose response is complete once the bytes that are skipped now have passed.
    pub tail: Option<u32>,
    /// Maximum length of a frame.
    pub longest: u32,
    /// Time at which bytes of this direction were last seen.
    pub seen_ns: u64,
}

/// A header block that is not complete.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Block {
    pub began: Began,
    pub stream: u32,
    /// The type of its first frame.
    pub kind: u8,
    /// Whether no DATA follows.
    pub is_last: bool,
    /// Whether a part was not seen, or it is longer than [`BLOCK_BYTES`].
    pub is_broken: bool,
    pub bytes: Vec<u8>,
}

/// The position of the next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A connection begins, with its first frame at this position.
    Beginning(usize),
    /// A frame begins at this position.
    Frame(usize),
    /// More bytes are needed to decide.
    Wait,
    Nowhere,
}

/// Maximum number of bytes that are read of a header block.
pub(crate) const BLOCK_BYTES: usize = 16 * 1024;

// === impl Direction ===

impl Default for Direction {
    fn default() -> Self {
        let longest = FRAME_BYTES;
        Self { table: Table::default(), is_synced: false, block: None, tail: None, longest, seen_ns: 0 }
    }
}

impl Direction {
    /// Marks the position as lost: the start of the next frame and the additions to the table are unknown.
    pub(crate) fn lose_position(&mut self) {
        self.table.lose_position();
        self.block = None;
        self.is_synced = false;
    }

    /// Returns the approximate number of bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.table.weight() + self.block.as_ref().map_or(0, |block| block.bytes.capacity())
    }

    /// Finds the first frame in bytes that need not begin with one. `is_known` returns whether frames on a stream are expected.
    ///
    /// A call mostly begins with a frame. Otherwise this finds a frame that is followed by others up to the end of the bytes.
    pub(crate) fn find_frame(&self, data: &Data<'_>, from: usize, is_known: impl Fn(u32) -> bool) -> Found {
        let bytes = data.bytes.get(from..).unwrap_or_default();
        if data.sender == Sender::Client {
            if bytes.starts_with(PREFACE) {
                return Found::Beginning(from + PREFACE.len());
            }
            if PREFACE.starts_with(bytes) && data.missing == 0 {
                return Found::Wait;
            }
        }
        if bytes.len() < HEAD_BYTES {
            return if data.missing == 0 { Found::Wait } else { Found::Nowhere };
        }
        let is_frame =
            |head: Head| head.is_plausible(Some(data.sender), self.longest) && (head.stream == 0 || is_known(head.stream));
        if follow_chain(bytes, data.missing, is_frame).is_some() {
            return Found::Frame(from);
        }
        let is_chain = |at: &usize| {
            let rest = bytes.get(*at..).unwrap_or_default();
            follow_chain(rest, data.missing, is_frame).is_some_and(|chain| chain.heads >= if chain.is_even { 2 } else { 3 })
        };
        (1..bytes.len()).find(is_chain).map_or(Found::Nowhere, |at| Found::Frame(from + at))
    }
}

// === impl Block ===

impl Block {
    /// Adds the part in the next frame.
    pub(crate) fn add_part(&mut self, part: &[u8]) {
        let room = BLOCK_BYTES - self.bytes.len().min(BLOCK_BYTES);
        self.bytes.extend_from_slice(part.get(..room).unwrap_or(part));
        self.is_broken |= part.len() > room;
    }
}
