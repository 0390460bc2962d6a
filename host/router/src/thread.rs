//! The router's thread: it sleeps until a run is large or old enough, routes it, and handles commands between two runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use host_model::audit::{AUDIT_INTERVAL, audit};
use host_model::{Commands, Ledger, Next, Source};
use rustix::time::{ClockId, clock_gettime};

use crate::allowance::Allowance;
use crate::command::{Account, Command};
use crate::dispatch::{Backpressure, Dispatch};
use crate::error::RouteError;
use crate::lane::Time;

/// Interval at which decoders get the time.
const TICK: Duration = Duration::from_secs(1);
/// Interval at which quiet connections are removed.
const SWEEP: Duration = Duration::from_secs(60);
/// Maximum time of the drain at the end, and for a lane to make room in it.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// Maximum time for lanes to read their records at the end, so that conversations they reject still reach others.
const READING_DEADLINE: Duration = Duration::from_secs(1);

/// Limits on the size and the age of a run.
#[derive(Debug, Clone, Copy)]
pub struct RunLimits {
    /// Maximum records of a run.
    pub rows: usize,
    /// Maximum bytes of a run.
    pub bytes: usize,
    /// Maximum time from a record's arrival in the ring to its batch. The router uses half of it, the path of its lane the rest.
    pub age: Duration,
}

/// The state of the thread.
pub(crate) struct Thread {
    pub(crate) name: Arc<str>,
    pub(crate) source: Box<dyn Source>,
    pub(crate) dispatch: Dispatch,
    pub(crate) limits: RunLimits,
    pub(crate) in_step: bool,
    pub(crate) commands: Commands<Command>,
    pub(crate) clock: Clock,
}

/// When the periodic work was last done.
pub(crate) struct Clock {
    ticked: Instant,
    swept: Instant,
    audited: Instant,
    /// The time of the last tick in a replay, by the clock of the records.
    ticked_ns: Option<u64>,
}

// === impl Clock ===

impl Clock {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { ticked: now, swept: now, audited: now, ticked_ns: None }
    }
}

// === impl Thread ===

impl Thread {
    /// Runs the thread.
    pub(crate) fn run(mut self) {
        loop {
            if self.poll_commands() {
                break;
            }
            if self.source.ended() && self.source.waiting_bytes() == 0 {
                self.finish();
                while let Some(command) = self.commands.wait() {
                    self.handle(command);
                }
                return;
            }
            // Half of the age that a batch may have; the lanes have the other half.
            self.source.wait(self.limits.bytes, self.limits.age / 2);
            self.take();
            self.tick();
        }
        self.drain();
        self.finish();
    }

    /// Routes the records that are there now; later ones are left for the next round.
    fn take(&mut self) {
        let mut owed = self.source.waiting_bytes();
        while owed > 0 {
            let taken = self.batch(self.backpressure());
            if taken == 0 {
                break;
            }
            owed = owed.saturating_sub(taken);
            if !self.in_step && self.dispatch.take_back() {
                let time = self.time();
                self.dispatch.deliver(&[], time, Backpressure::Live);
            }
            if self.commands.is_pending() {
                break;
            }
        }
    }

    fn time(&self) -> Time {
        Time { unix_offset_ns: self.source.unix_offset_ns(), replayed_ns: self.source.time_ns() }
    }

    fn backpressure(&self) -> Backpressure {
        if self.in_step { Backpressure::InStep } else { Backpressure::Live }
    }

    /// Routes one run. Returns its bytes in the ring.
    fn batch(&mut self, backpressure: Backpressure) -> usize {
        let Self { source, dispatch, clock, in_step, .. } = self;
        let unix_offset_ns = source.unix_offset_ns();
        let taken = source.run(self.limits.rows, self.limits.bytes).bytes.len();
        let time = Time { unix_offset_ns, replayed_ns: source.time_ns() };
        // The same run is returned until it is released.
        let run = source.run(self.limits.rows, self.limits.bytes);
        if taken == 0 {
            return 0;
        }
        if *in_step && let Some(first) = run.iter().next().and_then(|record| dispatch.shape.head(record)) {
            clock.tick_by(first.time_ns, dispatch);
        }
        dispatch.route(run);
        dispatch.deliver(run.bytes, time, backpressure);
        while *in_step && dispatch.take_back() {
            dispatch.deliver(&[], time, backpressure);
        }
        source.release();
        taken
    }

    /// Does the periodic work that is due.
    fn tick(&mut self) {
        let time = self.time();
        if !self.in_step && self.dispatch.take_back() {
            self.dispatch.deliver(&[], time, Backpressure::Live);
        }
        let now = Instant::now();
        if !self.in_step && now.duration_since(self.clock.ticked) >= TICK {
            self.clock.ticked = now;
            self.dispatch.tick(monotonic_ns());
            self.dispatch.deliver(&[], time, Backpressure::Live);
        }
        // A replay forgets connections only for lack of room, so that its result does not depend on how long it takes.
        if !self.in_step && now.duration_since(self.clock.swept) >= SWEEP {
            self.clock.swept = now;
            self.dispatch.remove_quiet();
            self.dispatch.publish();
        }
        if now.duration_since(self.clock.audited) >= AUDIT_INTERVAL {
            self.audit();
        }
    }

    fn audit(&mut self) -> Ledger {
        self.clock.audited = Instant::now();
        self.dispatch.publish();
        audit(&mut *self.source, &self.dispatch.counters);
        self.dispatch.counters.take()
    }

    /// Handles the waiting commands. Returns whether to stop.
    fn poll_commands(&mut self) -> bool {
        loop {
            match self.commands.next() {
                Next::Command(command) => self.handle(command),
                Next::Nothing => return false,
                Next::Stop => return true,
            }
        }
    }

    /// Handles a command. Its sender may have stopped waiting for the answer.
    fn handle(&mut self, command: Command) {
        let dispatch = &mut self.dispatch;
        match command {
            Command::Account(reply) => {
                let ledger = self.audit();
                let dispatch = &self.dispatch;
                let _ = reply.try_send(Account {
                    ledger,
                    age: Duration::ZERO,
                    connections: dispatch.table.len() as u64,
                    unknown_ports: dispatch.unknown_ports(),
                });
            }
            Command::Enlist { recogniser, reply } => {
                let enlisted = dispatch.lanes.enlist(recogniser);
                if enlisted.is_ok() {
                    dispatch.retry_unknown();
                }
                let _ = reply.try_send(enlisted.map(|lane| Box::new(lane) as _));
            }
            Command::Amend { recogniser, reply } => {
                let name = &recogniser.description().name;
                let found = dispatch.lanes.find(name).ok_or_else(|| RouteError::None(name.clone()));
                let amended = found.map(|lane| {
                    if let Some(entry) = dispatch.lanes.at(lane) {
                        entry.recogniser = recogniser;
                        entry.allowance = Allowance::new(Instant::now());
                    }
                    dispatch.retry_unknown();
                });
                let _ = reply.try_send(amended);
            }
            Command::Dismiss { protocol, reply } => {
                let found = dispatch.lanes.find(&protocol).ok_or(RouteError::None(protocol));
                let _ = reply.try_send(found.map(|lane| dispatch.dismiss(lane)));
            }
        }
    }

    /// Routes everything that is still in the ring. The lanes have time to make room: the kernel produces no more.
    fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN_DEADLINE;
        let backpressure = if self.in_step { Backpressure::InStep } else { Backpressure::Draining(deadline) };
        while self.source.waiting_bytes() > 0 && Instant::now() < deadline {
            if self.batch(backpressure) == 0 {
                // The record at the head is still being written.
                self.source.wait(1, Duration::from_millis(1));
            }
        }
    }

    /// Waits until the lanes have read their records and returned those that their decoders disowned.
    fn change_hands(&mut self, time: Time, backpressure: Backpressure) {
        let began = Instant::now();
        loop {
            let dispatch = &mut self.dispatch;
            if dispatch.take_back() {
                dispatch.deliver(&[], time, backpressure);
                continue;
            }
            let is_settled = dispatch.lanes.iter_mut().all(|(_, entry)| entry.outlet.is_settled());
            let is_over = is_settled && !dispatch.is_changing() && !dispatch.lanes.inbox.has_some();
            let most = if dispatch.is_changing() { DRAIN_DEADLINE } else { READING_DEADLINE };
            if is_over || began.elapsed() >= most {
                return;
            }
            dispatch.lanes.inbox.wait(Duration::from_millis(1));
        }
    }

    /// Sends the lanes that no records follow, ends them, and counts.
    fn finish(&mut self) {
        let time = self.time();
        let backpressure =
            if self.in_step { Backpressure::InStep } else { Backpressure::Draining(Instant::now() + DRAIN_DEADLINE) };
        self.change_hands(time, backpressure);
        self.dispatch.flush();
        self.dispatch.deliver(&[], time, backpressure);
        self.dispatch.lanes.inbox.close();
        self.dispatch.lanes.iter_mut().for_each(|(_, entry)| entry.outlet.end());
        self.dispatch.publish();
        self.audit();
        tracing::debug!(probe = %self.name, "all that came is routed");
        self.commands.set_finished();
    }
}

impl Clock {
    /// Sends the lanes a tick for each second of the records' clock; starts again if a capture starts anew.
    fn tick_by(&mut self, time_ns: u64, dispatch: &mut Dispatch) {
        let second = u64::try_from(TICK.as_nanos()).unwrap_or(u64::MAX);
        match self.ticked_ns {
            Some(before) if (before..before.saturating_add(second)).contains(&time_ns) => {}
            Some(before) => {
                self.ticked_ns = Some(time_ns);
                if time_ns < before {
                    dispatch.now_ns = time_ns;
                }
                dispatch.tick(time_ns);
            }
            None => self.ticked_ns = Some(time_ns),
        }
    }
}

/// Returns CLOCK_MONOTONIC, the clock of the records.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}
