//! What is remembered of one connection, and what its messages do to that.

use std::collections::VecDeque;
use std::rc::Rc;

use plugin_sdk::conversation::{Began, Emit, Ending, Foreign, Sender};
use serde::{Deserialize, Serialize};
use sql::{Exchange, Statement};

use crate::names::Names;

/// One connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Session {
    /// How far the client has come.
    pub(crate) stage: Stage,
    /// The database that it asked for.
    pub(crate) database: Option<Rc<str>>,
    /// `standard_conforming_strings` is off.
    pub(crate) backslash: bool,
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) statements: Names,
    pub(crate) portals: Names,
    /// What there is of the next execution.
    pub(crate) half: Half,
    waiting: VecDeque<Waiting>,
    /// After an error the server answers nothing until the next `Sync`.
    is_aborting: bool,
    /// Something was understood, of whichever end.
    pub(crate) is_proven: bool,
    /// Of the server's last call not all was captured.
    pub(crate) is_cut: bool,
    /// When the server last sent something.
    pub(crate) answered_ns: u64,
}

/// How far a client has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Nothing of it was seen.
    #[default]
    New,
    /// It asked for encryption, and the server has not answered.
    Asking,
    /// Messages.
    Open,
}

/// How well the bytes of one end are understood.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Side {
    /// It is known where the next message begins.
    pub in_step: bool,
    /// Messages may have been missed that something waits for.
    pub has_missed: bool,
    /// Calls in a row of which nothing was understood.
    pub strange: u8,
}

/// What `Parse` and `Bind` said, for the `Execute` to come.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Half {
    pub began: Option<Began>,
    pub statement: Option<Rc<Statement>>,
    pub parent: Option<Box<str>>,
}

/// What a client waits for.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    began: Began,
    asked: Asked,
    statement: Option<Rc<Statement>>,
    parent: Option<Box<str>>,
    rows: u32,
    code: Option<Box<str>>,
    /// Its row is out already; only its answer is still to come.
    is_told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Asked {
    /// Answered by `CommandComplete` or its kind.
    Execute,
    /// Answered by `ReadyForQuery`, after all that was asked before.
    Query,
    /// As a query, but nothing was asked.
    Sync,
}

/// Requests that wait for their answers. Over that the oldest is forgotten, and told so: a client that asks and never listens must
/// not fill the memory.
const MOST: usize = 4096;
/// `error.type` of what was not executed because something before it failed.
const ABORTED: &str = "aborted";
/// `network.protocol.version`
const VERSION: &str = "3";

// === impl Session: what clients ask ===

impl Session {
    pub(crate) fn ask_query(
        &mut self,
        began: Began,
        statement: Rc<Statement>,
        parent: Option<&str>,
        rows: &mut Emit<'_, Exchange>,
    ) {
        self.ask(Waiting::new(began, Asked::Query, Some(statement), parent.map(Box::from)), rows);
    }

    pub(crate) fn ask_execute(&mut self, began: Began, portal: &[u8], rows: &mut Emit<'_, Exchange>) {
        let half = std::mem::take(&mut self.half);
        let statement = self.portals.get(portal);
        self.ask(Waiting::new(half.began.unwrap_or(began), Asked::Execute, statement, half.parent), rows);
    }

    pub(crate) fn ask_sync(&mut self, began: Began, rows: &mut Emit<'_, Exchange>) {
        let half = std::mem::take(&mut self.half);
        self.ask(Waiting::new(half.began.unwrap_or(began), Asked::Sync, half.statement, half.parent), rows);
    }

    fn ask(&mut self, waiting: Waiting, rows: &mut Emit<'_, Exchange>) {
        if self.waiting.len() >= MOST
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.forget(oldest, waiting.began.time_ns, rows);
        }
        self.waiting.push_back(waiting);
    }

    /// The client asks anew. Were answers missed, what it asked before must have been answered: it would still wait.
    pub(crate) fn close_answered(&mut self, rows: &mut Emit<'_, Exchange>) {
        if !std::mem::take(&mut self.server.has_missed) {
            return;
        }
        while self.waiting.front().is_some_and(|waiting| waiting.began.time_ns < self.answered_ns) {
            self.pop(self.answered_ns, "", rows);
        }
    }

    /// A record of the server was lost. What the client has asked another time since must have been in it: it would still wait.
    pub(crate) fn close_asked_again(&mut self, rows: &mut Emit<'_, Exchange>) {
        while let Some(end) = self.waiting.iter().position(|waiting| waiting.asked != Asked::Execute) {
            let last_ns = self.waiting.get(end).map_or(0, |waiting| waiting.began.time_ns);
            let Some(asked_ns) =
                self.waiting.get(end + 1).map(|next| next.began.time_ns).filter(|asked_ns| *asked_ns != last_ns)
            else {
                break;
            };
            (0..=end).for_each(|_| self.pop(asked_ns, "", rows));
        }
    }
}

// === impl Session: what servers answer ===

impl Session {
    /// A statement is done, and returned so many rows.
    pub(crate) fn complete(&mut self, returned: u32, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        match self.waiting.front_mut() {
            Some(front) if front.asked == Asked::Execute => {
                front.rows = returned;
                self.pop(time_ns, "", rows);
            }
            Some(front) if front.asked == Asked::Query => front.rows = front.rows.saturating_add(returned),
            _ if self.client.has_missed => self.complete_half(time_ns, returned, None, rows),
            _ => {}
        }
    }

    /// Something failed.
    pub(crate) fn fail(&mut self, code: Option<&str>, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let code = Box::from(code.unwrap_or("_OTHER"));
        match self.waiting.front_mut() {
            Some(front) if front.asked == Asked::Execute => {
                front.code = Some(code);
                self.pop(time_ns, "", rows);
                self.is_aborting = true;
            }
            // A session that waits for nothing is told that the server ends, or that its password is wrong.
            Some(front) if front.asked == Asked::Query || front.statement.is_some() => front.code = Some(code),
            Some(_) => {}
            None => {
                self.is_aborting = self.half.statement.is_some();
                self.complete_half(time_ns, 0, Some(code), rows);
            }
        }
    }

    /// The server is ready for the next query: all up to the end of the unit is done.
    pub(crate) fn ready(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let is_aborted = std::mem::take(&mut self.is_aborting);
        if self.waiting.is_empty() && self.client.has_missed && self.server.has_missed {
            self.complete_half(time_ns, 0, None, rows);
        }
        while let Some(asked) = self.waiting.front().map(|waiting| waiting.asked) {
            let was_skipped = is_aborted && asked == Asked::Execute;
            self.pop(time_ns, if was_skipped { ABORTED } else { "" }, rows);
            if asked != Asked::Execute {
                break;
            }
        }
        if self.waiting.is_empty() {
            self.server.has_missed = false;
            self.client.has_missed = false;
        }
    }

    /// From now on both ends stream: what was asked is granted.
    pub(crate) fn stream(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        if let Some(front) = self.waiting.front_mut().filter(|front| front.asked != Asked::Sync) {
            let granted = Waiting::new(front.began, front.asked, front.statement.take(), front.parent.take());
            front.is_told = true;
            self.tell(granted, time_ns, "", rows);
        }
    }

    /// The server answers what it was not seen to be asked for: the `Execute` is among the bytes that are missing, or a statement
    /// could not be prepared.
    fn complete_half(&mut self, time_ns: u64, returned: u32, code: Option<Box<str>>, rows: &mut Emit<'_, Exchange>) {
        let Some(began) = self.half.began.filter(|_| self.half.statement.is_some()) else { return };
        let half = std::mem::take(&mut self.half);
        let waiting = Waiting::new(began, Asked::Execute, half.statement, half.parent);
        self.tell(Waiting { rows: returned, code, ..waiting }, time_ns, "", rows);
    }
}

// === impl Session: rows ===

impl Session {
    fn pop(&mut self, time_ns: u64, error: &str, rows: &mut Emit<'_, Exchange>) {
        if let Some(waiting) = self.waiting.pop_front() {
            self.tell(waiting, time_ns, error, rows);
        }
    }

    /// There is no room for it any more.
    #[cold]
    fn forget(&self, waiting: Waiting, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        if !waiting.is_told && !waiting.began.is_given_up && waiting.asked != Asked::Sync {
            let mut row = self.exchange(waiting.statement, waiting.code).row(waiting.began, time_ns, rows);
            row.forgotten().protocol_version(VERSION).trace_parent(waiting.parent.as_deref().unwrap_or_default().as_bytes());
        }
    }

    fn tell(&self, waiting: Waiting, ended_ns: u64, error: &str, rows: &mut Emit<'_, Exchange>) {
        let Waiting { began, asked, statement, parent, rows: returned, code, is_told } = waiting;
        // A `Sync` is no statement, unless what was to be prepared before it failed.
        if is_told || (asked == Asked::Sync && code.is_none()) {
            return;
        }
        let exchange = Exchange { rows: returned, ..self.exchange(statement, code) };
        let mut row = exchange.row(began, ended_ns, rows);
        row.protocol_version(VERSION);
        if !error.is_empty() {
            row.error(error);
        }
        if let Some(parent) = parent {
            row.trace_parent(parent.as_bytes());
        }
    }

    fn exchange(&self, statement: Option<Rc<Statement>>, code: Option<Box<str>>) -> Exchange {
        Exchange { system: "postgresql", statement, database: self.database.clone(), code, rows: 0, answered: 0, unread: 0 }
    }

    /// Bytes of one end are missing.
    pub(crate) fn miss(&mut self, sender: Sender) {
        let side = self.side(sender);
        side.in_step = false;
        side.has_missed = true;
        if sender == Sender::Client && self.stage == Stage::Asking {
            self.stage = Stage::Open;
        }
    }

    /// Nothing of a call was understood. Where nothing ever is, this is another protocol.
    pub(crate) const fn lose(&mut self, sender: Sender, most: u8) -> Result<(), Foreign> {
        let is_proven = self.is_proven;
        let side = self.side(sender);
        side.strange = side.strange.saturating_add(1);
        if is_proven || side.strange < most { Ok(()) } else { Err(Foreign) }
    }

    pub(crate) const fn side(&mut self, sender: Sender) -> &mut Side {
        match sender {
            Sender::Client => &mut self.client,
            Sender::Server => &mut self.server,
        }
    }

    /// Bytes that it has on the heap; statements are counted where they are kept.
    pub(crate) fn weight(&self) -> usize {
        self.waiting.capacity() * size_of::<Waiting>() + self.statements.weight() + self.portals.weight()
    }

    /// Tells what is given up. What is not over keeps its place, because its answer may still come.
    pub(crate) fn give_up(&mut self, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        for index in 0..self.waiting.len() {
            let was_answered = |began: Began| self.server.has_missed && began.time_ns < self.answered_ns;
            let Some(waiting) = self.waiting.get_mut(index).filter(|waiting| why.gives_up(waiting.began)) else { continue };
            let (began, is_sync) = (waiting.began, waiting.asked == Asked::Sync);
            waiting.began.is_given_up = true;
            if waiting.is_told || is_sync {
                continue;
            }
            if was_answered(began) {
                waiting.is_told = true;
                let given_up = Waiting::new(began, waiting.asked, waiting.statement.take(), waiting.parent.take());
                self.tell(given_up, self.answered_ns, "", rows);
            } else {
                let (statement, parent) = (waiting.statement.clone(), waiting.parent.clone());
                let mut row = self.exchange(statement, None).row(began, why.time_ns(), rows);
                row.unfinished(why).protocol_version(VERSION).trace_parent(parent.as_deref().unwrap_or_default().as_bytes());
            }
        }
        if why.is_final() {
            *self = Self::default();
        }
    }
}

// === impl Waiting ===

impl Waiting {
    const fn new(began: Began, asked: Asked, statement: Option<Rc<Statement>>, parent: Option<Box<str>>) -> Self {
        Self { began, asked, statement, parent, rows: 0, code: None, is_told: false }
    }
}
