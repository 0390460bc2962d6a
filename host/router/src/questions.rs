//! Questions to decoders about connections that no signature decided: the first bytes of each, gathered for one decoder at a time.

use host_model::Beginnings;

use crate::lanes::{Lanes, bit, sender};
use crate::record::{Head, Shape};
use crate::table::{ConnectionId, Fate, Table};

/// Maximum number of beginnings in one call: it bounds the time of a call on the router's thread.
const AT_ONCE: usize = 256;

/// The questions of one batch. Its buffers are reused for the next.
#[derive(Default)]
pub(crate) struct Questions {
    /// The questions for one decoder.
    pub(crate) beginnings: Beginnings,
    /// For each beginning the index in `open`, and the record that represents it.
    pub(crate) of: Vec<(usize, Head)>,
    pub(crate) open: Vec<Open>,
    /// Lanes that must not be asked for a while, as bits.
    pub(crate) resting: u64,
}

/// A connection that no decoder has recognised yet.
pub(crate) struct Open {
    pub(crate) id: ConnectionId,
    /// Lanes that were asked about it in this batch, as bits.
    asked: u64,
    pub(crate) decided: bool,
}

// === impl Questions ===

impl Questions {
    /// Starts a batch about these connections.
    pub(crate) fn begin(&mut self, due: &[ConnectionId], resting: u64) {
        self.resting = resting;
        self.open.clear();
        self.open.extend(due.iter().map(|&id| Open { id, asked: 0, decided: false }));
    }

    /// Gathers the beginnings of those connections whose next candidate is this lane.
    pub(crate) fn gather(&mut self, table: &mut Table, lanes: &Lanes, shape: &Shape, lane: usize) {
        let Self { beginnings, of, open, resting } = self;
        beginnings.clear();
        of.clear();
        for (index, open) in open.iter_mut().enumerate().filter(|(_, open)| !open.decided) {
            if beginnings.len() >= AT_ONCE {
                return;
            }
            let Some(connection) = table.at(open.id).filter(|connection| connection.fate == Fate::Open) else { continue };
            let (role, likely, not) = (connection.role, connection.likely, connection.not | open.asked | *resting);
            let Some(held) = &connection.held else { continue };
            let Some(first) = held.records().next().and_then(|record| shape.head(record)) else { continue };
            if lanes.candidate(&first, role, likely, not) != Some(lane) {
                continue;
            }
            open.asked |= bit(lane);
            for (direction, payload) in held.news().filter(|(_, payload)| !payload.is_empty()) {
                let head = Head { direction, ..first };
                beginnings.push(head.server_port(role).unwrap_or(0), sender(role, direction), head.transport, payload);
                of.push((index, head));
            }
        }
    }
}
