//! What is remembered of one connection.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use plugin_sdk::conversation::{Began, Emit, Ending, Foreign, Sender};
use serde::{Deserialize, Serialize};
use sql::{Backslash, Dialect, Exchange, Statement};

use crate::command::PREPARE;

/// One connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Session {
    pub(crate) stage: Stage,
    pub(crate) is_mariadb: bool,
    /// What the server said that it can do; all, if that was not seen.
    pub(crate) offered: Option<u32>,
    /// What the client said that both can do.
    pub(crate) agreed: u32,
    pub(crate) database: Option<Rc<str>>,
    /// A backslash is a backslash: `NO_BACKSLASH_ESCAPES`.
    pub(crate) no_backslash: bool,
    pub(crate) client: Side,
    pub(crate) server: Side,
    statements: BTreeMap<u32, Rc<Statement>>,
    /// MariaDB lets the last one that was prepared be executed before its number is known.
    last_prepared: Option<Rc<Statement>>,
    pub(crate) waiting: VecDeque<Waiting>,
    /// Something was understood, of whichever end.
    pub(crate) is_proven: bool,
    /// Of the server's last call not all was captured.
    pub(crate) is_cut: bool,
    /// When the server last sent something.
    pub(crate) answered_ns: u64,
}

/// How far a session has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Nothing is known of it.
    #[default]
    New,
    /// The server has not yet let the client in.
    Login,
    /// Commands and answers.
    Open,
}

/// How well the bytes of one end are understood.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Side {
    /// It is known where the next packet begins.
    pub in_step: bool,
    /// Packets may have been missed that something waits for.
    pub has_missed: bool,
    /// Calls in a row of which nothing was understood.
    pub strange: u8,
    /// The next packet goes on with the body of the last.
    pub goes_on: bool,
    /// Number of the last packet.
    pub number: u8,
}

/// What a client waits for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub began: Began,
    pub command: u8,
    pub statement: Option<Rc<Statement>>,
    pub parent: Option<Box<str>>,
    /// The database that it asks for.
    pub database: Option<Rc<str>>,
    pub place: Place,
    pub rows: u32,
    pub code: Option<Box<str>>,
    /// Its row is out already, or it has none; only its answer is still to come.
    pub is_told: bool,
}

/// Where in an answer the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// Before it; its first packet has this number.
    Before(u8),
    /// Before another result of it.
    Result,
    /// In the columns: so many are to come.
    Columns(u64),
    /// Behind the columns, where older servers draw a line before the rows.
    Line,
    /// Among the rows.
    Rows,
    /// Somewhere: packets were missed.
    Lost,
    /// In what streams without end.
    Stream,
}

/// Commands that wait for their answers; the protocol knows of one, some drivers send a few ahead.
const MOST: usize = 1024;
/// Prepared statements of a session that are remembered. With 16 bytes for each, all sessions of a full table have 32 MiB.
const MOST_STATEMENTS: usize = 256;
/// The number by which MariaDB knows the last statement that was prepared.
const LAST_PREPARED: u32 = u32::MAX;
/// `network.protocol.version`: that of the greeting.
const VERSION: &str = "10";

// === impl Session: statements ===

impl Session {
    pub(crate) const fn dialect(&self) -> Dialect {
        let backslash = if self.no_backslash { Backslash::Plain } else { Backslash::Escapes };
        Dialect::MySql { backslash, is_wide: false }
    }

    pub(crate) fn prepare(&mut self, statement: Rc<Statement>) {
        self.last_prepared = Some(statement);
    }

    /// The server gave a statement its number.
    pub(crate) fn prepared(&mut self, id: u32, statement: Rc<Statement>) {
        self.statements.insert(id, statement);
        if self.statements.len() > MOST_STATEMENTS {
            // Numbers rise: the first is the oldest.
            self.statements.pop_first();
        }
    }

    pub(crate) fn statement(&self, id: u32) -> Option<Rc<Statement>> {
        if id == LAST_PREPARED { self.last_prepared.clone() } else { self.statements.get(&id).cloned() }
    }

    pub(crate) fn close(&mut self, id: u32) {
        self.statements.remove(&id);
    }
}

// === impl Session: what waits ===

impl Session {
    pub(crate) fn ask(&mut self, waiting: Waiting, rows: &mut Emit<'_, Exchange>) {
        if self.waiting.len() >= MOST
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.forget(oldest, waiting.began.time_ns, rows);
        }
        self.waiting.push_back(waiting);
    }

    /// The client asks anew. Were answers missed, what it asked before must have been answered: it would still wait.
    pub(crate) fn close_answered(&mut self, rows: &mut Emit<'_, Exchange>) {
        let streams = |waiting: &Waiting| waiting.place == Place::Stream;
        let has_missed = std::mem::take(&mut self.server.has_missed);
        while self.waiting.front().is_some_and(|front| streams(front) || (has_missed && front.began.time_ns < self.answered_ns))
        {
            self.done(self.answered_ns, rows);
        }
    }

    /// A record of the server was lost. What the client has asked another time since must have been in it: it would still wait.
    pub(crate) fn close_asked_again(&mut self, rows: &mut Emit<'_, Exchange>) {
        while let (Some(first), Some(next)) = (self.waiting.front(), self.waiting.get(1)) {
            let asked_ns = next.began.time_ns;
            if first.began.time_ns == asked_ns {
                break;
            }
            self.done(asked_ns, rows);
        }
    }

    /// What waits longest has its answer.
    pub(crate) fn done(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let Some(mut waiting) = self.waiting.pop_front() else { return };
        if waiting.code.is_none() && waiting.database.is_some() {
            self.database = waiting.database.take();
        }
        self.tell(waiting, time_ns, rows);
        if self.waiting.is_empty() {
            self.server.has_missed = false;
            self.client.has_missed = false;
        }
    }

    /// There is no room for it any more.
    #[cold]
    fn forget(&self, waiting: Waiting, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        if !waiting.is_told && !waiting.began.is_given_up && waiting.command != PREPARE {
            let mut row = self.exchange(waiting.statement).row(waiting.began, time_ns, rows);
            row.forgotten().protocol_version(VERSION).trace_parent(waiting.parent.as_deref().unwrap_or_default().as_bytes());
        }
    }

    pub(crate) fn tell(&self, waiting: Waiting, ended_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let Waiting { began, command, statement, parent, rows: returned, code, is_told, .. } = waiting;
        // A statement that was only to be prepared has a row if that failed.
        if is_told || (command == PREPARE && code.is_none()) {
            return;
        }
        let exchange = Exchange { rows: returned, code, ..self.exchange(statement) };
        let mut row = exchange.row(began, ended_ns, rows);
        row.protocol_version(VERSION);
        if let Some(parent) = parent {
            row.trace_parent(parent.as_bytes());
        }
    }

    fn exchange(&self, statement: Option<Rc<Statement>>) -> Exchange {
        let system = if self.is_mariadb { "mariadb" } else { "mysql" };
        Exchange { system, statement, database: self.database.clone(), code: None, rows: 0, answered: 0, unread: 0 }
    }

    /// What waits longest is granted: from now on it streams.
    pub(crate) fn grant(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let Some(front) = self.waiting.front_mut() else { return };
        let granted = Waiting { statement: front.statement.take(), ..Waiting::new(front.began, front.command) };
        let is_told = std::mem::replace(&mut front.is_told, true);
        self.tell(Waiting { is_told, ..granted }, time_ns, rows);
    }

    /// Bytes of one end are missing.
    pub(crate) fn miss(&mut self, sender: Sender) {
        let side = self.side(sender);
        *side = Side { has_missed: true, strange: side.strange, ..Side::default() };
        if sender == Sender::Server
            && let Some(front) =
                self.waiting.front_mut().filter(|front| !matches!(front.place, Place::Before(_) | Place::Stream))
        {
            front.place = Place::Lost;
            front.rows = 0;
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
        // Twice what lies in a tree: its nodes are half full.
        self.waiting.capacity() * size_of::<Waiting>() + self.statements.len() * 2 * size_of::<(u32, Rc<Statement>)>()
    }

    /// Tells what is given up. What is not over keeps its place, because its answer may still come.
    pub(crate) fn give_up(&mut self, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        for index in 0..self.waiting.len() {
            let Some(waiting) = self.waiting.get_mut(index).filter(|waiting| why.gives_up(waiting.began)) else { continue };
            let began = waiting.began;
            waiting.began.is_given_up = true;
            if waiting.is_told || waiting.command == PREPARE {
                continue;
            }
            let was_answered = self.server.has_missed && began.time_ns < self.answered_ns;
            waiting.is_told = was_answered;
            let (statement, parent) = (waiting.statement.clone(), waiting.parent.clone());
            let ended_ns = if was_answered { self.answered_ns } else { why.time_ns() };
            let mut row = self.exchange(statement).row(began, ended_ns, rows);
            row.protocol_version(VERSION).trace_parent(parent.as_deref().unwrap_or_default().as_bytes());
            if !was_answered {
                row.unfinished(why);
            }
        }
        if why.is_final() {
            *self = Self::default();
        }
    }
}

// === impl Waiting ===

impl Waiting {
    /// A command, of which nothing else is known yet.
    pub(crate) const fn new(began: Began, command: u8) -> Self {
        let place = Place::Before(1);
        Self { began, command, statement: None, parent: None, database: None, place, rows: 0, code: None, is_told: false }
    }
}
