//! How a connection stops being what it was: given up, acquitted of suspicion, forgotten.

use super::Dispatch;
use crate::route::held::Held;
use crate::route::strangers::COVERED;
use crate::route::table::{Connection, Fate, Key, MOST, Place};

/// Bytes of first records that are kept. 8 MiB: of 2,500 connections at the default capture.
const MOST_HELD: usize = 8 << 20;
/// Boxes that wait to be used again.
const SPARE: usize = 256;

impl Dispatch {
    /// Nobody knows this connection.
    pub(super) fn give_up(&mut self, place: Place) {
        let Some(connection) = self.table.at(place) else { return };
        let (key, role, ended, is_covered) = (connection.key, connection.role, connection.ended, connection.is_covered);
        let held = connection.held.take();
        let first = held.as_ref().and_then(|held| self.shape.head(held.records().next()?));
        let port = if is_covered {
            COVERED
        } else {
            self.strangers.meet(first.map_or(0, |head| head.transport), first.map_or(0, |head| head.likely_server_port(role)))
        };
        let mut unrouted = 0;
        if let Some(held) = held {
            unrouted = u64::from(held.fresh);
            self.unroute(&held, Some(port));
            self.recycle(held);
        }
        match self.table.at(place) {
            Some(connection) if !ended => {
                connection.unrouted = unrouted;
                connection.fate = Fate::Unknown(port);
                connection.told_ns = self.now_ns.max(1);
                self.verdicts.ignore(key);
            }
            _ => drop(self.table.remove(place)),
        }
    }

    /// What goes over the wire is the TLS of a conversation whose plaintext is seen: nobody needs to know it.
    pub(super) fn cover(&mut self, connection: u64) {
        let Some(place) = self.table.find(Key { connection, tls: false }) else { return };
        let Some(connection) = self.table.at(place) else { return };
        connection.is_covered = true;
        if let Fate::Unknown(port) = connection.fate
            && port != COVERED
        {
            connection.fate = Fate::Unknown(COVERED);
            self.strangers.take_back(port, connection.unrouted);
        }
    }

    /// Time has passed since a decision: was it right? Who has said little so far may still show that it was not.
    pub(super) fn review(&mut self, place: Place) {
        let Some(connection) = self.table.at(place) else { return };
        let says_more = !connection.ended && connection.held.as_ref().is_some_and(|held| !held.is_full());
        match connection.fate {
            Fate::Routed(_) if !says_more => self.acquit(place),
            Fate::Routed(_) | Fate::Changing => {
                self.patient.push_back(place);
                if self.patient.len() > 4 * MOST {
                    self.forget_patience();
                }
            }
            Fate::Open | Fate::Unknown(_) => {}
        }
    }

    /// Forgets places of which nothing is kept any more.
    pub(super) fn forget_patience(&mut self) {
        let table = &mut self.table;
        self.patient.retain(|&place| table.at(place).is_some_and(|connection| connection.held.is_some()));
    }

    /// The decision was right, as far as anybody can tell.
    pub(super) fn acquit(&mut self, place: Place) {
        let Some(connection) = self.table.at(place).filter(|connection| connection.fate != Fate::Open) else { return };
        let (held, ended, is_changing) = (connection.held.take(), connection.ended, connection.fate == Fate::Changing);
        if let Some(held) = held {
            self.recycle(held);
        }
        if ended && !is_changing {
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
        if let Some(change) = connection.change {
            self.break_off(&change);
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

    pub(super) fn recycle(&mut self, mut held: Box<Held>) {
        self.held_bytes -= held.size();
        held.clear();
        if self.spare.len() < SPARE {
            self.spare.push(held);
        }
    }

    /// Keeps what is kept within bounds: first goes what was decided, then what was not.
    pub(super) fn make_room(&mut self) {
        while self.held_bytes > MOST_HELD {
            if let Some(place) = self.patient.pop_front() {
                self.acquit(place);
                continue;
            }
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
