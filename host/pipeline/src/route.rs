//! The router: records of many connections in, each to the path of the protocol that its connection speaks.
//!
//! The *trunk* is the ring of a probe that sees connections. One thread reads it and gives each record to a *lane*, which is the
//! [`Source`] of a path like any other. Which lane a connection belongs to is decided by its first records: by a pinned port, by
//! the signatures that decoders declare, by asking them. What nobody knows is counted by port, and the kernel is told not to
//! send it any more.

mod allowance;
mod asking;
mod dispatch;
mod held;
mod inbox;
mod lane;
mod lanes;
mod record;
mod strangers;
mod table;
mod thread;
mod verdicts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use host_model::{Ledger, MapAccess, Observer, PathCounters, Recogniser, Snapshot, Source, Stranger};

use crate::blueprint::BatchLimits;
use crate::line::Reader;
use dispatch::Dispatch;
use inbox::Inbox;
use lanes::Lanes;
use record::Shape;
use thread::{Clock, Command, Thread};
use verdicts::Verdicts;

/// The record that a trunk carries: `struct l7_record`.
pub const TRUNK_RECORD: &str = record::STRUCT;

/// What a router is made of.
pub struct Trunk {
    /// The name of the probe.
    pub name: Arc<str>,
    /// Where records come from.
    pub source: Box<dyn Source>,
    /// The record that it writes.
    pub layout: Arc<host_model::Layout>,
    /// The maps of its object: verdicts are written there.
    pub maps: Arc<dyn MapAccess>,
    /// Is told of faults of those who are asked.
    pub observer: Arc<dyn Observer>,
    /// The trunk's side of the ledger.
    pub counters: Arc<PathCounters>,
    /// How much is read at once, and how often.
    pub limits: BatchLimits,
    /// Ports of servers, and the protocol that is spoken there whatever it looks like.
    pub pins: BTreeMap<u16, String>,
    /// Bytes of each call that are captured at least: a protocol that asks for more gets it.
    pub capture_bytes: u32,
    /// In a replay: every lane has worked on a run before the next is read, and nothing is lost, so that the same capture always
    /// gives the same rows.
    pub in_step: bool,
}

/// A router that runs. Dropping it stops it.
pub struct Router {
    name: Arc<str>,
    counters: Arc<PathCounters>,
    thread: Reader<Command>,
}

/// What a router has to say of itself at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The sums of the trunk.
    pub ledger: Ledger,
    /// Their age: zero unless the router was busy with one run.
    pub age: Duration,
    /// Connections that it knows.
    pub connections: u64,
    /// What nobody knew, by port.
    pub strangers: Vec<Stranger>,
}

/// Why records are not routed.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The probe writes something else.
    #[error("its records are `struct {0}`, not `struct {record}`", record = record::STRUCT)]
    Record(String),
    /// The record lacks something.
    #[error("its record has no member `{name}` of {size} bytes; build the object against bpf/l7/record.h of this host")]
    Member {
        /// The member.
        name: &'static str,
        /// Its size.
        size: u32,
    },
    /// There is a lane of this name.
    #[error("there is a path for protocol {0} already")]
    Twice(String),
    /// There is none.
    #[error("there is no path for protocol {0}")]
    None(String),
    /// There are as many lanes as there may be.
    #[error("there are {max} protocols already; unload one", max = lanes::MOST)]
    TooMany,
    /// The system gave no thread.
    #[error("no thread for the router: {0}")]
    Thread(std::io::Error),
    /// It has ended.
    #[error("the router of probe {0} has ended")]
    Ended(Arc<str>),
}

/// Starts a router on a thread of its own, with a lane for each of these; the sources are in the same order. Start their paths soon:
/// records come.
///
/// # Errors
/// The trunk's record is another one, two have the same protocol, or the system gives no thread.
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
    let thread = Reader::start(format!("route-{name}"), waker, move |orders| {
        Thread { name: of_thread, source, dispatch, limits, in_step, orders, clock: Clock::new() }.run();
    });
    Ok((Router { name, counters, thread: thread.map_err(RouteError::Thread)? }, sources))
}

// === impl Router ===

impl Router {
    /// The trunk's counters. They move while they are read; [`Router::account`] balances.
    #[must_use]
    pub fn counters(&self) -> &Arc<PathCounters> {
        &self.counters
    }

    /// What it has to say of itself, between two runs. After `timeout`, or when it has ended, only what was counted last. Blocks.
    #[must_use]
    pub fn account(&self, timeout: Duration) -> Account {
        let account = self.thread.line().ask_within(timeout, Command::Account);
        account.unwrap_or_else(|| {
            if self.finished() {
                return Account { ledger: self.counters.ledger(), ..Account::default() };
            }
            let Snapshot { ledger, age } = self.counters.taken();
            Account { ledger, age, ..Account::default() }
        })
    }

    /// A lane for one more protocol. Connections that nobody knew are looked at again. Blocks.
    ///
    /// # Errors
    /// There is one for this protocol, there are too many, or the router has ended.
    pub fn enlist(&self, recogniser: Box<dyn Recogniser>) -> Result<Box<dyn Source>, RouteError> {
        self.ask(|reply| Command::Enlist { recogniser, reply })
    }

    /// From now on this one is asked about its protocol, and its signatures hold. Blocks.
    ///
    /// # Errors
    /// There is no lane for its protocol, or the router has ended.
    pub fn amend(&self, recogniser: Box<dyn Recogniser>) -> Result<(), RouteError> {
        self.ask(|reply| Command::Amend { recogniser, reply })
    }

    /// Ends the lane of a protocol: its path reads what is there and finishes. Its connections become unknown. Blocks.
    ///
    /// # Errors
    /// There is no such lane, or the router has ended.
    pub fn dismiss(&self, protocol: &str) -> Result<(), RouteError> {
        self.ask(|reply| Command::Dismiss { protocol: protocol.to_owned(), reply })
    }

    /// True once the source has ended and all of it has been given to the lanes, or the thread has stopped.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.thread.finished()
    }

    /// Takes what is left in the ring, gives it to the lanes and ends them. Detach the probe before, stop the paths after. Blocks.
    pub fn stop(self) -> Ledger {
        let Self { counters, thread, .. } = self;
        drop(thread);
        counters.ledger()
    }

    fn ask<A>(&self, question: impl FnOnce(SyncSender<Result<A, RouteError>>) -> Command) -> Result<A, RouteError> {
        self.thread.line().ask(question).unwrap_or_else(|| Err(RouteError::Ended(Arc::clone(&self.name))))
    }
}
