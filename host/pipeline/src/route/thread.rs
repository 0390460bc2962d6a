//! The router's thread: it naps until a run is worth taking, routes what is there, and between two runs does what it is told.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use host_model::{Ledger, Recogniser, Source};
use rustix::time::{ClockId, clock_gettime};

use super::allowance::Allowance;
use super::dispatch::{Dispatch, Haste};
use super::lane::Time;
use super::{Account, RouteError};
use crate::audit::{AUDIT_INTERVAL, audit};
use crate::blueprint::BatchLimits;
use crate::line::{Next, Orders};

/// How often decoders are told that time passes.
const TICK: Duration = Duration::from_secs(1);
/// How often quiet connections are looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// How long a drain may take at the end, and a lane to make room for it.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// How long lanes may take at the end to read what they have, so that what they disown of it still reaches others.
const READING_DEADLINE: Duration = Duration::from_secs(1);

/// What a router is told.
pub(super) enum Command {
    Account(SyncSender<Account>),
    Enlist { recogniser: Box<dyn Recogniser>, reply: SyncSender<Result<Box<dyn Source>, RouteError>> },
    Amend { recogniser: Box<dyn Recogniser>, reply: SyncSender<Result<(), RouteError>> },
    Dismiss { protocol: String, reply: SyncSender<Result<(), RouteError>> },
}

/// All that the thread owns.
pub(super) struct Thread {
    pub(super) name: Arc<str>,
    pub(super) source: Box<dyn Source>,
    pub(super) dispatch: Dispatch,
    pub(super) limits: BatchLimits,
    pub(super) in_step: bool,
    pub(super) orders: Orders<Command>,
    pub(super) clock: Clock,
}

/// When the slow things were last done.
pub(super) struct Clock {
    ticked: Instant,
    swept: Instant,
    audited: Instant,
    /// In a replay time is that of the records.
    ticked_ns: Option<u64>,
}

// === impl Clock ===

impl Clock {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { ticked: now, swept: now, audited: now, ticked_ns: None }
    }
}

// === impl Thread ===

impl Thread {
    /// The life of the thread.
    pub(super) fn run(mut self) {
        loop {
            if self.obey() {
                break;
            }
            if self.source.ended() && self.source.waiting_bytes() == 0 {
                self.finish();
                while let Some(command) = self.orders.wait() {
                    self.carry_out(command);
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

    /// Takes what waits at this moment; what arrives meanwhile is left for the next round.
    fn take(&mut self) {
        let mut owed = self.source.waiting_bytes();
        while owed > 0 {
            let taken = self.batch(self.haste());
            if taken == 0 {
                break;
            }
            owed = owed.saturating_sub(taken);
            if !self.in_step && self.dispatch.take_back() {
                let time = self.time();
                self.dispatch.deliver(&[], time, Haste::Live);
            }
            if self.orders.are_there() {
                break;
            }
        }
    }

    fn time(&self) -> Time {
        Time { unix_offset_ns: self.source.unix_offset_ns(), replayed_ns: self.source.time_ns() }
    }

    fn haste(&self) -> Haste {
        if self.in_step { Haste::InStep } else { Haste::Live }
    }

    /// One run. Returns its bytes in the ring.
    fn batch(&mut self, haste: Haste) -> usize {
        let Self { source, dispatch, clock, in_step, .. } = self;
        let unix_offset_ns = source.unix_offset_ns();
        let taken = source.run(self.limits.rows, self.limits.bytes).bytes.len();
        let time = Time { unix_offset_ns, replayed_ns: source.time_ns() };
        // Until it is released, the same run comes again.
        let run = source.run(self.limits.rows, self.limits.bytes);
        if taken == 0 {
            return 0;
        }
        if *in_step && let Some(first) = run.iter().next().and_then(|record| dispatch.shape.head(record)) {
            clock.tick_by(first.time_ns, dispatch);
        }
        dispatch.route(run);
        dispatch.deliver(run.bytes, time, haste);
        while *in_step && dispatch.take_back() {
            dispatch.deliver(&[], time, haste);
        }
        source.release();
        taken
    }

    /// The slow things, when their time has come.
    fn tick(&mut self) {
        let time = self.time();
        if !self.in_step && self.dispatch.take_back() {
            self.dispatch.deliver(&[], time, Haste::Live);
        }
        let now = Instant::now();
        if !self.in_step && now.duration_since(self.clock.ticked) >= TICK {
            self.clock.ticked = now;
            self.dispatch.tick(monotonic_ns());
            self.dispatch.deliver(&[], time, Haste::Live);
        }
        // A replay forgets only what has no room, so that it does not depend on how long it takes.
        if !self.in_step && now.duration_since(self.clock.swept) >= SWEEP {
            self.clock.swept = now;
            self.dispatch.sweep();
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

    /// Does what it was told. True: stop.
    fn obey(&mut self) -> bool {
        loop {
            match self.orders.next() {
                Next::Command(command) => self.carry_out(command),
                Next::Nothing => return false,
                Next::Stop => return true,
            }
        }
    }

    /// Whoever asked may have given up waiting for the answer.
    fn carry_out(&mut self, command: Command) {
        let dispatch = &mut self.dispatch;
        match command {
            Command::Account(reply) => {
                let ledger = self.audit();
                let dispatch = &self.dispatch;
                let _ = reply.try_send(Account {
                    ledger,
                    age: Duration::ZERO,
                    connections: dispatch.table.len() as u64,
                    strangers: dispatch.strangers(),
                });
            }
            Command::Enlist { recogniser, reply } => {
                let enlisted = dispatch.lanes.enlist(recogniser);
                if enlisted.is_ok() {
                    dispatch.reconsider();
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
                    dispatch.reconsider();
                });
                let _ = reply.try_send(amended);
            }
            Command::Dismiss { protocol, reply } => {
                let found = dispatch.lanes.find(&protocol).ok_or(RouteError::None(protocol));
                let _ = reply.try_send(found.map(|lane| dispatch.dismiss(lane)));
            }
        }
    }

    /// Takes everything that is still in the ring. The lanes have time to make room: the kernel produces no more.
    fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN_DEADLINE;
        let haste = if self.in_step { Haste::InStep } else { Haste::Draining(deadline) };
        while self.source.waiting_bytes() > 0 && Instant::now() < deadline {
            if self.batch(haste) == 0 {
                // The record at the head is still being written.
                self.source.wait(1, Duration::from_millis(1));
            }
        }
    }

    /// Waits until the lanes have read what they were handed, and have given back what their decoders disowned of it.
    fn change_hands(&mut self, time: Time, haste: Haste) {
        let began = Instant::now();
        loop {
            let dispatch = &mut self.dispatch;
            if dispatch.take_back() {
                dispatch.deliver(&[], time, haste);
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

    /// Tells the lanes that nothing follows, ends them, and counts.
    fn finish(&mut self) {
        let time = self.time();
        let haste = if self.in_step { Haste::InStep } else { Haste::Draining(Instant::now() + DRAIN_DEADLINE) };
        self.change_hands(time, haste);
        self.dispatch.flush();
        self.dispatch.deliver(&[], time, haste);
        self.dispatch.lanes.inbox.close();
        self.dispatch.lanes.iter_mut().for_each(|(_, entry)| entry.outlet.end());
        self.dispatch.publish();
        self.audit();
        tracing::debug!(probe = %self.name, "all that came is routed");
        self.orders.finished();
    }
}

impl Clock {
    /// Tells the lanes that time passes when a second of the records has; again from the start if a capture begins anew.
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

/// CLOCK_MONOTONIC, which records are stamped with.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}
