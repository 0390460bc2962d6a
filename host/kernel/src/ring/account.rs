//! What ring.h shares with its reader: the counters, and the mark of a reader that sleeps.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};
use std::{io, thread};

use host_model::KernelCounters;

use super::pages::Pages;

/// The section that holds `struct ring_state`.
pub(crate) const SECTION: &str = ".data.ring";
/// Its size: the reader's line, then one line per slot.
pub(crate) const SIZE: usize = LINE + SLOTS * LINE;

const LINE: usize = 64;
const SLOTS: usize = 256;
const WAKE_AT: usize = 0;
const WAITING: usize = 8;

/// How long to wait for a program that is between two counts. It takes nanoseconds, unless its CPU was taken away.
const PATIENCE: Duration = Duration::from_millis(5);

/// One counter of `struct ring_counters`.
#[derive(Debug, Clone, Copy)]
enum Counter {
    Produced = 0,
    Settled = 8,
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

    /// Asks to be woken by the record that makes it `bytes`.
    pub(super) fn sleep_until(&self, bytes: u64) {
        self.pages.word(WAKE_AT).store(bytes, Ordering::Relaxed);
        self.pages.word(WAITING).store(1, Ordering::Release);
        // The caller now looks at the producer's position once more, and must not have done so before the mark was seen.
        fence(Ordering::SeqCst);
    }

    pub(super) fn awake(&self) {
        self.pages.word(WAITING).store(0, Ordering::Relaxed);
    }

    /// The counters at one moment when no record was between being counted and being in the ring (or lost).
    ///
    /// `settled` never runs ahead of `produced`. So if their sums are equal, `settled` read first and `produced` last, nothing
    /// was in between while the others were read.
    pub(super) fn settled(&self) -> KernelCounters {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let settled = self.sum(Counter::Settled);
            let lost = self.sum(Counter::Lost);
            let filtered = self.sum(Counter::Filtered);
            let missed = self.sum(Counter::Faults) + self.sum(Counter::Untracked);
            let produced = self.sum(Counter::Produced);
            if settled == produced || Instant::now() > deadline {
                return KernelCounters { produced, filtered, lost, missed };
            }
            thread::yield_now();
        }
    }

    fn sum(&self, counter: Counter) -> u64 {
        let read = |slot| self.pages.word(LINE + slot * LINE + counter as usize);
        (0..self.slots).map(read).map(|word: &AtomicU64| word.load(Ordering::Acquire)).sum()
    }
}
