//! The table of connections: bounded, indexed by key; evicts the connection that was quiet for longest.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use hashbrown::HashMap;

use crate::held::Held;
use crate::inbox::Ticket;
use crate::record::{Head, Key, UDP, UNKNOWN};

/// Maximum number of connections.
pub(crate) const MOST: usize = 65_536;
/// Number of entries sampled when evicting the connection that was quiet for longest.
const LOOKED_AT: usize = 16;
/// Time without a record after which a connection is removed: ten minutes.
const QUIET_NS: u64 = 600_000_000_000;
/// The same for a routed connection whose close the kernel reports: a day, after which decoders time out, and an hour.
const ROUTED_QUIET_NS: u64 = 90_000_000_000_000;

/// The place of a connection in the table, never mistaken for that of a later connection in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionId {
    index: usize,
    serial: u32,
}

/// The router's state of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) key: Key,
    pub(crate) fate: Fate,
    /// The role of the local end, if known.
    pub(crate) role: u8,
    /// Whether the router knows the role better than the record.
    pub(crate) sure_of_role: bool,
    /// Whether the other end is on this node as well.
    pub(crate) peer_local: bool,
    /// Whether it was closed.
    pub(crate) ended: bool,
    /// Whether the kernel reports its close: not for datagram sockets.
    has_end: bool,
    /// Whether decoders are to be asked about it.
    pub(crate) due: bool,
    /// When a verdict on it was written last; 0 for never.
    pub(crate) verdict_ns: u64,
    /// Number of times that a decoder rejected it.
    pub(crate) disowned: u8,
    /// Lanes that rejected it, as bits.
    pub(crate) not: u64,
    /// Lanes whose uncertain signatures match, as bits.
    pub(crate) likely: u64,
    pub(crate) last_ns: u64,
    /// Its first records, while they are retained.
    pub(crate) held: Option<Box<Held>>,
    /// Number of records that its lane was given and had room for.
    pub(crate) given: u64,
    /// Number of records since its protocol is unknown.
    pub(crate) unrouted: u64,
    /// Its state while it changes lanes.
    pub(crate) change: Option<Box<Change>>,
    /// Whether this is ciphertext whose plaintext is seen, or was.
    pub(crate) is_covered: bool,
    /// The hash of both ends, and which of the two ends this is.
    pair: u64,
    side: usize,
}

/// The state of a conversation between the lane that returns it and the next.
#[derive(Debug)]
pub(crate) struct Change {
    /// The lane that returns it.
    pub(crate) ticket: Ticket,
    /// Whether it was disowned from its beginning.
    pub(crate) whole: bool,
    /// Records that arrived since then, framed as in a run.
    pub(crate) newer: Vec<u8>,
    /// Number of these records.
    pub(crate) records: u64,
}

/// The destination of the records of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Undecided.
    Open,
    /// To a lane.
    Routed(usize),
    /// Undecided again: its decoder rejected it, and has not returned the records under way yet.
    Changing,
    /// Nowhere: its protocol is unknown; it is counted at this index.
    Unknown(usize),
}

/// The connections.
pub(crate) struct Table {
    by_key: HashMap<Key, usize, FixedState>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// The index at which the next search for a quiet connection starts.
    hand: usize,
    /// Both ends of connections, by their common hash.
    pairs: HashMap<u64, [usize; 2], FixedState>,
    hasher: FixedState,
    most: usize,
}

struct Slot {
    serial: u32,
    connection: Option<Connection>,
}

/// No connection.
const NONE: usize = usize::MAX;

// === impl Table ===

impl Table {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            by_key: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            pairs: HashMap::default(),
            hasher: FixedState::default(),
            most,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(crate) fn find(&self, key: Key) -> Option<ConnectionId> {
        let index = *self.by_key.get(&key)?;
        Some(ConnectionId { index, serial: self.slots.get(index)?.serial })
    }

    pub(crate) fn at(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id.index).filter(|slot| slot.serial == id.serial)?;
        slot.connection.as_mut()
    }

    /// Makes room for one more connection. Returns the connection that was evicted, if any.
    pub(crate) fn make_room(&mut self) -> Option<Connection> {
        if self.by_key.len() < self.most {
            return None;
        }
        let mut quietest: Option<(u64, usize)> = None;
        for _ in 0..LOOKED_AT.min(self.slots.len()) {
            self.hand = (self.hand + 1) % self.slots.len();
            let last = self.slots.get(self.hand).and_then(|slot| slot.connection.as_ref()).map(|found| found.last_ns);
            if let Some(last) = last
                && quietest.is_none_or(|(before, _)| last < before)
            {
                quietest = Some((last, self.hand));
            }
        }
        let (_, index) = quietest?;
        let serial = self.slots.get(index)?.serial;
        self.remove(ConnectionId { index, serial })
    }

    /// Adds the connection of this first record. `ends` are its addresses, the local one first. Call [`Table::make_room`] before.
    pub(crate) fn insert(&mut self, key: Key, head: &Head, ends: Option<([u8; 18], [u8; 18])>) -> ConnectionId {
        let (pair, side) = ends.map_or((0, 0), |(local, remote)| {
            let (low, high) = if local <= remote { (local, remote) } else { (remote, local) };
            (self.hasher.hash_one((low, high, head.transport, key.tls)), usize::from(local > remote))
        });
        let mut connection = Connection {
            key,
            fate: Fate::Open,
            role: UNKNOWN,
            sure_of_role: false,
            peer_local: false,
            ended: false,
            has_end: head.transport != UDP,
            due: false,
            verdict_ns: 0,
            disowned: 0,
            not: 0,
            likely: 0,
            last_ns: head.time_ns,
            held: None,
            given: 0,
            unrouted: 0,
            change: None,
            is_covered: false,
            pair,
            side,
        };
        let index = self.free.pop().unwrap_or(self.slots.len());
        if pair != 0 {
            let both = self.pairs.entry(pair).or_insert([NONE; 2]);
            let other = both.get(1 - side).copied().unwrap_or(NONE);
            if let Some(mine) = both.get_mut(side) {
                *mine = index;
            }
            if let Some(other) = self.slots.get_mut(other).and_then(|slot| slot.connection.as_mut()) {
                other.peer_local = true;
                connection.peer_local = true;
            }
        }
        if index == self.slots.len() {
            self.slots.push(Slot { serial: 0, connection: None });
        }
        self.by_key.insert(key, index);
        let serial = self.slots.get_mut(index).map_or(0, |slot| {
            slot.serial = slot.serial.wrapping_add(1);
            slot.connection = Some(connection);
            slot.serial
        });
        ConnectionId { index, serial }
    }

    /// Removes a connection.
    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let slot = self.slots.get_mut(id.index).filter(|slot| slot.serial == id.serial)?;
        let connection = slot.connection.take()?;
        self.by_key.remove(&connection.key);
        self.free.push(id.index);
        if let Some(both) = self.pairs.get_mut(&connection.pair).filter(|_| connection.pair != 0) {
            if let Some(mine) = both.get_mut(connection.side).filter(|mine| **mine == id.index) {
                *mine = NONE;
            }
            if *both == [NONE; 2] {
                self.pairs.remove(&connection.pair);
            }
        }
        Some(connection)
    }

    /// Returns the connections for which `holds`, in the order of their places.
    pub(crate) fn ids(&self, mut holds: impl FnMut(&Connection) -> bool) -> Vec<ConnectionId> {
        let held = |(index, slot): (usize, &Slot)| {
            let connection = slot.connection.as_ref()?;
            holds(connection).then_some(ConnectionId { index, serial: slot.serial })
        };
        self.slots.iter().enumerate().filter_map(held).collect()
    }

    /// Returns the connections that were quiet for too long.
    pub(crate) fn quiet(&self, now_ns: u64) -> Vec<ConnectionId> {
        self.ids(|connection| {
            let waits = connection.has_end && matches!(connection.fate, Fate::Routed(_));
            now_ns.saturating_sub(connection.last_ns) > if waits { ROUTED_QUIET_NS } else { QUIET_NS }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(time_ns: u64) -> Head {
        Head {
            time_ns,
            connection: 0,
            total: 0,
            local_port: 0,
            remote_port: 0,
            kind: 0,
            direction: 0,
            role: 0,
            transport: 6,
            flags: 0,
        }
    }

    fn key(connection: u64) -> Key {
        Key { connection, tls: false }
    }

    fn end(port: u8) -> [u8; 18] {
        let mut end = [127; 18];
        end[17] = port;
        end
    }

    #[test]
    fn plaintext_and_ciphertext_of_a_connection_are_two() {
        let mut table = Table::new(10);
        table.insert(key(1), &head(0), None);
        assert!(table.find(Key { connection: 1, tls: true }).is_none());
        assert!(table.find(key(1)).is_some());
    }

    #[test]
    fn a_full_table_forgets_who_was_quiet_for_longest() {
        let mut table = Table::new(4);
        for (connection, time) in [(1, 40), (2, 10), (3, 30), (4, 20)] {
            assert!(table.make_room().is_none());
            table.insert(key(connection), &head(time), None);
        }
        assert_eq!(table.make_room().unwrap().key, key(2));
        table.insert(key(5), &head(50), None);
        assert_eq!((table.len(), table.find(key(2))), (4, None));
        assert!(table.find(key(1)).is_some());
    }

    #[test]
    fn a_place_is_not_that_of_a_successor() {
        let mut table = Table::new(10);
        let id = table.insert(key(1), &head(0), None);
        assert!(table.remove(id).is_some());
        table.insert(key(2), &head(0), None);
        assert!(table.at(id).is_none() && table.remove(id).is_none());
    }

    #[test]
    fn both_ends_know_that_the_other_is_here() {
        let mut table = Table::new(10);
        let client = table.insert(key(1), &head(0), Some((end(9), end(80))));
        assert!(!table.at(client).unwrap().peer_local);
        let server = table.insert(key(2), &head(0), Some((end(80), end(9))));
        assert!(table.at(client).unwrap().peer_local && table.at(server).unwrap().peer_local);
        let other = table.insert(key(3), &head(0), Some((end(80), end(10))));
        assert!(!table.at(other).unwrap().peer_local);
        table.remove(client);
        table.remove(server);
        table.remove(other);
        assert!(table.pairs.is_empty());
    }

    #[test]
    fn who_was_quiet_for_ten_minutes_is_found() {
        let mut table = Table::new(10);
        let old = table.insert(key(1), &head(0), None);
        table.insert(key(2), &head(QUIET_NS), None);
        assert_eq!(table.quiet(QUIET_NS + 1), [old]);
    }

    #[test]
    fn a_connection_whose_decoder_may_wait_for_an_answer_is_kept_for_a_day() {
        let mut table = Table::new(10);
        let stream = table.insert(key(1), &head(0), None);
        let datagrams = table.insert(key(2), &Head { transport: UDP, ..head(0) }, None);
        for id in [stream, datagrams] {
            table.at(id).unwrap().fate = Fate::Routed(3);
        }
        assert_eq!(table.quiet(QUIET_NS + 1), [datagrams], "whose end nobody tells");
        assert_eq!(table.quiet(ROUTED_QUIET_NS + 1), [stream, datagrams]);
    }
}
