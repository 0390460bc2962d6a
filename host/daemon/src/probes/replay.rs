//! Captures in place of the kernel: the one in the binary, or a file, replayed once or in a loop. A capture that is replayed once gives the
//! same result each time: its runs come one by one in their order, and the random seed is fixed.
//!
//! Plugins see only the node that the capture describes: the time is that of the records, and the tables are empty, because a pid of that
//! time identifies none of the current processes.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use host_api::Step;
use host_export::capture::{CaptureError, CapturedProbe, Conductor, Pace, Reader, Replay};
use host_kernel::file::PATIENCE;
use host_kernel::privileged;
use host_model::{KernelCounters, KernelPlan, Lock, NoMaps, PlanError, Probe, ProbeState, Run, Source, Waker};
use host_plugin::Clock;

use crate::clock::unix_ns;
use crate::error::DaemonError;
use crate::plugins::bind::Place;
use crate::probes::attached::{Attached, Opened};
use crate::settings::{Input, Settings};

/// The location of a capture.
#[derive(Debug, Clone)]
enum Tape {
    Embedded,
    File(PathBuf),
}

/// One probe of a capture in a loop; the times of every round are moved to the present.
struct Looping {
    tape: Tape,
    probe: String,
    replay: Replay,
    /// Number of records in the rounds before.
    before: u64,
    /// The time of the capture's first run.
    first_ns: u64,
    unix_offset_ns: u64,
    relay: Arc<Relay>,
}

/// A source that sets the clock by its records.
struct Clocked {
    source: Box<dyn Source>,
    /// The offset of the time in a record; None if it has none.
    offset: Option<usize>,
    time: Arc<RecordTime>,
}

/// The time of the last record returned.
struct RecordTime {
    monotonic_ns: AtomicU64,
    unix_offset_ns: AtomicU64,
}

/// Passes wake-ups on to the replay of this round.
struct Relay(Lock<Arc<dyn Waker>>);

/// The member of a record that holds its time, by the convention of `bpf/`.
const TIME: &str = "time_ns";
/// Real events of the three built-in probes.
const EMBEDDED: &[u8] = include_bytes!("../../captures/default.capture");

/// Opens the probes of a capture: those requested, or all if none is named.
pub(crate) fn open(settings: &Settings) -> Result<Vec<Opened>, DaemonError> {
    let wanted = &settings.probes;
    let (tape, looping) = match &settings.input {
        Input::Kernel => return Ok(Vec::new()),
        Input::Embedded { looping } => (Tape::Embedded, *looping),
        Input::Capture { file, looping } => (Tape::File(file.clone()), *looping),
    };
    let failed = |error: CaptureError| DaemonError::Replay { capture: tape.name(), error };
    let mut reader = Reader::new(tape.open().map_err(failed)?).map_err(failed)?;
    let probes = reader.probes().to_vec();
    let first_ns = reader.read().map_err(failed)?.and_then(|runs| runs.iter().next().map(|run| run.time_ns)).unwrap_or(0);
    if let Some(missing) = wanted.iter().find(|name| probes.iter().all(|probe| probe.name != **name)) {
        let has: Vec<&str> = probes.iter().map(|probe| probe.name.as_str()).collect();
        let message = format!("{} has no probe `{missing}`", tape.name());
        return Err(DaemonError::new(Step::Replay, message, format!("it has {}", has.join(", "))));
    }
    let conductor = Conductor::open(tape.open().map_err(failed)?, settings.pace).map_err(failed)?;
    let chosen = probes.into_iter().filter(|probe| wanted.is_empty() || wanted.contains(&probe.name));
    chosen
        .map(|CapturedProbe { name, layout }| {
            let source: Box<dyn Source> = match conductor.seat(&name).filter(|_| !looping) {
                Some(seat) => Box::new(seat),
                None => Box::new(Looping::new(tape.clone(), name.clone(), tape.replay(&name).map_err(failed)?, first_ns)),
            };
            let layout = layout.ok_or_else(|| {
                let message = format!("{}: the record of probe `{name}` is not described", tape.name());
                DaemonError::new(Step::Replay, message, "record it again with an object that has BTF (`clang -g`)")
            })?;
            let time = Arc::new(RecordTime {
                monotonic_ns: AtomicU64::new(first_ns),
                unix_offset_ns: AtomicU64::new(source.unix_offset_ns()),
            });
            let offset = layout.members.iter().find(|member| member.name == TIME && member.size == 8);
            let offset = offset.and_then(|member| usize::try_from(member.offset).ok());
            Ok(Opened {
                place: Place {
                    probe: name.as_str().into(),
                    layout: Arc::new(layout.clone()),
                    maps: Arc::new(NoMaps),
                    clock: Arc::clone(&time) as Arc<dyn Clock>,
                },
                source: Box::new(Clocked { source, offset, time }),
                attached: Attached::capture(Probe {
                    built_in: host_kernel::catalog::find(&name).is_some(),
                    name,
                    state: ProbeState::Attached,
                    hooks: vec![tape.name()],
                    passed_over: Vec::new(),
                    layout: Some(layout),
                    ring_bytes: 0,
                    capabilities: Vec::new(),
                }),
            })
        })
        .collect()
}

// === impl Tape ===

impl Tape {
    fn name(&self) -> String {
        match self {
            Self::Embedded => "the capture in the binary".into(),
            Self::File(file) => file.display().to_string(),
        }
    }

    fn open(&self) -> Result<Box<dyn Read + Send>, CaptureError> {
        Ok(match self {
            Self::Embedded => Box::new(Cursor::new(EMBEDDED)),
            Self::File(file) => {
                let file = file.clone();
                let opened = privileged::read(PATIENCE, move || File::open(file));
                Box::new(BufReader::new(opened.unwrap_or_else(|late| Err(std::io::Error::other(late)))?))
            }
        })
    }

    fn replay(&self, probe: &str) -> Result<Replay, CaptureError> {
        Replay::open(self.open()?, probe, Pace::Real)
    }
}

// === impl Looping ===

impl Looping {
    fn new(tape: Tape, probe: String, replay: Replay, first_ns: u64) -> Self {
        let relay = Arc::new(Relay(Lock::new(replay.waker())));
        let unix_offset_ns = unix_ns().saturating_sub(first_ns);
        Self { tape, probe, replay, before: 0, first_ns, unix_offset_ns, relay }
    }

    /// Begins the next round if this one has ended.
    fn again(&mut self) {
        // A capture without a record of this probe would loop without end.
        let empty = self.replay.counters().produced == 0;
        if !self.replay.ended() || empty {
            return;
        }
        match self.tape.replay(&self.probe) {
            Ok(next) => {
                self.before += self.replay.counters().produced;
                self.unix_offset_ns = unix_ns().saturating_sub(self.first_ns);
                *self.relay.0.lock() = next.waker();
                self.replay = next;
            }
            Err(error) => tracing::error!(%error, probe = self.probe, "the capture cannot be read again"),
        }
    }
}

impl Source for Looping {
    fn wait(&mut self, ready_bytes: usize, timeout: Duration) {
        self.again();
        self.replay.wait(ready_bytes, timeout);
    }

    fn waiting_bytes(&self) -> usize {
        self.replay.waiting_bytes()
    }

    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_> {
        self.replay.run(max_records, max_bytes)
    }

    fn release(&mut self) {
        self.replay.release();
    }

    fn waiting_records(&mut self) -> u64 {
        self.replay.waiting_records()
    }

    fn counters(&mut self) -> KernelCounters {
        let mut counters = self.replay.counters();
        counters.produced += self.before;
        counters
    }

    fn apply(&mut self, plan: &KernelPlan) -> Result<(), PlanError> {
        self.replay.apply(plan)
    }

    fn ended(&self) -> bool {
        false
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::clone(&self.relay) as Arc<dyn Waker>
    }

    fn unix_offset_ns(&self) -> u64 {
        self.unix_offset_ns
    }
}

// === impl Clocked ===

impl Source for Clocked {
    fn wait(&mut self, ready_bytes: usize, timeout: Duration) {
        self.source.wait(ready_bytes, timeout);
    }

    fn waiting_bytes(&self) -> usize {
        self.source.waiting_bytes()
    }

    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_> {
        let unix_offset_ns = self.source.unix_offset_ns();
        let run = self.source.run(max_records, max_bytes);
        let time = self.offset.and_then(|at| run.iter().last()?.get(at..)?.first_chunk().copied().map(u64::from_le_bytes));
        if let Some(time) = time {
            self.time.monotonic_ns.store(time, Relaxed);
            self.time.unix_offset_ns.store(unix_offset_ns, Relaxed);
        }
        run
    }

    fn release(&mut self) {
        self.source.release();
    }

    fn waiting_records(&mut self) -> u64 {
        self.source.waiting_records()
    }

    fn counters(&mut self) -> KernelCounters {
        self.source.counters()
    }

    fn apply(&mut self, plan: &KernelPlan) -> Result<(), PlanError> {
        self.source.apply(plan)
    }

    fn ended(&self) -> bool {
        self.source.ended()
    }

    fn waker(&self) -> Arc<dyn Waker> {
        self.source.waker()
    }

    fn unix_offset_ns(&self) -> u64 {
        self.source.unix_offset_ns()
    }

    fn time_ns(&self) -> Option<u64> {
        self.source.time_ns()
    }
}

impl Clock for RecordTime {
    fn monotonic(&self) -> u64 {
        self.monotonic_ns.load(Relaxed)
    }

    fn realtime(&self) -> u64 {
        self.monotonic().saturating_add(self.unix_offset_ns.load(Relaxed))
    }
}

impl Waker for Relay {
    fn wake(&self) {
        self.0.lock().wake();
    }
}
