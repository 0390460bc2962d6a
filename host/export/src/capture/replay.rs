//! One probe of a capture as a source: the same runs, as fast as they are read or at the recorded pace.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_model::run::{DISCARDED, slot_len};
use host_model::{Condvar, KernelCounters, KernelPlan, Lock, PlanError, Run, Source, Waker};

use super::{CaptureError, CapturedProbe, Reader, Runs};

/// Maximum bytes that are read ahead: those of a batch.
const AHEAD: usize = 256 << 10;

/// The speed of a replay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the runs are read.
    #[default]
    Fast,
    /// With the recorded pauses between the runs.
    Real,
}

/// One probe of a capture.
pub struct Replay {
    reader: Reader<Box<dyn Read + Send>>,
    probe: usize,
    pace: Pace,
    /// The message being read, and its next run.
    message: Option<(Runs, usize)>,
    /// Records that are ready, framed; those before `head` have been released.
    ready: Vec<u8>,
    head: usize,
    /// The bytes and the number of records of the run that has been handed out.
    taken: (usize, u32),
    produced: u64,
    waiting: u64,
    ended: bool,
    /// When the replay began, and the time of its first run.
    start: Option<(Instant, u64)>,
    signal: Arc<Signal>,
}

#[derive(Debug, Default)]
struct Signal {
    woken: Lock<bool>,
    changed: Condvar,
}

// === impl Replay ===

impl Replay {
    /// Opens a capture for one of its probes.
    ///
    /// # Errors
    /// The input is not a capture, or has no such probe.
    pub fn open(input: Box<dyn Read + Send>, probe: &str, pace: Pace) -> Result<Self, CaptureError> {
        let reader = Reader::new(input)?;
        let names =
            || reader.probes().iter().map(|probe| host_model::printable(&probe.name, 80)).collect::<Vec<_>>().join(", ");
        let index = reader.probes().iter().position(|captured| captured.name == probe);
        let index = index.ok_or_else(|| CaptureError::NoProbe { wanted: probe.to_owned(), has: names() })?;
        Ok(Self {
            reader,
            probe: index,
            pace,
            message: None,
            ready: Vec::new(),
            head: 0,
            taken: (0, 0),
            produced: 0,
            waiting: 0,
            ended: false,
            start: None,
            signal: Arc::default(),
        })
    }

    /// Returns the probe that is replayed.
    #[must_use]
    pub fn probe(&self) -> Option<&CapturedProbe> {
        self.reader.probes().get(self.probe)
    }

    /// Reads ahead. Returns when the next run is due, if that is later.
    fn fill(&mut self) -> Option<Instant> {
        if self.taken.0 == 0 && self.head > 0 {
            self.ready.drain(..self.head);
            self.head = 0;
        }
        while !self.ended && self.ready.len() - self.head < AHEAD {
            let Some((message, next)) = &mut self.message else {
                match self.reader.read() {
                    Ok(Some(runs)) => self.message = Some((runs, 0)),
                    Ok(None) => self.ended = true,
                    Err(error) => {
                        tracing::error!("the replay ends here: {error}");
                        self.ended = true;
                    }
                }
                continue;
            };
            let Some(captured) = message.get(*next) else {
                self.message = None;
                continue;
            };
            if captured.probe == self.probe {
                let (start, first) = *self.start.get_or_insert_with(|| (Instant::now(), captured.time_ns));
                let due = start + Duration::from_nanos(captured.time_ns.saturating_sub(first));
                if self.pace == Pace::Real && due > Instant::now() {
                    return Some(due);
                }
                self.ready.extend_from_slice(captured.run.bytes);
                self.produced += u64::from(captured.run.records);
                self.waiting += u64::from(captured.run.records);
            }
            *next += 1;
        }
        None
    }
}

impl Source for Replay {
    fn wait(&mut self, ready_bytes: usize, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        loop {
            let due = self.fill();
            if self.waiting_bytes() >= ready_bytes.min(AHEAD) || (self.ended && self.waiting_bytes() > 0) {
                return;
            }
            let until = due.unwrap_or(deadline).min(deadline);
            let left = until.saturating_duration_since(Instant::now());
            let woken = self.signal.woken.lock();
            let mut woken = self.signal.changed.wait_timeout_while(woken, left, |woken| !*woken);
            if std::mem::take(&mut *woken) || Instant::now() >= deadline {
                return;
            }
        }
    }

    fn waiting_bytes(&self) -> usize {
        self.ready.len() - self.head
    }

    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_> {
        if self.taken.0 == 0 {
            self.fill();
            self.taken = prefix(self.ready.get(self.head..).unwrap_or_default(), max_records, max_bytes);
        }
        let (length, records) = self.taken;
        Run { bytes: self.ready.get(self.head..self.head + length).unwrap_or_default(), records }
    }

    fn release(&mut self) {
        let (length, records) = std::mem::take(&mut self.taken);
        self.head += length;
        self.waiting -= u64::from(records);
    }

    fn waiting_records(&mut self) -> u64 {
        self.waiting
    }

    fn counters(&mut self) -> KernelCounters {
        KernelCounters { produced: self.produced, ..KernelCounters::default() }
    }

    fn apply(&mut self, plan: &KernelPlan) -> Result<(), PlanError> {
        if *plan == KernelPlan::default() {
            return Ok(());
        }
        let probe = self.probe().map(|probe| probe.name.clone()).unwrap_or_default();
        Err(PlanError::Unsupported { probe, reason: "a replay has no kernel side".to_owned() })
    }

    fn ended(&self) -> bool {
        self.ended && self.waiting_bytes() == 0
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::clone(&self.signal) as Arc<dyn Waker>
    }

    fn unix_offset_ns(&self) -> u64 {
        self.reader.unix_offset_ns()
    }
}

impl Waker for Signal {
    fn wake(&self) {
        *self.woken.lock() = true;
        self.changed.notify_all();
    }
}

/// Returns the length of the longest prefix of framed records within the limits, and the number of its records; at least one, if there is
/// one.
pub(super) fn prefix(bytes: &[u8], max_records: usize, max_bytes: usize) -> (usize, u32) {
    let (mut length, mut records) = (0, 0);
    while let Some((header, _)) = bytes.get(length..).and_then(<[u8]>::split_first_chunk::<4>) {
        let header = u32::from_le_bytes(*header);
        let next = length + slot_len(header);
        if records > 0 && (records as usize >= max_records || next > max_bytes) {
            break;
        }
        length = next;
        records += u32::from(header & DISCARDED == 0);
    }
    (length.min(bytes.len()), records)
}
