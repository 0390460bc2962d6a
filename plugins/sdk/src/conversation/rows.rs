//! The rows of a batch, kept until the next: what a protocol found out, and the connection it was found on.

use super::link::Link;
use super::{Began, Ending, Kind};
use crate::scan::append;

/// The rows of a batch.
pub(crate) struct Rows<X> {
    rows: Vec<Row<X>>,
    links: Vec<Link>,
    /// The texts of all rows, one behind the other.
    text: Vec<u8>,
    /// Counts the batches.
    batch: u32,
}

/// One row.
pub(crate) struct Row<X> {
    pub began: Began,
    pub ended_ns: u64,
    pub exchange: X,
    /// Where its connection is among the links.
    link: u32,
    error: Kept,
    name: Kept,
    version: Kept,
    trace_parent: Kept,
}

/// Text or bytes that a row keeps until the batch has gone on: see [`Emit::keep`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    start: u32,
    len: u32,
}

/// The texts that rows keep, for a field that is made of several.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a>(&'a [u8]);

/// Where rows go to.
pub struct Emit<'a, X> {
    rows: &'a mut Rows<X>,
    from: &'a mut Source,
}

/// A connection as rows name it: it is copied into a batch once, with its first row there.
pub(crate) struct Source {
    pub link: Link,
    /// The batch that has it, and its place there.
    copied: Option<(u32, u32)>,
}

/// A row that was just added, to say more about it.
pub struct RowRef<'a, X> {
    rows: &'a mut Rows<X>,
}

/// Length of a `traceparent`: `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const TRACE_PARENT: usize = 55;

// === impl Emit ===

impl<'a, X> Emit<'a, X> {
    pub(crate) const fn new(rows: &'a mut Rows<X>, from: &'a mut Source) -> Self {
        Self { rows, from }
    }

    /// Adds a row: an exchange that began there and then, and ended then, in nanoseconds of CLOCK_MONOTONIC. No two rows of a
    /// connection begin in the same place: the identity of their spans comes from it.
    #[inline]
    pub fn row(&mut self, began: Began, ended_ns: u64, exchange: X) -> RowRef<'_, X> {
        let link = self.from.place(self.rows);
        let none = Kept::default();
        let row = Row { began, ended_ns, exchange, link, error: none, name: none, version: none, trace_parent: none };
        self.rows.rows.push(row);
        RowRef { rows: self.rows }
    }

    /// Keeps text or bytes for a row, until the batch has gone on, without an allocation of their own. A field of it is made with
    /// [`Sheet::kept`](super::Sheet::kept).
    #[inline]
    pub fn keep(&mut self, bytes: &[u8]) -> Kept {
        self.rows.keep(bytes)
    }

    /// Which end of the connection this is: what a row will be.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.from.link.kind
    }
}

// === impl RowRef ===

impl<X> RowRef<'_, X> {
    /// It failed: `error.type`, one of a few. Without it, or with empty text, it did not.
    #[inline]
    pub fn error(&mut self, error: &str) -> &mut Self {
        self.put(error.as_bytes(), |row| &mut row.error)
    }

    /// There was no end to it: `error.type` says why.
    pub fn unfinished(&mut self, why: &Ending) -> &mut Self {
        self.error(why.error())
    }

    /// The name of its span.
    #[inline]
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.put(name.as_bytes(), |row| &mut row.name)
    }

    /// `network.protocol.version`
    #[inline]
    pub fn protocol_version(&mut self, version: &str) -> &mut Self {
        self.put(version.as_bytes(), |row| &mut row.version)
    }

    /// The W3C `traceparent` that came with it. What is none is left out.
    pub fn trace_parent(&mut self, text: &[u8]) -> &mut Self {
        let is_digit = |(at, byte): (usize, &u8)| match at {
            2 | 35 | 52 => *byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
        };
        if text.len() == TRACE_PARENT && text.iter().enumerate().all(is_digit) {
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
    pub(crate) const fn new(link: Link) -> Self {
        Self { link, copied: None }
    }

    /// The connection is not what it was.
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

    /// Makes place for the next batch.
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

    /// The connection of a row.
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
    /// What was kept.
    #[must_use]
    #[inline]
    pub fn of(self, kept: Kept) -> &'a [u8] {
        self.0.get(kept.start as usize..).and_then(|rest| rest.get(..kept.len as usize)).unwrap_or_default()
    }
}

// === impl Kept ===

impl Kept {
    /// Whether there is nothing in it.
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
