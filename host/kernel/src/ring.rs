//! A ring as a [`Source`]: runs of records, read in place from the kernel's pages.

mod pages;
mod walk;
mod account;
mod sleep;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{io, mem};

use host_model::{KernelCounters, KernelPlan, PlanError, Run, Source, Waker};

pub(crate) use self::account::{Account, SECTION, SIZE as ACCOUNT_SIZE, VERSION, version};
pub(crate) use self::pages::{Pages, page_size};
use self::sleep::{Sleeper, Woken};
use self::walk::{Data, Limits, Walked};
use crate::clock::UnixOffset;
use crate::plan::Plan;
use crate::privileged;

/// Interval between two looks at a busy record at the head: its program runs for microseconds, unless its CPU was taken away.
const BACK_OFF: Duration = Duration::from_micros(100);

/// The parts of a source, besides the ring.
pub(crate) struct Parts {
    pub(crate) probe: String,
    /// The counters of ring.h, if the object has them.
    pub(crate) account: Option<Account>,
    /// The plan of filter.h, if the object has it.
    pub(crate) plan: Option<Plan>,
    /// The programs, to read how many of their hits the kernel skipped.
    pub(crate) programs: Vec<OwnedFd>,
}

/// The only reader of a ring.
pub(crate) struct Ring {
    parts: Parts,
    consumer: Pages,
    /// The producer's page, then the data once; the mirror behind the data stays unmapped, so that memory is counted once.
    producer: Pages,
    size: usize,
    /// The offset of the next run; the kernel's copy is in `consumer`.
    position: u64,
    /// The run that was handed out and is not released.
    lent: Option<Walked>,
    /// A copy of the record that lies across the end of the ring.
    straddling: Vec<u8>,
    received: u64,
    sleeper: Sleeper,
    clock: UnixOffset,
}

// === impl Ring ===

impl Ring {
    /// Maps the ring of `fd`, with `size` bytes of data.
    pub(crate) fn open(fd: impl AsFd, size: usize, parts: Parts) -> io::Result<Self> {
        let page = page_size();
        let consumer = Pages::map(fd.as_fd(), 0, page, true)?;
        let producer = Pages::map(fd.as_fd(), page, page + size, false)?;
        let sleeper = Sleeper::new(fd.as_fd())?;
        let mut ring = Self {
            parts,
            consumer,
            producer,
            size,
            position: 0,
            lent: None,
            straddling: Vec::new(),
            received: 0,
            sleeper,
            clock: UnixOffset::new(),
        };
        ring.position = ring.consumer_position().load(Ordering::Acquire);
        Ok(ring)
    }

    fn consumer_position(&self) -> &AtomicU64 {
        self.consumer.word(0)
    }

    fn producer_position(&self) -> u64 {
        self.producer.word(0).load(Ordering::Acquire)
    }

    fn data(&self) -> Data<'_> {
        Data::new(self.producer.after(page_size()), self.size)
    }

    fn advance(&mut self, walked: Walked) {
        self.position += walked.bytes as u64;
        self.received += u64::from(walked.records);
        self.consumer_position().store(self.position, Ordering::Release);
    }

    /// Finds the run at the head; skips records that their programs discarded before any other.
    fn find(&mut self, limits: Limits) -> Walked {
        loop {
            let walked = self.data().walk(self.position, self.producer_position(), limits);
            if walked.records > 0 || walked.bytes == 0 {
                return walked;
            }
            self.advance(walked);
        }
    }
}

impl Source for Ring {
    fn wait(&mut self, ready_bytes: usize, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        // A ring that is half full is always worth reading.
        let ready_bytes = ready_bytes.clamp(1, self.size / 2);
        loop {
            let ready = self.waiting_bytes() >= ready_bytes;
            if ready && !self.data().head_is_busy(self.position) {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if ready {
                // The ring's descriptor stays readable while a record is busy: polling it would spin.
                if self.sleeper.nap(left.min(BACK_OFF)) == Woken::Bell {
                    return;
                }
                continue;
            }
            let Some(account) = &self.parts.account else {
                // A program without ring.h notifies for every record; the ring is checked at most once per back-off.
                match self.sleeper.sleep(left) {
                    Woken::Ring if self.sleeper.nap(left.min(BACK_OFF)) != Woken::Bell => continue,
                    _ => return,
                }
            };
            account.sleep_until(ready_bytes as u64);
            let woken = if self.waiting_bytes() >= ready_bytes { Woken::Ring } else { self.sleeper.sleep(left) };
            account.awake();
            if woken != Woken::Ring {
                return;
            }
        }
    }

    fn waiting_bytes(&self) -> usize {
        usize::try_from(self.producer_position().saturating_sub(self.position)).unwrap_or(usize::MAX)
    }

    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_> {
        let walked = match self.lent {
            Some(walked) => walked,
            None => self.find(Limits { records: max_records, bytes: max_bytes }),
        };
        if walked.bytes > 0 {
            self.lent = Some(walked);
        }
        if walked.straddles {
            let mut together = mem::take(&mut self.straddling);
            self.data().join(self.position, walked.bytes, &mut together);
            self.straddling = together;
            return Run { bytes: &self.straddling, records: walked.records };
        }
        Run { bytes: self.data().slice(self.position, walked.bytes), records: walked.records }
    }

    fn release(&mut self) {
        if let Some(walked) = self.lent.take() {
            self.advance(walked);
        }
    }

    fn waiting_records(&mut self) -> u64 {
        self.data().count(self.position, self.producer_position())
    }

    fn counters(&mut self) -> KernelCounters {
        let missed = self.parts.programs.iter().map(|program| recursion_misses(program.as_raw_fd())).sum();
        let Some(account) = &self.parts.account else {
            // Without ring.h lost records are not counted.
            let produced = self.received + self.waiting_records();
            return KernelCounters { produced, missed, ..KernelCounters::default() };
        };
        let mut counters = account.settled();
        counters.missed += missed;
        counters
    }

    fn apply(&mut self, plan: &KernelPlan) -> Result<(), PlanError> {
        plan.check()?;
        match &mut self.parts.plan {
            Some(applied) => applied.apply(&self.parts.probe, plan),
            None => Err(PlanError::Unsupported {
                probe: self.parts.probe.clone(),
                reason: "its object was compiled without filter.h".into(),
            }),
        }
    }

    fn ended(&self) -> bool {
        false
    }

    fn waker(&self) -> Arc<dyn Waker> {
        self.sleeper.waker()
    }

    fn unix_offset_ns(&self) -> u64 {
        self.clock.get()
    }
}

/// Returns the number of hits for which the kernel skipped a program because the same CPU was already running it. 0 before Linux 5.12.
fn recursion_misses(program: i32) -> u64 {
    let asked = privileged::ask(
        |errno| [libc::EPERM, libc::EACCES].contains(errno),
        move || {
            let mut info = libbpf_sys::bpf_prog_info::default();
            let mut length = u32::try_from(size_of_val(&info)).map_err(|_| libc::EINVAL)?;
            // SAFETY: writes at most `length` bytes of info, which lives here.
            let result = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program, &raw mut info, &raw mut length) };
            if result == 0 { Ok(info.recursion_misses) } else { Err(-result) }
        },
    );
    asked.unwrap_or(0)
}
