//! What is remembered of one connection.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use plugin_sdk::conversation::{Began, Emit, Ending, Foreign, Sender};
use serde::{Deserialize, Serialize};
use sql::{Dialect, Exchange, Statement};

use crate::command::{CHANGE_USER, PREPARE};
use crate::modes::{Change, Modes};
use crate::packet::{HEADER, Packet, QUERY_ATTRIBUTES};

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
    pub(crate) modes: Modes,
    /// The client sends a file, which ends with an empty packet.
    pub(crate) in_file: bool,
    /// The server has said what became of it.
    is_file_answered: bool,
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

/// What a client waits for. In Wasm it has 64 bytes: what is larger is moved by a call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub began: Began,
    pub command: u8,
    pub statement: Option<Rc<Statement>>,
    pub parent: Option<Box<str>>,
    /// The database that it asks for.
    pub database: Option<Rc<str>>,
    /// What it does to the character set.
    pub change: Change,
    pub place: Place,
    pub rows: u32,
    pub code: Option<Box<str>>,
    /// Its row is out already, or it has none; only its answer is still to come.
    pub is_told: bool,
    /// With it the session begins anew: nothing is prepared any more.
    pub is_new_session: bool,
}

#[cfg(target_family = "wasm")]
const _: () = assert!(size_of::<Waiting>() <= 64);

/// Where in an answer the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// Before it; its first packet has this number.
    Before(u8),
    /// Before another result of it.
    Result,
    /// In the columns: so many are to come.
    Columns(u32),
    /// Behind the columns, where older servers draw a line before the rows.
    Line,
    /// Among the rows.
    Rows,
    /// Behind the request for a file of the client's; what comes next is what became of that.
    File,
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
    /// How the server will read what the client says now. What is asked and not yet answered may change it.
    pub(crate) fn dialect(&self) -> Dialect {
        let may_set = |waiting: &Waiting| {
            waiting.change != Change::None || waiting.statement.as_ref().is_none_or(|statement| statement.may_set)
        };
        self.modes.dialect(!self.client.has_missed && !self.waiting.iter().any(may_set))
    }

    /// Whether queries have attributes; None if that was not seen.
    pub(crate) fn has_attributes(&self) -> Option<bool> {
        match (self.agreed, self.offered) {
            (0, _) => None,
            (agreed, _) if agreed & QUERY_ATTRIBUTES == 0 => Some(false),
            (_, offered) => offered.map(|offered| offered & QUERY_ATTRIBUTES != 0),
        }
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
        let is_sure = waiting.code.is_none() && !self.server.has_missed;
        self.modes.change(if is_sure || waiting.change == Change::None { waiting.change } else { Change::Unknown });
        if waiting.is_new_session && waiting.code.is_none() {
            self.statements.clear();
            self.last_prepared = None;
        }
        if waiting.code.is_none() && waiting.database.is_some() {
            self.database = waiting.database.take();
        }
        self.tell(&mut waiting, time_ns, rows);
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

    pub(crate) fn tell(&self, waiting: &mut Waiting, ended_ns: u64, rows: &mut Emit<'_, Exchange>) {
        // A statement that was only to be prepared has a row if that failed.
        if waiting.is_told || (waiting.command == PREPARE && waiting.code.is_none()) {
            return;
        }
        let exchange = Exchange { rows: waiting.rows, code: waiting.code.take(), ..self.exchange(waiting.statement.take()) };
        let mut row = exchange.row(waiting.began, ended_ns, rows);
        row.protocol_version(VERSION);
        if let Some(parent) = &waiting.parent {
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
        let mut granted = Waiting { statement: front.statement.take(), ..Waiting::new(front.began, front.command) };
        granted.is_told = std::mem::replace(&mut front.is_told, true);
        self.tell(&mut granted, time_ns, rows);
    }

    /// Bytes of one end are missing.
    pub(crate) fn miss(&mut self, sender: Sender) {
        if sender == Sender::Client && self.is_file_answered {
            self.in_file = false;
        }
        let side = self.side(sender);
        *side = Side { has_missed: true, strange: side.strange, ..Side::default() };
        if sender == Sender::Server
            && let Some(front) = self.waiting.front_mut().filter(|front| front.place.is_within())
        {
            front.place = Place::Lost;
            front.rows = 0;
        }
    }

    /// What was missed may have changed how texts are read. `is_cut` if it is no more than the end of a call.
    pub(crate) fn forget_modes(&mut self, sender: Sender, is_cut: bool) {
        let may_set = |waiting: &Waiting| waiting.statement.as_ref().is_none_or(|statement| statement.may_set);
        match sender {
            // All of a file is a file.
            Sender::Client if self.in_file => {}
            Sender::Client => self.modes.miss_command(),
            // The end of a long result says nothing, unless something was set.
            Sender::Server if is_cut && !self.waiting.iter().any(may_set) => {}
            Sender::Server => self.modes.miss_answer(),
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

// === impl Session: packets of a client that are no commands ===

impl Session {
    /// Whether a packet of the client counts on from the one before.
    pub(crate) const fn follows(&self, packet: &Packet<'_>) -> bool {
        packet.number == self.client.number.wrapping_add(1)
    }

    /// Whether it belongs to a file that the client sends. Numbers begin anew behind 255, so a number says nothing.
    pub(crate) const fn is_of_file(&self, packet: &Packet<'_>) -> bool {
        self.in_file && self.follows(packet)
    }

    /// A packet of a file; an empty one ends it.
    pub(crate) const fn take_file(&mut self, packet: &Packet<'_>) {
        self.in_file = packet.length > HEADER;
    }

    /// The server has spoken. Where in a file the client is may not be known; an answer says that it is over.
    pub(crate) fn hear_server(&mut self) {
        if self.in_file && !self.waiting.iter().any(|waiting| waiting.place == Place::File) {
            self.is_file_answered = true;
            self.in_file = self.client.in_step;
        }
    }

    /// The server asks for a file, in a packet of this number.
    pub(crate) const fn ask_file(&mut self, number: u8) {
        self.in_file = true;
        self.is_file_answered = false;
        self.client.number = number;
    }

    /// More of the same command, a password, or a file for which the server was not seen to ask. `went_on` if the packet before was
    /// as long as they get.
    pub(crate) fn go_on(&mut self, packet: &Packet<'_>, went_on: bool) {
        let is_password = self.waiting.back().is_some_and(|last| last.command == CHANGE_USER);
        if went_on || is_password {
            // The answer has the number behind it.
            if let Some(Place::Before(number)) = self.waiting.back_mut().map(|waiting| &mut waiting.place) {
                *number = packet.number.wrapping_add(1);
            }
            return;
        }
        self.take_file(packet);
        self.is_file_answered = false;
        // What seemed to be a command was a packet of the file, whose number came round to 0.
        if packet.number == 1 {
            self.waiting.pop_back();
        }
        if let Some(last) = self.waiting.back_mut().filter(|last| matches!(last.place, Place::Before(_))) {
            last.place = Place::File;
        }
    }
}

// === impl Place ===

impl Place {
    /// Whether the server is within an answer of which more is to come.
    const fn is_within(self) -> bool {
        !matches!(self, Self::Before(_) | Self::Stream | Self::File)
    }
}

// === impl Waiting ===

impl Waiting {
    /// A command, of which nothing else is known yet.
    pub(crate) const fn new(began: Began, command: u8) -> Self {
        Self {
            began,
            command,
            statement: None,
            parent: None,
            database: None,
            change: Change::None,
            place: Place::Before(1),
            rows: 0,
            code: None,
            is_told: false,
            is_new_session: false,
        }
    }
}
