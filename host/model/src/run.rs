//! A run: the committed records at the head of a ring, as one slice.

/// Length of the header before each record.
pub const HEADER: usize = 8;
/// Flag that the kernel sets while a record is being written. Never set within a run.
pub const BUSY: u32 = 1 << 31;
/// Flag of a record that its program discarded.
pub const DISCARDED: u32 = 1 << 30;

/// Consecutive records in the layout of the BPF ring buffer: per record a header (u32 length and flags, u32 page offset), `length` bytes,
/// padding to a multiple of 8. The slice starts and ends on record boundaries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run<'a> {
    /// The bytes, headers included.
    pub bytes: &'a [u8],
    /// Number of records that are not discarded.
    pub records: u32,
}

// === impl Run ===

impl<'a> Run<'a> {
    /// Counts the records in `bytes`.
    ///
    /// Returns None if the framing is invalid: a length past the end, a busy record, or bytes left over.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut records = 0;
        while !rest.is_empty() {
            let (header, _) = split_header(rest)?;
            if header & BUSY != 0 {
                return None;
            }
            if header & DISCARDED == 0 {
                records += 1;
            }
            rest = rest.get(slot_len(header)..)?;
        }
        Some(Self { bytes, records })
    }

    /// Iterates over the records, without the discarded ones.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            loop {
                let (header, body) = split_header(rest)?;
                let record = body.get(..payload_len(header))?;
                rest = rest.get(slot_len(header)..)?;
                if header & DISCARDED == 0 {
                    return Some(record);
                }
            }
        })
    }

    /// Appends one record to `bytes`, framed like the kernel does. For captures and tests.
    pub fn push(bytes: &mut Vec<u8>, record: &[u8]) {
        let length = u32::try_from(record.len()).unwrap_or(0) & !(BUSY | DISCARDED);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(record);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
}

/// Returns the number of bytes of the record behind a header.
#[must_use]
pub const fn payload_len(header: u32) -> usize {
    (header & !(BUSY | DISCARDED)) as usize
}

/// Returns the number of bytes that the record takes in the ring: header, record, padding.
#[must_use]
pub const fn slot_len(header: u32) -> usize {
    (payload_len(header) + HEADER).next_multiple_of(8)
}

fn split_header(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (_, body) = rest.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*length), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discarded_records_are_skipped_and_not_counted() {
        let mut bytes = Vec::new();
        Run::push(&mut bytes, b"one");
        let discarded = bytes.len();
        Run::push(&mut bytes, b"gone");
        bytes[discarded + 3] |= 0x40;
        Run::push(&mut bytes, b"two");
        let run = Run::parse(&bytes).unwrap();
        assert_eq!(run.records, 2);
        assert_eq!(run.iter().collect::<Vec<_>>(), [b"one", b"two"]);
    }

    #[test]
    fn a_length_past_the_end_is_not_a_run() {
        let mut bytes = Vec::new();
        Run::push(&mut bytes, b"record");
        bytes[0] = 200;
        assert!(Run::parse(&bytes).is_none());
    }

    #[test]
    fn a_busy_record_is_not_a_run() {
        let mut bytes = Vec::new();
        Run::push(&mut bytes, b"record");
        bytes[3] |= 0x80;
        assert!(Run::parse(&bytes).is_none());
    }
}
