//! What is remembered of one connection.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use plugin_sdk::conversation::{Foreign, Sender};
use serde::{Deserialize, Serialize};
use sql::{Dialect, Statement};

use crate::modes::{Change, Modes};
use crate::packet::{HEADER, Packet, QUERY_ATTRIBUTES};
use crate::vocabulary::CHANGE_USER;
use crate::waiting::{AnswerState, Waiting};

/// What is remembered of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    pub(crate) stage: Stage,
    pub(crate) is_mariadb: bool,
    /// Capabilities that the server offered; None if that was not seen.
    pub(crate) offered: Option<u32>,
    /// Capabilities that the client agreed to.
    pub(crate) agreed: u32,
    pub(crate) database: Option<Rc<str>>,
    pub(crate) modes: Modes,
    /// Whether the client sends a file, which ends with an empty packet.
    pub(crate) in_file: bool,
    /// Whether the server has answered the file.
    pub(crate) is_file_answered: bool,
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) statements: BTreeMap<u32, Rc<Statement>>,
    /// MariaDB lets the last one that was prepared be executed before its number is known.
    pub(crate) last_prepared: Option<Rc<Statement>>,
    pub(crate) waiting: VecDeque<Waiting>,
    /// Whether something of either end was parsed: the connection does speak this protocol.
    pub(crate) is_confirmed: bool,
    /// Whether not all of the server's last call was captured.
    pub(crate) is_cut: bool,
    /// Time of the server's last call.
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

/// The position in the bytes of one end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Side {
    /// Whether it is known where the next packet begins.
    pub is_synced: bool,
    /// Whether packets are missing that a command may wait for.
    pub has_gap: bool,
    /// Calls in a row that could not be parsed.
    pub unreadable: u8,
    /// Whether the next packet continues the body of the last.
    pub goes_on: bool,
    /// Number of the last packet.
    pub number: u8,
}

/// Maximum number of prepared statements of a session. With 16 bytes for each, all sessions of a full table have 32 MiB.
const MAX_STATEMENTS: usize = 256;
/// The number by which MariaDB knows the last statement that was prepared.
const LAST_PREPARED: u32 = u32::MAX;
// === impl Connection: statements ===

impl Connection {
    /// How the server will read what the client says now. What is asked and not yet answered may change it.
    pub(crate) fn dialect(&self) -> Dialect {
        let may_set = |waiting: &Waiting| {
            waiting.change != Change::None || waiting.statement.as_ref().is_none_or(|statement| statement.may_set)
        };
        self.modes.dialect(!self.client.has_gap && !self.waiting.iter().any(may_set))
    }

    /// Whether queries have attributes; None if that was not seen.
    pub(crate) fn has_attributes(&self) -> Option<bool> {
        match (self.agreed, self.offered) {
            (0, _) => None,
            (agreed, _) if agreed & QUERY_ATTRIBUTES == 0 => Some(false),
            (_, offered) => offered.map(|offered| offered & QUERY_ATTRIBUTES != 0),
        }
    }

    pub(crate) fn set_last_prepared(&mut self, statement: Rc<Statement>) {
        self.last_prepared = Some(statement);
    }

    /// Stores a prepared statement by the number that the server gave it.
    pub(crate) fn add_prepared(&mut self, id: u32, statement: Rc<Statement>) {
        self.statements.insert(id, statement);
        if self.statements.len() > MAX_STATEMENTS {
            // Numbers rise: the first is the oldest.
            self.statements.pop_first();
        }
    }

    pub(crate) fn prepared_statement(&self, id: u32) -> Option<Rc<Statement>> {
        if id == LAST_PREPARED { self.last_prepared.clone() } else { self.statements.get(&id).cloned() }
    }

    pub(crate) fn remove_prepared(&mut self, id: u32) {
        self.statements.remove(&id);
    }
}

// === impl Connection: bytes that are missing ===

impl Connection {
    /// Marks the position in the bytes of one end as lost.
    pub(crate) fn lose_position(&mut self, sender: Sender) {
        if sender == Sender::Client && self.is_file_answered {
            self.in_file = false;
        }
        let side = self.side(sender);
        *side = Side { has_gap: true, unreadable: side.unreadable, ..Side::default() };
        if sender == Sender::Server
            && let Some(front) = self.waiting.front_mut().filter(|front| front.answer_state.is_within())
        {
            front.answer_state = AnswerState::Lost;
            front.rows = 0;
        }
    }

    /// Forgets how texts are read: what is missing may have changed it. `is_cut` if it is no more than the end of a call.
    pub(crate) fn forget_modes(&mut self, sender: Sender, is_cut: bool) {
        let may_set = |waiting: &Waiting| waiting.statement.as_ref().is_none_or(|statement| statement.may_set);
        match sender {
            // All of a file is a file.
            Sender::Client if self.in_file => {}
            Sender::Client => self.modes.forget_collation(),
            // The end of a long result says nothing, unless something was set.
            Sender::Server if is_cut && !self.waiting.iter().any(may_set) => {}
            Sender::Server => self.modes.forget_status(),
        }
    }

    /// Counts a call that could not be parsed. Too many of them, and the connection speaks another protocol.
    pub(crate) const fn count_unreadable(&mut self, sender: Sender, most: u8) -> Result<(), Foreign> {
        let is_confirmed = self.is_confirmed;
        let side = self.side(sender);
        side.unreadable = side.unreadable.saturating_add(1);
        if is_confirmed || side.unreadable < most { Ok(()) } else { Err(Foreign::Whole) }
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
}

// === impl Connection: packets of a client that are no commands ===

impl Connection {
    /// Whether a packet of the client counts on from the one before.
    pub(crate) const fn continues(&self, packet: &Packet<'_>) -> bool {
        packet.number == self.client.number.wrapping_add(1)
    }

    /// Whether it belongs to a file that the client sends. Numbers begin anew behind 255, so a number says nothing.
    pub(crate) const fn is_of_file(&self, packet: &Packet<'_>) -> bool {
        self.in_file && self.continues(packet)
    }

    /// Reads a packet of a file; an empty one ends it.
    pub(crate) const fn read_file_packet(&mut self, packet: &Packet<'_>) {
        self.in_file = packet.length > HEADER;
    }

    /// Notes a call of the server. Where in a file the client is may not be known; an answer says that it is over.
    pub(crate) fn note_server_call(&mut self) {
        if self.in_file && !self.waiting.iter().any(|waiting| waiting.answer_state == AnswerState::File) {
            self.is_file_answered = true;
            self.in_file = self.client.is_synced;
        }
    }

    /// Begins a file: the server asks for it, in a packet of this number.
    pub(crate) const fn begin_file(&mut self, number: u8) {
        self.in_file = true;
        self.is_file_answered = false;
        self.client.number = number;
    }

    /// Handles a packet that continues a command, a password, or a file for which the server was not seen to ask. `went_on` if
    /// the packet before was as long as they get.
    pub(crate) fn continue_command(&mut self, packet: &Packet<'_>, went_on: bool) {
        let is_password = self.waiting.back().is_some_and(|last| last.command == CHANGE_USER);
        if went_on || is_password {
            // The answer has the number behind it.
            if let Some(AnswerState::Before(number)) = self.waiting.back_mut().map(|waiting| &mut waiting.answer_state) {
                *number = packet.number.wrapping_add(1);
            }
            return;
        }
        self.read_file_packet(packet);
        self.is_file_answered = false;
        // What seemed to be a command was a packet of the file, whose number came round to 0.
        if packet.number == 1 {
            self.waiting.pop_back();
        }
        if let Some(last) = self.waiting.back_mut().filter(|last| matches!(last.answer_state, AnswerState::Before(_))) {
            last.answer_state = AnswerState::File;
        }
    }
}
