//! How a connection ends: its protocol remains unknown, its route is confirmed, or it is removed.

use super::Dispatch;
use crate::held::Held;
use crate::record::Key;
use crate::table::{Connection, ConnectionId, Fate, MOST};
use crate::unknown_ports::COVERED;

/// Maximum bytes of first records that are retained. 8 MiB: those of 2,500 connections at the default capture.
const MOST_HELD: usize = 8 << 20;
/// Maximum number of empty buffers kept for reuse.
const SPARE: usize = 256;

impl Dispatch {
    /// Counts a connection as one of an unknown protocol, and has the kernel stop sending it.
    pub(super) fn mark_unknown(&mut self, id: ConnectionId) {
        let Some(connection) = self.table.at(id) else { return };
        let (key, role, ended, is_covered) = (connection.key, connection.role, connection.ended, connection.is_covered);
        let held = connection.held.take();
        let first = held.as_ref().and_then(|held| self.shape.head(held.records().next()?));
        let port = if is_covered {
            COVERED
        } else {
            self.unknown_ports
                .add_connection(first.map_or(0, |head| head.transport), first.map_or(0, |head| head.likely_server_port(role)))
        };
        let mut unrouted = 0;
        if let Some(held) = held {
            unrouted = u64::from(held.fresh);
            self.unroute(&held, Some(port));
            self.recycle(held);
        }
        match self.table.at(id) {
            Some(connection) if !ended => {
                connection.unrouted = unrouted;
                connection.fate = Fate::Unknown(port);
                connection.verdict_ns = self.now_ns.max(1);
                self.verdicts.ignore(key);
            }
            _ => drop(self.table.remove(id)),
        }
    }

    /// Marks the ciphertext of a conversation whose plaintext is seen: its protocol does not matter.
    pub(super) fn cover(&mut self, connection: u64) {
        let Some(id) = self.table.find(Key { connection, tls: false }) else { return };
        let Some(connection) = self.table.at(id) else { return };
        connection.is_covered = true;
        if let Fate::Unknown(port) = connection.fate
            && port != COVERED
        {
            connection.fate = Fate::Unknown(COVERED);
            self.unknown_ports.take_back(port, connection.unrouted);
        }
    }

    /// Confirms a route some time after the decision; later if few records were seen so far, since the decoder may still reject it.
    pub(super) fn review(&mut self, id: ConnectionId) {
        let Some(connection) = self.table.at(id) else { return };
        let says_more = !connection.ended && connection.held.as_ref().is_some_and(|held| !held.is_full());
        match connection.fate {
            Fate::Routed(_) if !says_more => self.confirm(id),
            Fate::Routed(_) | Fate::Changing => {
                self.short_trials.push_back(id);
                if self.short_trials.len() > 4 * MOST {
                    self.drop_finished_trials();
                }
            }
            Fate::Open | Fate::Unknown(_) => {}
        }
    }

    /// Drops trials of connections whose first records are no longer retained.
    pub(super) fn drop_finished_trials(&mut self) {
        let table = &mut self.table;
        self.short_trials.retain(|&id| table.at(id).is_some_and(|connection| connection.held.is_some()));
    }

    /// Confirms a route: its first records are dropped.
    pub(super) fn confirm(&mut self, id: ConnectionId) {
        let Some(connection) = self.table.at(id).filter(|connection| connection.fate != Fate::Open) else { return };
        let (held, ended, is_changing) = (connection.held.take(), connection.ended, connection.fate == Fate::Changing);
        if let Some(held) = held {
            self.recycle(held);
        }
        if ended && !is_changing {
            self.forget(id);
        }
    }

    /// Removes a connection.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        if let Some(connection) = self.table.remove(id) {
            self.release(connection);
        }
    }

    /// Releases the resources of a connection that was removed from the table.
    pub(super) fn release(&mut self, connection: Connection) {
        if let Fate::Routed(lane) = connection.fate
            && let Some(entry) = self.lanes.at(lane)
        {
            entry.connections = entry.connections.saturating_sub(1);
        }
        if let Some(change) = connection.change {
            self.abort_change(&change);
        }
        if let Some(held) = connection.held {
            self.unroute(&held, None);
            self.recycle(held);
        }
    }

    /// Counts records as unrouted that were not counted yet.
    fn unroute(&mut self, held: &Held, port: Option<usize>) {
        let fresh = u64::from(held.fresh);
        self.tally.held -= fresh;
        self.tally.unrouted += fresh;
        if let Some(port) = port {
            self.unknown_ports.count(port, fresh);
        }
    }

    /// Keeps an empty buffer for reuse.
    pub(super) fn recycle(&mut self, mut held: Box<Held>) {
        self.held_bytes -= held.size();
        held.clear();
        if self.spare.len() < SPARE {
            self.spare.push(held);
        }
    }

    /// Keeps first records within bounds: those of decided connections are dropped first.
    pub(super) fn make_room(&mut self) {
        while self.held_bytes > MOST_HELD {
            if let Some(id) = self.short_trials.pop_front() {
                self.confirm(id);
                continue;
            }
            match (self.trials.pop_front(), self.due.pop()) {
                (Some((id, _)), due) => {
                    self.due.extend(due);
                    self.confirm(id);
                }
                (None, Some(id)) => self.mark_unknown(id),
                (None, None) => match self.table.ids(|connection| connection.held.is_some()).first() {
                    Some(&id) => self.mark_unknown(id),
                    None => return,
                },
            }
        }
    }
}
