//! Plays a capture to the paths of all its probes: run by run, in the order in which they were taken, each after the one before is
//! finished. So the paths' output and its order are the same in every replay, at any speed.

use std::io::Read;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use host_model::{Condvar, KernelCounters, KernelPlan, Lock, PlanError, Run, Source, Waker};

use super::replay::prefix;
use super::{CaptureError, CapturedProbe, Pace, Reader, Runs};

/// Plays a capture.
pub struct Conductor {
    stage: Arc<Stage>,
    probes: Vec<CapturedProbe>,
}

/// One probe of the capture, as the [`Source`] of its path. Take all seats before the first is waited for: the runs of probes without a
/// reader are skipped.
pub struct Seat {
    stage: Arc<Stage>,
    probe: usize,
    name: String,
    /// The current run, framed; records before `head` have been released.
    run: Vec<u8>,
    head: usize,
    /// The bytes and the number of records of the part that has been handed out.
    taken: (usize, u32),
    /// Number of records of the run that have not been released.
    waiting: u64,
    produced: u64,
    time_ns: Option<u64>,
    ended: bool,
}

struct Stage {
    score: Lock<Score>,
    changed: Condvar,
    unix_offset_ns: u64,
}

struct Score {
    reader: Reader<Box<dyn Read + Send>>,
    pace: Pace,
    /// The message being read, and its next run.
    message: Option<(Runs, usize)>,
    turn: Turn,
    /// Per probe: whether a reader is registered, and was notified.
    seats: Vec<(bool, bool)>,
    /// When the replay began, and the time of its first run.
    start: Option<(Instant, u64)>,
}

/// The seat whose run is next.
enum Turn {
    Nobody,
    /// A run waits for the seat of its probe.
    Due {
        probe: usize,
        time_ns: u64,
        run: Vec<u8>,
        records: u32,
    },
    /// The run was taken, and is being processed.
    Taken {
        probe: usize,
    },
    Ended,
}

struct Bell {
    stage: Arc<Stage>,
    probe: usize,
}

// === impl Conductor ===

impl Conductor {
    /// Opens a capture.
    ///
    /// # Errors
    /// The input is not a capture.
    pub fn open(input: Box<dyn Read + Send>, pace: Pace) -> Result<Self, CaptureError> {
        let reader = Reader::new(input)?;
        let probes = reader.probes().to_vec();
        let unix_offset_ns = reader.unix_offset_ns();
        let seats = vec![(false, false); probes.len()];
        let score = Lock::new(Score { reader, pace, message: None, turn: Turn::Nobody, seats, start: None });
        Ok(Self { stage: Arc::new(Stage { score, changed: Condvar::new(), unix_offset_ns }), probes })
    }

    /// The probes of the capture.
    #[must_use]
    pub fn probes(&self) -> &[CapturedProbe] {
        &self.probes
    }

    /// Returns the seat of a probe; None if the capture has no such probe, or the seat is taken.
    #[must_use]
    pub fn seat(&self, probe: &str) -> Option<Seat> {
        let place = self.probes.iter().position(|captured| captured.name == probe)?;
        let mut score = self.stage.score();
        let (taken, _) = score.seats.get_mut(place).filter(|(taken, _)| !*taken)?;
        *taken = true;
        Some(Seat {
            stage: Arc::clone(&self.stage),
            probe: place,
            name: probe.to_owned(),
            run: Vec::new(),
            head: 0,
            taken: (0, 0),
            waiting: 0,
            produced: 0,
            time_ns: None,
            ended: false,
        })
    }
}

// === impl Stage ===

impl Stage {
    fn score(&self) -> MutexGuard<'_, Score> {
        self.score.lock()
    }
}

// === impl Score ===

impl Score {
    /// Advances to the next run of a seat that is taken.
    fn advance(&mut self) {
        while matches!(self.turn, Turn::Nobody) {
            let Some((message, next)) = &mut self.message else {
                match self.reader.read() {
                    Ok(Some(runs)) => self.message = Some((runs, 0)),
                    Ok(None) => self.turn = Turn::Ended,
                    Err(error) => {
                        tracing::error!("the replay ends here: {error}");
                        self.turn = Turn::Ended;
                    }
                }
                continue;
            };
            let Some(captured) = message.get(*next) else {
                self.message = None;
                continue;
            };
            *next += 1;
            if captured.run.records > 0 && self.seats.get(captured.probe).is_some_and(|(taken, _)| *taken) {
                let (run, records) = (captured.run.bytes.to_vec(), captured.run.records);
                self.turn = Turn::Due { probe: captured.probe, time_ns: captured.time_ns, run, records };
            }
        }
    }

    /// Returns when the run that was taken at this time is due.
    fn due(&mut self, time_ns: u64) -> Instant {
        let (start, first) = *self.start.get_or_insert_with(|| (Instant::now(), time_ns));
        match self.pace {
            Pace::Fast => start,
            Pace::Real => start + Duration::from_nanos(time_ns.saturating_sub(first)),
        }
    }
}

// === impl Seat ===

impl Seat {
    /// Takes the current run if it belongs to this seat. Returns when it is due, if that is later; None also if it belongs to another seat.
    fn sit(&mut self, score: &mut Score) -> Option<Instant> {
        score.advance();
        let (probe, time_ns) = match &score.turn {
            Turn::Due { probe, time_ns, .. } => (*probe, *time_ns),
            Turn::Ended => {
                self.ended = true;
                return None;
            }
            Turn::Nobody | Turn::Taken { .. } => return None,
        };
        let due = score.due(time_ns);
        if probe != self.probe {
            return None;
        }
        if due > Instant::now() {
            return Some(due);
        }
        if let Turn::Due { run, records, .. } = std::mem::replace(&mut score.turn, Turn::Taken { probe }) {
            (self.run, self.head, self.waiting) = (run, 0, records.into());
            self.produced += u64::from(records);
            self.time_ns = Some(time_ns);
        }
        None
    }
}

impl Source for Seat {
    fn wait(&mut self, _ready_bytes: usize, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let stage = Arc::clone(&self.stage);
        let mut score = stage.score();
        while self.waiting_bytes() == 0 && !self.ended {
            let due = self.sit(&mut score);
            let now = Instant::now();
            let woken = score.seats.get_mut(self.probe).is_some_and(|(_, woken)| std::mem::take(woken));
            if self.waiting_bytes() > 0 || self.ended || woken || now >= deadline {
                break;
            }
            let left = due.unwrap_or(deadline).min(deadline).saturating_duration_since(now);
            score = stage.changed.wait_timeout(score, left);
        }
        // The next run may belong to another waiting seat, or the replay has ended.
        stage.changed.notify_all();
    }

    fn waiting_bytes(&self) -> usize {
        self.run.len() - self.head
    }

    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_> {
        if self.taken.0 == 0 {
            self.taken = prefix(self.run.get(self.head..).unwrap_or_default(), max_records, max_bytes);
        }
        let (length, records) = self.taken;
        Run { bytes: self.run.get(self.head..self.head + length).unwrap_or_default(), records }
    }

    fn release(&mut self) {
        let (length, records) = std::mem::take(&mut self.taken);
        self.head += length;
        self.waiting -= u64::from(records);
        if length > 0 && self.waiting_bytes() == 0 {
            self.stage.score().turn = Turn::Nobody;
            self.stage.changed.notify_all();
        }
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
        Err(PlanError::Unsupported { probe: self.name.clone(), reason: "a replay has no kernel side".to_owned() })
    }

    fn ended(&self) -> bool {
        self.ended && self.waiting_bytes() == 0
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::new(Bell { stage: Arc::clone(&self.stage), probe: self.probe })
    }

    fn unix_offset_ns(&self) -> u64 {
        self.stage.unix_offset_ns
    }

    fn time_ns(&self) -> Option<u64> {
        self.time_ns
    }
}

impl Drop for Seat {
    /// A seat that is dropped does not hold up the others.
    fn drop(&mut self) {
        let mut score = self.stage.score();
        if let Some((taken, _)) = score.seats.get_mut(self.probe) {
            *taken = false;
        }
        if matches!(score.turn, Turn::Due { probe, .. } | Turn::Taken { probe } if probe == self.probe) {
            score.turn = Turn::Nobody;
        }
        drop(score);
        self.stage.changed.notify_all();
    }
}

impl Waker for Bell {
    fn wake(&self) {
        if let Some((_, woken)) = self.stage.score().seats.get_mut(self.probe) {
            *woken = true;
        }
        self.stage.changed.notify_all();
    }
}
