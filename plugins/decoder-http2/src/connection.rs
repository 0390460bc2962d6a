//! The state of one connection.

use plugin_sdk::conversation::{Data, Foreign, Routes, Sender};
use serde::{Deserialize, Serialize};

use crate::direction::{Direction, Found};
use crate::frame::{self, Head};
use crate::hpack::{Scratch, table::Table};
use crate::waiting::Calls;

/// The state of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    pub(crate) client: Direction,
    pub(crate) server: Direction,
    pub(crate) calls: Calls,
    /// The highest stream that carried a request; stream numbers only rise.
    pub(crate) last_stream: u32,
    /// Whether there were gRPC calls on it.
    pub(crate) speaks_grpc: bool,
    /// Whether frames were parsed, which proves that the connection speaks this protocol.
    pub(crate) is_confirmed: bool,
    /// Number of consecutive calls that could not be parsed.
    pub(crate) unreadable: u8,
}

/// State that all connections share.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    pub scratch: Scratch,
    pub routes: Routes,
}

/// Number of unreadable calls in a row after which a connection speaks another protocol.
const MAX_UNREADABLE: u8 = 4;
/// Maximum jump between the numbers of streams, which rise by 2.
const MAX_STREAM_JUMP: u32 = 1 << 16;

// === impl Connection ===

impl Connection {
    /// Returns the approximate number of bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.client.weight() + self.server.weight() + self.calls.weight()
    }

    pub(crate) const fn direction(&mut self, sender: Sender) -> &mut Direction {
        match sender {
            Sender::Client => &mut self.client,
            Sender::Server => &mut self.server,
        }
    }

    pub(crate) fn find_frame(&self, data: &Data<'_>, from: usize) -> Found {
        let direction = match data.sender {
            Sender::Client => &self.client,
            Sender::Server => &self.server,
        };
        let last = self.last_stream;
        // Unknown streams are expected to be the next ones; if none is known, any stream is accepted.
        direction.find_frame(data, from, |stream| last == 0 || stream <= last.saturating_add(MAX_STREAM_JUMP))
    }

    /// Whether a frame may occur here. A frame over the maximum length may not, unless the SETTINGS with that maximum were not seen.
    pub(crate) fn is_expected(&mut self, sender: Sender, head: Head) -> bool {
        let is_short = head.length <= self.direction(sender).longest;
        head.is_legal() && (is_short || head.kind == frame::DATA && self.calls.is_open(head.stream))
    }

    /// Begins a connection: both tables are empty and have the initial size.
    pub(crate) fn begin_connection(&mut self) {
        self.client.table = Table::initial();
        if !self.server.is_synced {
            self.server.table = Table::initial();
        }
    }

    /// Counts a call that could not be parsed. After too many of them the connection is taken to speak another protocol.
    pub(crate) fn count_unreadable(&mut self) -> Result<(), Foreign> {
        self.unreadable = self.unreadable.saturating_add(1);
        if self.unreadable >= MAX_UNREADABLE && !self.is_confirmed { Err(Foreign::Whole) } else { Ok(()) }
    }

    /// Marks the position of one end as lost, and records the time from which ends of responses may have been missed.
    pub(crate) fn handle_gap(&mut self, sender: Sender, since_ns: u64) {
        self.direction(sender).lose_position();
        if sender == Sender::Server {
            self.calls.all().for_each(|call| call.gap_ns = Some(call.seen_ns.max(since_ns)));
        }
    }
}
