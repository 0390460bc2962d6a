//! The kernel's framing of records: walks from header to header, up to the first record that is still being written.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use host_model::run::{BUSY, DISCARDED, slot_len};

/// The data of a ring, mapped once: a power of two in size; a record may lie across its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data<'a> {
    start: NonNull<u8>,
    size: usize,
    pages: PhantomData<&'a [u8]>,
}

/// Maximum size of a run; one record is always allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// Committed records from a position on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Walked {
    /// Number of bytes, headers and padding included.
    pub(super) bytes: usize,
    /// Number of records, without discarded ones.
    pub(super) records: u32,
    /// Whether this is one record that lies across the end of the ring.
    pub(super) straddles: bool,
}

// === impl Data ===

impl<'a> Data<'a> {
    /// Uses the first `size` bytes of `memory`: `size` is a power of two, `memory` 8-aligned.
    pub(super) fn new(memory: NonNull<[u8]>, size: usize) -> Self {
        debug_assert!(size.is_power_of_two() && size <= memory.len() && memory.cast::<u64>().is_aligned());
        Self { start: memory.cast(), size: size.min(memory.len()), pages: PhantomData }
    }

    /// Returns the committed records from `from` up to `to`, the end of the ring, or a limit.
    pub(super) fn walk(&self, from: u64, to: u64, limits: Limits) -> Walked {
        let mut walked = Walked::default();
        let available = self.between(from, to);
        let until_end = self.size - self.offset(from);
        while walked.bytes < available.min(until_end) {
            let header = self.header(from + walked.bytes as u64);
            let slot = slot_len(header);
            if header & BUSY != 0 || walked.bytes + slot > available {
                break;
            }
            let records = walked.records + u32::from(header & DISCARDED == 0);
            if walked.bytes + slot > until_end {
                // A record across the end goes alone, as it has to be copied together.
                return if walked.bytes == 0 { Walked { bytes: slot, records, straddles: true } } else { walked };
            }
            let over = records as usize > limits.records || walked.bytes + slot > limits.bytes;
            if over && walked.records > 0 {
                break;
            }
            walked = Walked { bytes: walked.bytes + slot, records, straddles: false };
            if over {
                break;
            }
        }
        walked
    }

    /// Number of records between two positions that are committed, also behind a busy one, and not discarded.
    pub(super) fn count(&self, from: u64, to: u64) -> u64 {
        let (mut position, mut records) = (from, 0);
        while position < to {
            let header = self.header(position);
            records += u64::from(header & (BUSY | DISCARDED) == 0);
            position += slot_len(header) as u64;
        }
        records
    }

    /// Whether the record at `position`, which must have been reserved, is still being written.
    pub(super) fn head_is_busy(&self, position: u64) -> bool {
        self.header(position) & BUSY != 0
    }

    /// Returns `length` bytes from `position`, which a walk has found to be committed records before the end.
    pub(super) fn slice(&self, position: u64, length: usize) -> &'a [u8] {
        let offset = self.offset(position);
        let length = length.min(self.size - offset);
        // SAFETY: within the data. The kernel does not write to committed records until the consumer position has passed them,
        // and the pages are mapped read-only here.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(offset), length) }
    }

    /// Same as [`Self::slice`], across the end: copied into `into`.
    pub(super) fn join(&self, position: u64, length: usize, into: &mut Vec<u8>) {
        into.clear();
        let head = self.slice(position, length);
        into.extend_from_slice(head);
        into.extend_from_slice(self.slice(0, length - head.len()));
    }

    fn header(&self, position: u64) -> u32 {
        // SAFETY: within the data; headers are 8-aligned since all slots are multiples of 8, and the kernel writes them atomically.
        let header = unsafe { &*self.start.as_ptr().add(self.offset(position) & !7).cast::<AtomicU32>() };
        header.load(Ordering::Acquire)
    }

    fn offset(&self, position: u64) -> usize {
        usize::try_from(position & (self.size as u64 - 1)).unwrap_or(0)
    }

    fn between(&self, from: u64, to: u64) -> usize {
        usize::try_from(to.saturating_sub(from)).unwrap_or(0).min(self.size)
    }
}

#[cfg(test)]
mod tests {
    use host_model::Run;

    use super::*;

    const SIZE: usize = 256;
    const ALL: Limits = Limits { records: usize::MAX, bytes: usize::MAX };

    /// Memory of a ring, written as the kernel does, with wrap-around.
    struct Memory {
        words: Vec<u64>,
        producer: u64,
    }

    impl Memory {
        fn starting_at(position: u64) -> Self {
            Self { words: vec![0; SIZE / 8], producer: position }
        }

        fn push(&mut self, length: usize, flags: u32) -> &mut Self {
            let mut slot = Vec::new();
            Run::push(&mut slot, &vec![b'r'; length]);
            slot[3] |= (flags >> 24) as u8;
            for word in slot.chunks(8) {
                let index = (self.producer as usize % SIZE) / 8;
                self.words[index] = u64::from_le_bytes(word.try_into().unwrap());
                self.producer += 8;
            }
            self
        }

        fn data(&self) -> Data<'_> {
            let bytes = NonNull::slice_from_raw_parts(NonNull::from(self.words.as_slice()).cast(), SIZE);
            Data::new(bytes, SIZE)
        }
    }

    #[test]
    fn a_run_ends_before_the_first_busy_record_though_others_are_committed_behind_it() {
        let mut memory = Memory::starting_at(0);
        memory.push(16, 0).push(16, BUSY).push(16, 0);
        assert_eq!(memory.data().walk(0, memory.producer, ALL), Walked { bytes: 24, records: 1, straddles: false });
        assert!(!memory.data().head_is_busy(0));
        assert!(memory.data().head_is_busy(24));
        assert_eq!(memory.data().count(0, memory.producer), 2);
    }

    #[test]
    fn discarded_records_are_in_the_run_and_not_in_its_count() {
        let mut memory = Memory::starting_at(0);
        memory.push(8, 0).push(8, DISCARDED).push(8, 0);
        let walked = memory.data().walk(0, memory.producer, ALL);
        assert_eq!((walked.bytes, walked.records), (48, 2));
        assert_eq!(Run::parse(memory.data().slice(0, walked.bytes)).unwrap().records, 2);
        assert_eq!(memory.data().count(0, memory.producer), 2);
    }

    #[test]
    fn a_record_across_the_end_comes_alone_and_whole() {
        let mut memory = Memory::starting_at(SIZE as u64 - 40);
        let start = memory.producer;
        memory.push(8, 0).push(40, 0).push(8, 0);
        let before = memory.data().walk(start, memory.producer, ALL);
        assert_eq!(before, Walked { bytes: 16, records: 1, straddles: false });
        let across = memory.data().walk(start + 16, memory.producer, ALL);
        assert_eq!(across, Walked { bytes: 48, records: 1, straddles: true });
        let mut whole = Vec::new();
        memory.data().join(start + 16, 48, &mut whole);
        assert_eq!(Run::parse(&whole).unwrap().iter().next(), Some([b'r'; 40].as_slice()));
        let after = memory.data().walk(start + 64, memory.producer, ALL);
        assert_eq!(after, Walked { bytes: 16, records: 1, straddles: false });
    }

    #[test]
    fn a_run_that_ends_exactly_at_the_end_of_the_ring_does_not_go_on_at_its_start() {
        let mut memory = Memory::starting_at(SIZE as u64 - 16);
        let start = memory.producer;
        memory.push(8, 0).push(8, 0);
        assert_eq!(memory.data().walk(start, memory.producer, ALL), Walked { bytes: 16, records: 1, straddles: false });
    }

    #[test]
    fn limits_hold_but_one_record_is_always_given() {
        let mut memory = Memory::starting_at(0);
        memory.push(8, 0).push(8, 0).push(8, 0);
        let walk = |records, bytes| memory.data().walk(0, memory.producer, Limits { records, bytes });
        assert_eq!(walk(2, 1000).bytes, 32);
        assert_eq!(walk(1000, 40).bytes, 32);
        assert_eq!(walk(1000, 1).bytes, 16);
        assert_eq!(walk(0, 0).records, 1);
    }

    #[test]
    fn a_length_that_reaches_past_the_producer_ends_the_run() {
        let mut memory = Memory::starting_at(0);
        memory.push(8, 0).push(100, 0);
        assert_eq!(memory.data().walk(0, 32, ALL).bytes, 16);
    }
}
