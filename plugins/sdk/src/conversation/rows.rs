//! The rows of a batch, kept until the next: the protocol's part, and the connection of each.

use std::ops::Range;

use super::link::Link;
use super::{Began, Ending, FORGOTTEN, Kind, Service};
use crate::scan::{HIGH, ONES, append};

/// The rows of a batch.
pub(crate) struct Rows<X> {
    rows: Vec<Row<X>>,
    links: Vec<Link>,
    /// The texts of all rows, one behind the other.
    text: Vec<u8>,
    /// Number of batches.
    batch: u32,
}

/// One row.
pub(crate) struct Row<X> {
    pub began: Began,
    pub ended_ns: u64,
    pub exchange: X,
    /// Index of its connection among the links.
    link: u32,
    error: Kept,
    name: Kept,
    version: Kept,
    trace_parent: Kept,
}

/// Text or bytes of a row, stored until the batch has been passed on: see [`Emit::keep`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    start: u32,
    len: u32,
}

/// The stored texts of rows, for a field that is made of several.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a>(&'a [u8]);

/// Receives rows.
pub struct Emit<'a, X> {
    rows: &'a mut Rows<X>,
    from: &'a mut Source,
}

/// A connection as rows refer to it: it is copied into a batch once, with its first row there.
pub(crate) struct Source {
    pub link: Link,
    /// The service on it.
    service: Service,
    /// Time of the last call.
    pub seen_ns: u64,
    /// The batch that has it, and its index there.
    copied: Option<(u32, u32)>,
}

/// A row that was just added, to set more of it.
pub struct RowRef<'a, X> {
    rows: &'a mut Rows<X>,
}

/// Whether text is a `traceparent`: a version, a trace, a span and flags, in 2, 32, 16 and 2 digits, in lower case (W3C Trace Context,
/// 3.2). Checks eight digits at a time.
#[must_use]
pub fn is_trace_parent(text: &[u8]) -> bool {
    /// Returns a word with no high bit set if all bytes are digits, `0` to `9` and `a` to `f`.
    fn others(word: u64) -> u64 {
        let (digit, letter) = (word ^ (ONES * u64::from(b'0')), word ^ (ONES * u64::from(b'a' - 1)));
        let add = |word: u64, byte: u64| word.wrapping_add(ONES * byte);
        // Over 9; and over 6, or 0.
        word | (add(digit, 0x7f - 9) & (add(letter, 0x7f - 6) | !add(letter, 0x7f)))
    }
    let Ok(&[v1, v2, b'-', ref trace @ .., b'-', f1, f2]) = <&[u8; 55]>::try_from(text) else { return false };
    let Some((trace, &[b'-', ref span @ ..])) = trace.split_first_chunk::<32>() else { return false };
    let few = u64::from_le_bytes([v1, v2, f1, f2, b'0', b'0', b'0', b'0']);
    let eights = trace.as_chunks::<8>().0.iter().chain(span.as_chunks::<8>().0);
    eights.fold(others(few), |all, eight| all | others(u64::from_le_bytes(*eight))) & HIGH == 0
}

// === impl Emit ===

impl<'a, X> Emit<'a, X> {
    pub(crate) const fn new(rows: &'a mut Rows<X>, from: &'a mut Source) -> Self {
        Self { rows, from }
    }

    /// Adds a row: an exchange with this beginning, and this end in nanoseconds of CLOCK_MONOTONIC. No two rows of a connection begin at
    /// the same place: the identity of their spans is derived from it.
    #[inline]
    pub fn row(&mut self, began: Began, ended_ns: u64, exchange: X) -> RowRef<'_, X> {
        let link = self.from.place(self.rows);
        let none = Kept::default();
        let row = Row { began, ended_ns, exchange, link, error: none, name: none, version: none, trace_parent: none };
        self.rows.rows.push(row);
        RowRef { rows: self.rows }
    }

    /// Stores text or bytes for a row, until the batch has been passed on, without a separate allocation.
    /// [`Sheet::kept`](super::Sheet::kept) makes a field of it.
    #[inline]
    pub fn keep(&mut self, bytes: &[u8]) -> Kept {
        self.rows.keep(bytes)
    }

    /// Returns the time of the current call, in nanoseconds of CLOCK_MONOTONIC. 0 before the first.
    #[must_use]
    pub const fn time_ns(&self) -> u64 {
        self.from.seen_ns
    }

    /// Returns the end of the connection that the rows are of.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.from.link.kind
    }

    /// Returns the service on the connection, for which [`Routes`](super::Routes) are learnt.
    #[must_use]
    pub const fn service(&self) -> Service {
        self.from.service
    }
}

// === impl RowRef ===

impl<X> RowRef<'_, X> {
    /// Marks the row as failed: `error.type`, one of a few. Without it, or with empty text, it did not fail.
    #[inline]
    pub fn error(&mut self, error: &str) -> &mut Self {
        self.put(error.as_bytes(), |row| &mut row.error)
    }

    /// Marks the row as without an end: `error.type` is the reason.
    pub fn unfinished(&mut self, why: &Ending) -> &mut Self {
        self.error(why.error())
    }

    /// Marks the row as dropped while it waited for its end: `error.type` is that of dropped requests.
    pub fn forgotten(&mut self) -> &mut Self {
        self.error(FORGOTTEN)
    }

    /// Sets the name of its span.
    #[inline]
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.put(name.as_bytes(), |row| &mut row.name)
    }

    /// Sets `network.protocol.version`.
    #[inline]
    pub fn protocol_version(&mut self, version: &str) -> &mut Self {
        self.put(version.as_bytes(), |row| &mut row.version)
    }

    /// Sets the W3C `traceparent` of the request. Invalid text is omitted.
    pub fn trace_parent(&mut self, text: &[u8]) -> &mut Self {
        if is_trace_parent(text) {
            self.put(text, |row| &mut row.trace_parent);
        }
        self
    }

    #[inline]
    fn put(&mut self, bytes: &[u8], place: impl FnOnce(&mut Row<X>) -> &mut Kept) -> &mut Self {
        let kept = self.rows.keep(bytes);
        if let Some(row) = self.rows.rows.last_mut() {
            *place(row) = kept;
        }
        self
    }
}

// === impl Source ===

impl Source {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, service: link.service(), seen_ns: 0, copied: None }
    }

    /// Records that the connection has changed.
    pub(crate) const fn changed(&mut self) {
        self.copied = None;
    }

    #[inline]
    fn place<X>(&mut self, rows: &mut Rows<X>) -> u32 {
        match self.copied {
            Some((batch, place)) if batch == rows.batch => place,
            _ => {
                let place = rows.links.len() as u32;
                rows.links.push(self.link);
                self.copied = Some((rows.batch, place));
                place
            }
        }
    }
}

// === impl Rows ===

impl<X> Rows<X> {
    pub(crate) const fn new() -> Self {
        Self { rows: Vec::new(), links: Vec::new(), text: Vec::new(), batch: 0 }
    }

    /// Clears it for the next batch.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.links.clear();
        self.text.clear();
        self.batch = self.batch.wrapping_add(1);
    }

    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    pub(crate) fn get(&self, row: u32) -> Option<&Row<X>> {
        self.rows.get(row as usize)
    }

    /// Returns the connection of a row.
    #[inline]
    pub(crate) fn link(&self, row: &Row<X>) -> Option<&Link> {
        self.links.get(row.link as usize)
    }

    #[inline]
    pub(crate) fn texts(&self) -> Texts<'_> {
        Texts(&self.text)
    }

    #[inline]
    fn keep(&mut self, bytes: &[u8]) -> Kept {
        if bytes.is_empty() {
            return Kept::default();
        }
        let start = self.text.len() as u32;
        append(&mut self.text, bytes);
        Kept { start, len: bytes.len() as u32 }
    }
}

// === impl Texts ===

impl<'a> Texts<'a> {
    /// Returns a stored text.
    #[must_use]
    #[inline]
    pub fn of(self, kept: Kept) -> &'a [u8] {
        self.0.get(kept.start as usize..).and_then(|rest| rest.get(..kept.len as usize)).unwrap_or_default()
    }
}

// === impl Kept ===

impl Kept {
    /// Returns a part of it, by its bytes: for several texts that were stored at once, each for its own field. The part beyond its end is
    /// omitted.
    #[must_use]
    #[inline]
    pub fn part(self, bytes: Range<usize>) -> Self {
        let whole = self.len as usize;
        let (start, end) = (bytes.start.min(whole), bytes.end.min(whole));
        Self { start: self.start + start as u32, len: end.saturating_sub(start) as u32 }
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

// === impl Row ===

impl<X> Row<X> {
    pub(crate) const fn error(&self) -> Kept {
        self.error
    }

    pub(crate) const fn name(&self) -> Kept {
        self.name
    }

    pub(crate) const fn version(&self) -> Kept {
        self.version
    }

    pub(crate) const fn trace_parent(&self) -> Kept {
        self.trace_parent
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, is_trace_parent};

    #[test]
    fn a_trace_parent_has_digits_and_dashes_in_their_places_and_nothing_else() {
        let whole = *b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
        assert!(is_trace_parent(&whole));
        assert!(!is_trace_parent(&whole[..54]) && !is_trace_parent(&[&whole[..], b"0"].concat()));
        for place in 0..whole.len() {
            for byte in 0..=u8::MAX {
                let mut text = whole;
                text[place] = byte;
                let is = match place {
                    2 | 35 | 52 => byte == b'-',
                    _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                };
                assert_eq!(is_trace_parent(&text), is, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn a_part_of_what_is_kept_stays_within_it() {
        let whole = Kept { start: 10, len: 5 };
        assert_eq!(whole.part(1..3), Kept { start: 11, len: 2 });
        assert_eq!(whole.part(3..9), Kept { start: 13, len: 2 });
        assert!(whole.part(7..9).is_empty());
    }
}
