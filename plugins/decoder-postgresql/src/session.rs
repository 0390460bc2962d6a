//! What is remembered of one connection, and what its clients ask.

use std::rc::Rc;

use plugin_sdk::conversation::{Began, Emit, Ending, Foreign, Sender};
use serde::{Deserialize, Serialize};
use sql::{Backslash, Dialect, Exchange, Statement};

use crate::names::Names;
use crate::waiting::{Asked, Unread, Waiting, Waits};

/// One connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Session {
    /// How far the client has come.
    pub(crate) stage: Stage,
    /// The database that it asked for.
    pub(crate) database: Option<Rc<str>>,
    pub(crate) modes: Modes,
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) statements: Names,
    pub(crate) portals: Names,
    /// What there is of the next execution.
    pub(crate) half: Half,
    pub(crate) waiting: Waits,
    /// After an error the server answers nothing until the next `Sync`.
    pub(crate) is_aborting: bool,
    /// Something was understood, of whichever end.
    pub(crate) is_proven: bool,
    /// Of the server's last call not all was captured.
    pub(crate) is_cut: bool,
    /// When the server last sent something.
    pub(crate) answered_ns: u64,
}

/// How the server reads text, by what it has said.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Modes {
    /// `standard_conforming_strings`; None if that was not seen.
    pub is_conforming: Option<bool>,
    /// `client_encoding` is one in which characters may end in an ASCII sign; None if that was not seen.
    pub is_wide: Option<bool>,
    /// What was answered may have changed them: the server says so before it is ready again.
    pub may_have_changed: bool,
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

/// `error.type` of what was not executed because something before it failed.
pub(crate) const ABORTED: &str = "aborted";
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

    pub(crate) fn ask_parse(&mut self, began: Began, name: &[u8], statement: Rc<Statement>, rows: &mut Emit<'_, Exchange>) {
        let undo = self.statements.put(name, Rc::clone(&statement)).map(Box::new);
        let parent = self.half.parent.clone();
        self.ask(Waiting { undo, ..Waiting::new(began, Asked::Parse, Some(statement), parent) }, rows);
    }

    pub(crate) fn ask_execute(&mut self, began: Began, portal: &[u8], rows: &mut Emit<'_, Exchange>) {
        let half = std::mem::take(&mut self.half);
        let statement = self.portals.get(portal);
        self.ask(Waiting::new(half.began.unwrap_or(began), Asked::Execute, statement, half.parent), rows);
    }

    /// While the client copies into a table the server waits for the end of that, and answers no `Sync`.
    pub(crate) fn ask_sync(&mut self, began: Began, rows: &mut Emit<'_, Exchange>) {
        if self.waiting.is_copying() {
            return;
        }
        let half = std::mem::take(&mut self.half);
        self.ask(Waiting::new(half.began.unwrap_or(began), Asked::Sync, half.statement, half.parent), rows);
    }

    /// The client has copied all, or gives up. Was it not yet seen that the server lets it copy, this is remembered.
    pub(crate) fn end_copy(&mut self, began: Began) {
        self.waiting.end_copy(began);
    }

    #[inline]
    fn ask(&mut self, waiting: Waiting, rows: &mut Emit<'_, Exchange>) {
        if self.waiting.is_full() {
            self.forget_oldest(waiting.began.time_ns, rows);
        }
        self.waiting.push(waiting);
    }

    /// Bytes of the client go by that nobody reads: what it asked in them will be known by its answers alone.
    pub(crate) fn ask_unread(&mut self, began: Began, bytes: u32, rows: &mut Emit<'_, Exchange>) {
        if self.is_proven && self.stage == Stage::Open && !self.waiting.is_copying() && !self.waiting.add_unread(bytes) {
            self.ask(Waiting::new(began, Asked::Unread(Box::new(Unread { bytes, ..Unread::default() })), None, None), rows);
        }
    }

    /// The client asks anew. Were answers missed, what it asked before must have been answered: it would still wait.
    pub(crate) fn close_answered(&mut self, rows: &mut Emit<'_, Exchange>) {
        // What comes behind others and belongs to the same unit is not asked anew.
        if !self.server.has_missed || !self.waiting.ends_a_unit() {
            return;
        }
        while self.waiting.front().is_some_and(|waiting| waiting.began.time_ns < self.answered_ns) {
            self.pop(self.answered_ns, "", rows);
        }
        self.server.has_missed = false;
    }

    /// A record of the server was lost. What the client has asked another time since must have been in it: it would still wait.
    pub(crate) fn close_asked_again(&mut self, rows: &mut Emit<'_, Exchange>) {
        while let Some((end, asked_ns)) = self.waiting.asked_again() {
            (0..=end).for_each(|_| self.pop(asked_ns, "", rows));
        }
    }
}

// === impl Session: how texts are read ===

impl Session {
    /// How the server will read what the client says now. What is asked and not yet answered may change it.
    pub(crate) fn dialect(&self) -> Dialect {
        let Modes { is_conforming, is_wide, may_have_changed } = self.modes;
        let is_known = !may_have_changed && !self.client.has_missed && !self.waiting.may_set();
        let backslash = match is_conforming.filter(|_| is_known) {
            Some(true) => Backslash::Plain,
            Some(false) => Backslash::Escapes,
            None => Backslash::Unknown,
        };
        Dialect::PostgreSql { backslash, is_wide: is_wide.filter(|_| is_known).unwrap_or(true) }
    }

    /// The server says what one of its settings is.
    pub(crate) fn learn(&mut self, name: &[u8], value: &[u8]) {
        /// Of these a character may end in a backslash.
        const WIDE: [&str; 7] = ["SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB"];
        match name {
            b"standard_conforming_strings" => self.modes.is_conforming = Some(value != b"off"),
            b"client_encoding" => {
                self.modes.is_wide = Some(WIDE.iter().any(|wide| wide.as_bytes().eq_ignore_ascii_case(value)));
            }
            _ => {}
        }
    }

    /// Bytes of the server were missed, in which it may have said so. `is_cut` if they are no more than the
    /// end of a call: the end of a long result says nothing, unless something was set.
    pub(crate) fn forget_modes(&mut self, is_cut: bool) {
        let is_result = is_cut && !self.modes.may_have_changed && !self.waiting.may_set() && !self.client.has_missed;
        if !is_result {
            self.modes = Modes::default();
        }
    }
}

// === impl Session: rows ===

impl Session {
    pub(crate) fn pop(&mut self, time_ns: u64, error: &str, rows: &mut Emit<'_, Exchange>) {
        if let Some(waiting) = self.waiting.pop() {
            self.tell(waiting, time_ns, error, rows);
        }
    }

    /// There is no room for it any more.
    #[cold]
    fn forget_oldest(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let Some(waiting) = self.waiting.pop() else { return };
        if !waiting.asked.is_executed() {
            self.tell(waiting, time_ns, "", rows);
        } else if !waiting.is_told && !waiting.began.is_given_up {
            let mut row = self.exchange(waiting.statement, waiting.code).row(waiting.began, time_ns, rows);
            row.forgotten().protocol_version(VERSION).trace_parent(waiting.parent.as_deref().unwrap_or_default().as_bytes());
        }
    }

    pub(crate) fn tell(&mut self, waiting: Waiting, ended_ns: u64, error: &str, rows: &mut Emit<'_, Exchange>) {
        let Waiting { began, asked, statement, parent, rows: returned, code, is_told, done, .. } = waiting;
        self.modes.may_have_changed |= asked.is_executed() && statement.as_ref().is_none_or(|statement| statement.may_set);
        if is_told {
            return;
        }
        match asked {
            Asked::Execute | Asked::Query => {}
            // None of them is a statement, unless it failed.
            Asked::Parse | Asked::Sync if code.is_some() => {}
            Asked::Unread(unread) => return self.tell_unread(began, &unread, ended_ns, rows),
            Asked::Parse | Asked::Sync | Asked::CopyEnd => return,
        }
        let answered = if asked == Asked::Query { done } else { 0 };
        let exchange = Exchange { rows: returned, answered, ..self.exchange(statement, code) };
        let mut row = exchange.row(began, ended_ns, rows);
        row.protocol_version(VERSION);
        if !error.is_empty() {
            row.error(error);
        }
        if let Some(parent) = parent {
            row.trace_parent(parent.as_bytes());
        }
    }

    /// What was asked in bytes that were not captured, if the server did something for it, or may have.
    fn tell_unread(&self, began: Began, unread: &Unread, ended_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let is_answered = unread.answers > 0 || unread.code.is_some();
        if !is_answered && !(self.server.has_missed && unread.bytes > 0) {
            return;
        }
        let operation = Some(unread.operation).filter(|operation| !operation.is_empty());
        let statement = operation.map(|operation| Rc::new(Statement::bare(operation)));
        let code = unread.code.clone();
        let exchange = Exchange { answered: unread.answers, unread: unread.bytes, ..self.exchange(statement, code) };
        exchange.row(began, ended_ns, rows).protocol_version(VERSION);
    }

    pub(crate) fn exchange(&self, statement: Option<Rc<Statement>>, code: Option<Box<str>>) -> Exchange {
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
        if is_proven || side.strange < most { Ok(()) } else { Err(Foreign::Whole) }
    }

    pub(crate) const fn side(&mut self, sender: Sender) -> &mut Side {
        match sender {
            Sender::Client => &mut self.client,
            Sender::Server => &mut self.server,
        }
    }

    /// Bytes that it has on the heap; statements are counted where they are kept.
    pub(crate) fn weight(&self) -> usize {
        self.waiting.weight() + self.statements.weight() + self.portals.weight()
    }

    /// Tells what is given up. What is not over keeps its place, because its answer may still come.
    pub(crate) fn give_up(&mut self, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        for index in 0..self.waiting.len() {
            let was_answered = |began: Began| self.server.has_missed && began.time_ns < self.answered_ns;
            let Some(waiting) = self.waiting.get_mut(index).filter(|waiting| why.gives_up(waiting.began)) else { continue };
            if !waiting.asked.is_executed() && !why.is_final() {
                continue;
            }
            let began = waiting.began;
            waiting.began.is_given_up = true;
            if waiting.is_told {
                continue;
            }
            if !waiting.asked.is_executed() || waiting.code.is_some() || was_answered(began) {
                let code = waiting.code.take();
                let ended = Waiting { began, code, ..waiting.take() };
                self.tell(ended, self.answered_ns, "", rows);
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
