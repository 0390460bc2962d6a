//! How a connection stops being what it was: given up, acquitted of suspicion, forgotten.

use super::Dispatch;
use crate::route::held::Held;
use crate::route::table::{Connection, Fate, Place};

/// Bytes of first records that are kept. 8 MiB: of 2,500 connections at the default capture.
const MOST_HELD: usize = 8 << 20;
/// Boxes that wait to be used again.
const SPARE: usize = 256;

impl Dispatch {
    /// Nobody knows this connection.
    pub(super) fn give_up(&mut self, place: Place) {
        let Some(connection) = self.table.at(place) else { return };
        let (key, role, ended) = (connection.key, connection.role, connection.ended);
        let held = connection.held.take();
        let first = held.as_ref().and_then(|held| self.shape.head(held.records().next()?));
        let port =
            self.strangers.meet(first.map_or(0, |head| head.transport), first.map_or(0, |head| head.likely_server_port(role)));
        if let Some(held) = held {
            self.unroute(&held, Some(port));
            self.recycle(held);
        }
        match self.table.at(place) {
            Some(connection) if !ended => {
                connection.fate = Fate::Unknown(port);
                connection.told_ns = self.now_ns.max(1);
                self.verdicts.ignore(key);
            }
            _ => drop(self.table.remove(place)),
        }
    }

    /// The decision was right, as far as anybody can tell.
    pub(super) fn acquit(&mut self, place: Place) {
        let Some(connection) = self.table.at(place).filter(|connection| connection.fate != Fate::Open) else { return };
        let (held, ended) = (connection.held.take(), connection.ended);
        if let Some(held) = held {
            self.recycle(held);
        }
        if ended {
            self.forget(place);
        }
    }

    pub(super) fn forget(&mut self, place: Place) {
        if let Some(connection) = self.table.remove(place) {
            self.let_go(connection);
        }
    }

    /// A connection that is in the table no more.
    pub(super) fn let_go(&mut self, connection: Connection) {
        if let Fate::Routed(lane) = connection.fate
            && let Some(entry) = self.lanes.at(lane)
        {
            entry.connections = entry.connections.saturating_sub(1);
        }
        if let Some(held) = connection.held {
            self.unroute(&held, None);
            self.recycle(held);
        }
    }

    /// What was not counted yet goes to nobody.
    fn unroute(&mut self, held: &Held, port: Option<usize>) {
        let fresh = u64::from(held.fresh);
        self.tally.held -= fresh;
        self.tally.unrouted += fresh;
        if let Some(port) = port {
            self.strangers.count(port, fresh);
        }
    }

    fn recycle(&mut self, mut held: Box<Held>) {
        self.held_bytes -= held.size();
        held.clear();
        if self.spare.len() < SPARE {
            self.spare.push(held);
        }
    }

    /// Keeps what is kept within bounds: first goes what was decided, then what was not.
    pub(super) fn make_room(&mut self) {
        while self.held_bytes > MOST_HELD {
            match (self.trials.pop_front(), self.due.pop()) {
                (Some((place, _)), due) => {
                    self.due.extend(due);
                    self.acquit(place);
                }
                (None, Some(place)) => self.give_up(place),
                (None, None) => match self.table.places(|connection| connection.held.is_some()).first() {
                    Some(&place) => self.give_up(place),
                    None => return,
                },
            }
        }
    }
}
