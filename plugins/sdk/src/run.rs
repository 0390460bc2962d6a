//! The framing of a run: the bounds of each record.

/// Length of the header before each record.
const HEADER: usize = 8;
/// Flag of a record that its program discarded.
const DISCARDED: u32 = 1 << 30;

/// The records of a run, without the discarded ones.
///
/// ```
/// let run = plugin_sdk::testing::run([b"one".as_slice(), b"two"]);
/// assert_eq!(plugin_sdk::Records::new(&run).collect::<Vec<_>>(), [b"one", b"two"]);
/// ```
#[derive(Debug, Clone)]
pub struct Records<'a> {
    run: &'a [u8],
    at: usize,
    broken: bool,
}

/// The range of one record in its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    len: u32,
}

// === impl Records ===

impl<'a> Records<'a> {
    /// Returns the records of this run. A run of 4 GiB or more is broken from there on.
    #[must_use]
    pub const fn new(run: &'a [u8]) -> Self {
        Self { run, at: 0, broken: false }
    }

    /// Whether a header was read whose record exceeds the run; the records before it are valid.
    #[must_use]
    pub const fn broken(&self) -> bool {
        self.broken
    }

    /// Returns the range of the next record.
    pub(crate) fn next_span(&mut self) -> Option<Span> {
        while self.at < self.run.len() {
            let header = self.run.get(self.at..).and_then(|rest| rest.first_chunk::<HEADER>());
            let Some(&[a, b, c, d, ..]) = header else { return self.stop() };
            let word = u32::from_le_bytes([a, b, c, d]);
            let len = word & !DISCARDED;
            let start = self.at + HEADER;
            let end = start.checked_add(len as usize).filter(|&end| end <= self.run.len());
            let (Some(end), Ok(start)) = (end, u32::try_from(start)) else { return self.stop() };
            self.at = end.next_multiple_of(HEADER);
            if word & DISCARDED == 0 {
                return Some(Span { start, len });
            }
        }
        None
    }

    fn stop<T>(&mut self) -> Option<T> {
        self.broken = true;
        self.at = self.run.len();
        None
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.next_span()?.of(self.run)
    }
}

// === impl Span ===

impl Span {
    /// Returns the length of the record.
    #[inline(always)]
    pub(crate) const fn len(self) -> usize {
        self.len as usize
    }

    /// Returns the record, in the run of the span.
    #[inline(always)]
    pub(crate) fn of(self, run: &[u8]) -> Option<&[u8]> {
        run.get(self.start as usize..)?.get(..self.len as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::Records;
    use crate::testing::run;

    #[test]
    fn discarded_records_are_skipped() {
        let mut bytes = run([b"gone".as_slice(), b"here"]);
        bytes[3] |= 0x40;
        assert_eq!(Records::new(&bytes).collect::<Vec<_>>(), [b"here"]);
    }

    #[test]
    fn a_length_past_the_end_breaks_the_run_and_nothing_else() {
        let mut bytes = run([b"one".as_slice(), b"two"]);
        bytes[16] = 200;
        let mut records = Records::new(&bytes);
        assert_eq!(records.by_ref().collect::<Vec<_>>(), [b"one"]);
        assert!(records.broken());
    }

    #[test]
    fn half_a_header_breaks_the_run() {
        let mut bytes = run([b"one".as_slice()]);
        bytes.extend_from_slice(&[0; 5]);
        let mut records = Records::new(&bytes);
        assert_eq!(records.by_ref().count(), 1);
        assert!(records.broken());
    }
}
