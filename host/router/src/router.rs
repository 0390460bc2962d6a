//! The handle of a router: its parts, its start, and requests to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use host_model::{Layout, Ledger, MapAccess, Observer, PathCounters, Recogniser, Snapshot, Source, WorkerHandle};

use crate::command::{Account, Command};
use crate::dispatch::Dispatch;
use crate::error::RouteError;
use crate::inbox::Inbox;
use crate::lanes::Lanes;
use crate::record::Shape;
use crate::thread::{Clock, RunLimits, Thread};
use crate::verdicts::Verdicts;

/// The parts of a router.
pub struct Trunk {
    /// The name of the probe.
    pub name: Arc<str>,
    /// The source of the records.
    pub source: Box<dyn Source>,
    /// The layout of the record that the probe writes.
    pub layout: Arc<Layout>,
    /// The maps of the probe's object: verdicts are written there.
    pub maps: Arc<dyn MapAccess>,
    /// Observes faults of the decoders that are asked.
    pub observer: Arc<dyn Observer>,
    /// The trunk's side of the ledger.
    pub counters: Arc<PathCounters>,
    /// Limits on the size and the age of a run.
    pub limits: RunLimits,
    /// Ports of servers, and the protocol there, regardless of its bytes.
    pub pins: BTreeMap<u16, String>,
    /// Minimum number of bytes captured of each call: a protocol that asks for more gets more.
    pub capture_bytes: u32,
    /// Whether this is a replay in step: every lane finishes a run before the next is read, and nothing is lost, so that the same capture
    /// always gives the same rows.
    pub in_step: bool,
}

/// A router that runs. Dropping it stops it.
pub struct Router {
    name: Arc<str>,
    counters: Arc<PathCounters>,
    thread: WorkerHandle<Command>,
}

/// Starts a router on a thread of its own, with a lane for each of `recognisers`; the sources are in the same order. Start their paths
/// soon: records arrive.
///
/// # Errors
/// The trunk has a different record, two recognisers have the same protocol, or the system does not create the thread.
pub fn route(trunk: Trunk, recognisers: Vec<Box<dyn Recogniser>>) -> Result<(Router, Vec<Box<dyn Source>>), RouteError> {
    let Trunk { name, source, layout, maps, observer, counters, limits, pins, capture_bytes, in_step } = trunk;
    let shape = Shape::of(&layout)?;
    let inbox = Arc::new(Inbox::new(source.waker()));
    let mut lanes = Lanes::new(Arc::clone(&name), pins, shape, inbox);
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    for recogniser in recognisers {
        sources.push(Box::new(lanes.enlist(recogniser)?));
    }
    let verdicts = Verdicts::new(maps, capture_bytes);
    let dispatch = Dispatch::new(shape, lanes, verdicts, Arc::clone(&counters), observer, in_step);
    let waker = source.waker();
    let of_thread = Arc::clone(&name);
    let thread = WorkerHandle::start(format!("route-{name}"), waker, move |commands| {
        Thread { name: of_thread, source, dispatch, limits, in_step, commands, clock: Clock::new() }.run();
    });
    Ok((Router { name, counters, thread: thread.map_err(RouteError::Thread)? }, sources))
}

// === impl Router ===

impl Router {
    /// The counters of the trunk. They change while they are read; [`Router::account`] balances.
    #[must_use]
    pub fn counters(&self) -> &Arc<PathCounters> {
        &self.counters
    }

    /// Returns the account, taken between two runs. After `timeout`, or when the router has ended, returns the last account. Blocks.
    #[must_use]
    pub fn account(&self, timeout: Duration) -> Account {
        let account = self.thread.sender().ask_within(timeout, Command::Account);
        account.unwrap_or_else(|| {
            if self.finished() {
                return Account { ledger: self.counters.ledger(), ..Account::default() };
            }
            let Snapshot { ledger, age } = self.counters.taken();
            Account { ledger, age, ..Account::default() }
        })
    }

    /// Adds a lane for one more protocol. Connections of an unknown protocol are detected anew. Blocks.
    ///
    /// # Errors
    /// The protocol has a lane already, the maximum of lanes is reached, or the router has ended.
    pub fn enlist(&self, recogniser: Box<dyn Recogniser>) -> Result<Box<dyn Source>, RouteError> {
        self.ask(|reply| Command::Enlist { recogniser, reply })
    }

    /// Replaces the recogniser of a protocol, and its signatures. Blocks.
    ///
    /// # Errors
    /// The protocol has no lane, or the router has ended.
    pub fn amend(&self, recogniser: Box<dyn Recogniser>) -> Result<(), RouteError> {
        self.ask(|reply| Command::Amend { recogniser, reply })
    }

    /// Ends the lane of a protocol: its path reads the remaining records and finishes. Its connections become unknown. Blocks.
    ///
    /// # Errors
    /// The protocol has no lane, or the router has ended.
    pub fn dismiss(&self, protocol: &str) -> Result<(), RouteError> {
        self.ask(|reply| Command::Dismiss { protocol: protocol.to_owned(), reply })
    }

    /// Whether the source has ended and all its records were delivered to the lanes, or the thread has ended.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.thread.finished()
    }

    /// Delivers the rest of the ring to the lanes and ends them. Detach the probe before, stop the paths after. Blocks.
    pub fn stop(self) -> Ledger {
        let Self { counters, thread, .. } = self;
        drop(thread);
        counters.ledger()
    }

    fn ask<A>(&self, question: impl FnOnce(SyncSender<Result<A, RouteError>>) -> Command) -> Result<A, RouteError> {
        self.thread.sender().ask(question).unwrap_or_else(|| Err(RouteError::Ended(Arc::clone(&self.name))))
    }
}
