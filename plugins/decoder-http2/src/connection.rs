//! What is remembered of one connection.

use plugin_sdk::conversation::{Data, Foreign, Routes, Sender};
use serde::{Deserialize, Serialize};

use crate::direction::{Direction, Found};
use crate::frame::{self, Head};
use crate::hpack::{Scratch, table::Table};
use crate::waiting::Calls;

/// What is remembered of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    pub(crate) client: Direction,
    pub(crate) server: Direction,
    pub(crate) calls: Calls,
    /// The highest stream on which something was asked; they only rise.
    pub(crate) last_stream: u32,
    /// Whether there were gRPC calls on it.
    pub(crate) speaks_grpc: bool,
    /// Whether frames were parsed: the connection does speak this protocol.
    pub(crate) is_confirmed: bool,
    /// Calls in a row that could not be parsed.
    pub(crate) unreadable: u8,
}

/// What all connections share.
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
    /// About how many bytes it takes on the heap.
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
        // Streams that are not known yet are the next ones; where none is known, any may be.
        direction.find_frame(data, from, |stream| last == 0 || stream <= last.saturating_add(MAX_STREAM_JUMP))
    }

    /// Whether a frame may stand here. One that is longer than allowed may not, unless what was allowed was not seen.
    pub(crate) fn is_expected(&mut self, sender: Sender, head: Head) -> bool {
        let is_short = head.length <= self.direction(sender).longest;
        head.is_legal() && (is_short || head.kind == frame::DATA && self.calls.is_open(head.stream))
    }

    /// Begins a connection: both tables are empty, and of the usual size.
    pub(crate) fn begin_connection(&mut self) {
        self.client.table = Table::initial();
        if !self.server.is_synced {
            self.server.table = Table::initial();
        }
    }

    /// Counts a call that could not be parsed. Too many of them, and the connection speaks another protocol.
    pub(crate) fn count_unreadable(&mut self) -> Result<(), Foreign> {
        self.unreadable = self.unreadable.saturating_add(1);
        if self.unreadable >= MAX_UNREADABLE && !self.is_confirmed { Err(Foreign::Whole) } else { Ok(()) }
    }

    /// Marks the position of one end as lost, and since when ends of responses may have been missed.
    pub(crate) fn handle_gap(&mut self, sender: Sender, since_ns: u64) {
        self.direction(sender).lose_position();
        if sender == Sender::Server {
            self.calls.all().for_each(|call| call.gap_ns = Some(call.seen_ns.max(since_ns)));
        }
    }
}
