//! The connections that are stored, up to a maximum: the one that was silent longest is removed first.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use serde::{Deserialize, Serialize};

use super::Sender;
use super::early::Early;
use super::rows::Source;
use super::stream::Stream;
use crate::hash::Mixed;

/// The table.
pub(crate) struct Connections<C> {
    /// Entries in use and free ones.
    slots: Vec<Slot<C>>,
    places: HashMap<Key, u32, BuildHasherDefault<Mixed>>,
    free: Vec<u32>,
    most: usize,
    /// Ends of the list by last use.
    newest: u32,
    oldest: u32,
}

/// Identifies a conversation: plaintext and ciphertext of one socket are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Key {
    pub connection: u64,
    pub is_tls: bool,
}

/// The state of one connection.
pub(crate) struct Entry<C> {
    pub key: Key,
    pub source: Source,
    pub state: C,
    /// The client's stream, then the server's.
    pub streams: [Stream; 2],
    /// Responses whose requests are still to come.
    pub early: Early,
    /// Whether it speaks another protocol.
    pub is_foreign: bool,
    /// Number of its bytes on the heap, as last counted.
    pub weight: usize,
    /// Time of the last activity on it, from either end.
    pub heard_ns: u64,
}

struct Slot<C> {
    entry: Option<Entry<C>>,
    newer: u32,
    older: u32,
}

/// No slot.
const NONE: u32 = u32::MAX;

// === impl Connections ===

impl<C> Connections<C> {
    /// Returns an empty table for this many connections.
    pub(crate) fn new(most: usize) -> Self {
        Self { slots: Vec::new(), places: HashMap::default(), free: Vec::new(), most, newest: NONE, oldest: NONE }
    }

    /// Returns the entry of this connection, which becomes the newest.
    #[inline(always)]
    pub(crate) fn used(&mut self, key: Key) -> Option<&mut Entry<C>> {
        // Most records are of the same connection as the one before.
        if self.slot(self.newest).and_then(|slot| slot.entry.as_ref()).is_none_or(|entry| entry.key != key) {
            self.renew(key)?;
        }
        self.slots.get_mut(self.newest as usize)?.entry.as_mut()
    }

    /// Makes a connection the newest; returns None if it is not in the table.
    #[inline(never)]
    fn renew(&mut self, key: Key) -> Option<()> {
        let place = *self.places.get(&key)?;
        self.unlink(place);
        self.link(place);
        Some(())
    }

    /// Adds a connection as the newest. The table must not be full: see [`is_full`](Self::is_full).
    pub(crate) fn add(&mut self, entry: Entry<C>) {
        let key = entry.key;
        let slot = Slot { entry: Some(entry), newer: NONE, older: NONE };
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(free) = self.slots.get_mut(place as usize) {
                    *free = slot;
                }
                place
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        self.places.insert(key, place);
        self.link(place);
    }

    /// Whether one must be removed before another is added.
    pub(crate) fn is_full(&self) -> bool {
        self.places.len() >= self.most
    }

    /// Removes and returns a connection.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Entry<C>> {
        let place = self.places.remove(&key)?;
        self.take(place)
    }

    /// Removes and returns the one that was silent longest.
    pub(crate) fn remove_oldest(&mut self) -> Option<Entry<C>> {
        let key = self.slot(self.oldest)?.entry.as_ref()?.key;
        self.remove(key)
    }

    /// Iterates over all connections, in any order.
    pub(crate) fn each(&mut self) -> impl Iterator<Item = &mut Entry<C>> {
        self.slots.iter_mut().filter_map(|slot| slot.entry.as_mut())
    }

    /// Iterates over all connections, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Entry<C>> {
        let mut place = self.newest;
        std::iter::from_fn(move || {
            let slot = self.slot(place)?;
            place = slot.older;
            slot.entry.as_ref()
        })
    }

    fn slot(&self, place: u32) -> Option<&Slot<C>> {
        self.slots.get(place as usize)
    }

    fn take(&mut self, place: u32) -> Option<Entry<C>> {
        self.unlink(place);
        self.free.push(place);
        self.slots.get_mut(place as usize)?.entry.take()
    }

    fn link(&mut self, place: u32) {
        let older = self.newest;
        if let Some(slot) = self.slots.get_mut(place as usize) {
            (slot.newer, slot.older) = (NONE, older);
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }

    fn unlink(&mut self, place: u32) {
        let Some(&Slot { newer, older, .. }) = self.slot(place) else { return };
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }
}

// === impl Entry ===

impl<C: Default> Entry<C> {
    pub(crate) fn new(key: Key, source: Source) -> Self {
        Self {
            key,
            source,
            state: C::default(),
            streams: Default::default(),
            early: Early::default(),
            is_foreign: false,
            weight: 0,
            heard_ns: 0,
        }
    }
}

impl<C> Entry<C> {
    /// Returns the number of bytes that it stores: of half messages, and of complete ones that wait.
    pub(crate) fn kept(&self) -> usize {
        let [client, server] = &self.streams;
        client.kept() + server.kept() + self.early.kept()
    }
}

/// Returns the index of this end's stream.
pub(crate) const fn place(sender: Sender) -> usize {
    match sender {
        Sender::Client => 0,
        Sender::Server => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{Connections, Entry, Key};
    use crate::conversation::link::Link;
    use crate::conversation::record::L7Record;
    use crate::conversation::rows::Source;
    use crate::testing::Talk;

    fn entry(connection: u64) -> Entry<u64> {
        let record = Talk::tcp("10.0.0.7:40000", 80).client(b"x").records().remove(0);
        let source = Source::new(Link::new(L7Record::new(&record).unwrap()));
        Entry { state: connection, ..Entry::new(key(connection), source) }
    }

    fn key(connection: u64) -> Key {
        Key { connection, is_tls: false }
    }

    fn order(table: &Connections<u64>) -> Vec<u64> {
        table.newest_first().map(|entry| entry.state).collect()
    }

    #[test]
    fn the_one_that_was_silent_longest_goes_first() {
        let mut table = Connections::new(3);
        (1..=3).for_each(|connection| table.add(entry(connection)));
        assert!(table.is_full());
        assert_eq!(table.used(key(1)).unwrap().state, 1);
        assert_eq!(order(&table), [1, 3, 2]);
        assert_eq!(table.remove_oldest().unwrap().state, 2);
        table.add(entry(4));
        assert_eq!(table.used(key(4)).unwrap().state, 4);
        assert_eq!(table.used(key(3)).unwrap().state, 3);
        assert_eq!(order(&table), [3, 4, 1]);
        assert!(table.used(key(2)).is_none());
    }

    #[test]
    fn a_table_that_was_emptied_can_be_filled_again() {
        let mut table = Connections::new(2);
        for round in 0..3 {
            table.add(entry(round));
            table.add(entry(round + 10));
            assert_eq!(table.remove(key(round)).unwrap().state, round);
            assert_eq!(order(&table), [round + 10]);
            assert_eq!(table.remove_oldest().unwrap().state, round + 10);
            assert!(table.remove_oldest().is_none());
        }
        assert_eq!(table.slots.len(), 2, "places are used again");
    }
}
