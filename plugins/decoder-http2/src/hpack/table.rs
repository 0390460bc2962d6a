//! The dynamic table of one direction: RFC 7541, section 2.3.2. It need not have seen all of the connection.
//!
//! Entries are found by counting back from the newest one, so entries added since the last gap are found whatever came before. Entries
//! added before the gap have moved by an unknown number of positions: they are not found any more, but are retained until the next gap,
//! because [`recover`](crate::recover) may determine that number. An index behind the known entries is an unknown field, never an error.
//!
//! An entry that is dropped too late is harmless, because a peer does not refer to entries that it has dropped itself. A table whose
//! beginning was not seen is therefore assumed to have the maximum size, and an entry of unknown size the minimum.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::fields::Name;

/// The fields that a peer may refer to by index, as far as they are known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// Total size of the entries, as RFC 7541 counts it.
    size: u32,
    /// Maximum size of the entries.
    limit: u32,
    /// Bytes of their values on the heap.
    kept: u32,
    /// Number of entries added since bytes were missing; the positions of the others are not known. None if no bytes were missing.
    since: Option<u32>,
}

/// A field.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub name: Name,
    /// Length of the name, as far as known.
    pub name_length: u32,
    /// Its size, as RFC 7541 counts it.
    size: u32,
    /// Empty unless the name matters.
    value: Value,
}

/// A value. Short values, which come with every message, need no heap.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Value {
    Here { length: u8, bytes: [u8; HERE] },
    Heap(Box<[u8]>),
}

/// Maximum length of a value without heap: a content type, a length.
const HERE: usize = 22;

/// Maximum size of a table that is stored; a peer may claim any size.
pub(crate) const LARGEST: u32 = 64 * 1024;
/// Size of a table at the beginning of a connection.
const INITIAL: u32 = 4096;
/// Maximum number of entries retained while their positions are unknown: twice the number in a table of the initial size.
const UNSURE: usize = 256;
/// Size that RFC 7541 adds to each entry besides its bytes.
const OVERHEAD: u32 = 32;
/// Maximum number of bytes of a value that are stored: longer than any path that becomes a route.
const KEPT: usize = 512;

// === impl Table ===

impl Table {
    /// Returns the table at the beginning of a connection.
    pub(crate) fn initial() -> Self {
        Self { limit: INITIAL, ..Self::default() }
    }

    /// Returns an entry, counted from 0 at the newest.
    pub(crate) fn get(&self, place: usize) -> Option<&Entry> {
        if self.since.is_some_and(|since| place >= since as usize) {
            return None;
        }
        self.entries.get(self.entries.len().checked_sub(place)?.checked_sub(1)?)
    }

    /// Adds the newest entry. `value_length` is that of the whole value.
    pub(crate) fn add(&mut self, name: Name, name_length: u32, value: &[u8], value_length: u32) {
        let size = OVERHEAD.saturating_add(name_length).saturating_add(value_length);
        self.shrink(self.limit.saturating_sub(size));
        // An entry larger than the table empties it, which is not an error.
        if size <= self.limit {
            let value = Value::new(if name.matters() { value.get(..KEPT).unwrap_or(value) } else { &[] });
            self.kept += value.on_heap();
            self.entries.push_back(Entry { name, name_length, size, value });
            self.size += size;
            self.since = self.since.map(|since| since + 1);
            if self.since.is_some_and(|since| since as usize >= UNSURE) {
                // Enough entries with known positions by now.
                self.forget_unsure();
            }
        }
    }

    /// Applies a size that the peer announced.
    pub(crate) fn resize(&mut self, limit: u32) {
        self.limit = limit.min(LARGEST);
        self.shrink(self.limit);
    }

    /// Marks the positions of all entries as lost: an unknown number may have been added, and the size may have changed.
    pub(crate) fn lose_position(&mut self) {
        // Only entries inserted between the two gaps are retained; earlier ones cannot be recovered.
        let keep = self.since.filter(|&since| since > 0).map_or(UNSURE, |since| UNSURE.min(since as usize));
        while self.entries.len() > keep {
            self.drop_oldest();
        }
        self.limit = LARGEST;
        self.since = Some(0);
    }

    /// Whether the positions of all entries are known.
    pub(crate) const fn is_sure(&self) -> bool {
        self.since.is_none()
    }

    /// Returns the table as it would be if `hidden` entries had been added while bytes were missing.
    pub(crate) fn assuming(&self, hidden: usize) -> Self {
        let mut table = self.clone();
        let place = table.entries.len() - table.entries.len().min(self.since.unwrap_or(0) as usize);
        for _ in 0..hidden {
            table.size += OVERHEAD;
            let value = Value::new(&[]);
            table.entries.insert(place, Entry { name: Name::Unknown, name_length: 0, size: OVERHEAD, value });
        }
        table.since = None;
        table
    }

    /// Drops the entries whose positions are not known.
    pub(crate) fn forget_unsure(&mut self) {
        if let Some(since) = self.since.take() {
            while self.entries.len() > since as usize {
                self.drop_oldest();
            }
        }
    }

    /// Returns the approximate number of bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.kept as usize
    }

    /// Drops the oldest entries until the total size is at most `size`.
    fn shrink(&mut self, size: u32) {
        while self.size > size && !self.entries.is_empty() {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else { return };
        self.size = self.size.saturating_sub(oldest.size);
        self.kept = self.kept.saturating_sub(oldest.value.on_heap());
        let left = self.entries.len() as u32;
        self.since = self.since.map(|since| since.min(left));
    }

    /// Returns the total size of the entries.
    #[cfg(test)]
    pub(crate) const fn size(&self) -> u32 {
        self.size
    }

    /// Returns the number of entries.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> usize {
        self.entries.len()
    }
}

// === impl Entry ===

impl Entry {
    /// Returns the value; empty unless the name matters.
    pub(crate) fn value(&self) -> &[u8] {
        match &self.value {
            Value::Here { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Value::Heap(bytes) => bytes,
        }
    }
}

// === impl Value ===

impl Value {
    fn new(value: &[u8]) -> Self {
        let mut bytes = [0; HERE];
        match bytes.get_mut(..value.len()) {
            Some(place) => {
                place.copy_from_slice(value);
                Self::Here { length: value.len() as u8, bytes }
            }
            None => Self::Heap(value.into()),
        }
    }

    const fn on_heap(&self) -> u32 {
        match self {
            Self::Here { .. } => 0,
            Self::Heap(bytes) => bytes.len() as u32,
        }
    }
}

/// The table of a connection whose beginning was not seen.
impl Default for Table {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, limit: LARGEST, kept: 0, since: None }
    }
}
