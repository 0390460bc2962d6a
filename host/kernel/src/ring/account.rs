//! The state that ring.h shares with its reader: the counters, and the size at which a sleeping reader is woken.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};
use std::{io, thread};

use host_model::KernelCounters;

use super::pages::Pages;

/// The section that holds `struct ring_state`.
pub(crate) const SECTION: &str = ".data.ring";
/// Size of `struct ring_state`: the reader's cache line, then one per slot.
pub(crate) const SIZE: usize = LINE + SLOTS * LINE;

/// `RING_VERSION`.
pub(crate) const VERSION: u64 = 1;

const LINE: usize = 64;
const SLOTS: usize = 256;
const WAKE_AT: usize = 0;
const WAITING: usize = 8;
const VERSION_AT: usize = 16;

/// Returns the version that an object was compiled with, from the section's initial content.
pub(crate) fn version(content: &[u8]) -> u64 {
    let bytes = content.get(VERSION_AT..VERSION_AT + 8).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_ne_bytes)
}

/// Maximum wait for programs that are between two counts. It takes nanoseconds, unless their CPU was taken away.
const PATIENCE: Duration = Duration::from_millis(10);

/// One counter of `struct ring_counters`.
#[derive(Debug, Clone, Copy)]
enum Counter {
    Begun = 0,
    Produced = 8,
    Lost = 16,
    Filtered = 24,
    Faults = 32,
    Untracked = 40,
}

/// `struct ring_state`, mapped: read and written without system calls.
#[derive(Debug)]
pub(crate) struct Account {
    pages: Pages,
    slots: usize,
}

// === impl Account ===

impl Account {
    pub(crate) fn open(fd: BorrowedFd<'_>, cpus: usize) -> io::Result<Self> {
        Ok(Self { pages: Pages::map(fd, 0, SIZE, true)?, slots: cpus.clamp(1, SLOTS) })
    }

    /// Requests a wake-up by the record that brings the waiting data to `bytes`.
    pub(super) fn sleep_until(&self, bytes: u64) {
        self.pages.word(WAKE_AT).store(bytes, Ordering::Relaxed);
        self.pages.word(WAITING).store(1, Ordering::Release);
        // The caller next reads the producer's position once more; that read must not be ordered before this store.
        fence(Ordering::SeqCst);
    }

    pub(super) fn awake(&self) {
        self.pages.word(WAITING).store(0, Ordering::Relaxed);
    }

    /// Returns the counters once every record that had begun at the time of the call is in the ring or lost.
    pub(super) fn settled(&self) -> KernelCounters {
        let deadline = Instant::now() + PATIENCE;
        for slot in 0..self.slots {
            let begun = self.read(slot, Counter::Begun);
            while self.read(slot, Counter::Produced) < begun && Instant::now() < deadline {
                thread::yield_now();
            }
        }
        KernelCounters {
            produced: self.sum(Counter::Produced),
            filtered: self.sum(Counter::Filtered),
            lost: self.sum(Counter::Lost),
            missed: self.sum(Counter::Untracked),
            unread: self.sum(Counter::Faults),
            given_back: 0,
        }
    }

    fn sum(&self, counter: Counter) -> u64 {
        (0..self.slots).map(|slot| self.read(slot, counter)).sum()
    }

    fn read(&self, slot: usize, counter: Counter) -> u64 {
        self.pages.word(LINE + slot * LINE + counter as usize).load(Ordering::Acquire)
    }
}
