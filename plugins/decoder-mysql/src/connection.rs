//! The state of one connection.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use plugin_sdk::conversation::{Foreign, Sender};
use serde::{Deserialize, Serialize};
use sql::{Dialect, Statement};

use crate::modes::{Change, Modes};
use crate::packet::{HEADER, Packet, QUERY_ATTRIBUTES};
use crate::vocabulary::CHANGE_USER;
use crate::waiting::{AnswerState, Waiting};

/// The state of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    pub(crate) stage: Stage,
    pub(crate) is_mariadb: bool,
    /// Capabilities that the server offered; None if they were not seen.
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
    /// The last prepared statement: MariaDB accepts its execution before its number is known.
    pub(crate) last_prepared: Option<Rc<Statement>>,
    pub(crate) waiting: VecDeque<Waiting>,
    /// Whether a packet of either end was parsed, which proves that the connection speaks this protocol.
    pub(crate) is_confirmed: bool,
    /// Whether the server's last call was captured only in part.
    pub(crate) is_cut: bool,
    /// Time of the server's last call.
    pub(crate) answered_ns: u64,
}

/// The phase of a session.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// No bytes were seen yet.
    #[default]
    New,
    /// The server has not yet accepted the login.
    Login,
    /// Commands and responses.
    Open,
}

/// The position in the bytes of one end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Side {
    /// Whether the position of the next packet is known.
    pub is_synced: bool,
    /// Whether packets are missing that a command may wait for.
    pub has_gap: bool,
    /// Number of consecutive calls that could not be parsed.
    pub unreadable: u8,
    /// Whether the next packet continues the body of the last.
    pub goes_on: bool,
    /// Number of the last packet.
    pub number: u8,
}

/// Maximum number of prepared statements of a session. With 16 bytes for each, all sessions of a full table take 32 MiB.
const MAX_STATEMENTS: usize = 256;
/// The number that stands for the last prepared statement, in MariaDB.
const LAST_PREPARED: u32 = u32::MAX;
// === impl Connection: statements ===

impl Connection {
    /// Returns how the server will read the client's text. Commands that are not answered yet may change it.
    pub(crate) fn dialect(&self) -> Dialect {
        let may_set = |waiting: &Waiting| {
            waiting.change != Change::None || waiting.statement.as_ref().is_none_or(|statement| statement.may_set)
        };
        self.modes.dialect(!self.client.has_gap && !self.waiting.iter().any(may_set))
    }

    /// Whether queries have attributes; None if the capabilities were not seen.
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

    /// Stores a prepared statement by the number that the server assigned.
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

    /// Forgets how texts are read, because missing bytes may have changed it. `is_cut` if only the end of a call is missing.
    pub(crate) fn forget_modes(&mut self, sender: Sender, is_cut: bool) {
        let may_set = |waiting: &Waiting| waiting.statement.as_ref().is_none_or(|statement| statement.may_set);
        match sender {
            // All missing bytes belong to the file.
            Sender::Client if self.in_file => {}
            Sender::Client => self.modes.forget_collation(),
            // The end of a long result changes nothing, unless a command was to set something.
            Sender::Server if is_cut && !self.waiting.iter().any(may_set) => {}
            Sender::Server => self.modes.forget_status(),
        }
    }

    /// Counts a call that could not be parsed. After too many of them the connection is taken to speak another protocol.
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

    /// Returns the number of bytes on the heap, without those of statements, which are counted where they are stored.
    pub(crate) fn weight(&self) -> usize {
        // Twice the size of the entries of a tree: its nodes are half full.
        self.waiting.capacity() * size_of::<Waiting>() + self.statements.len() * 2 * size_of::<(u32, Rc<Statement>)>()
    }
}

// === impl Connection: packets of a client that are not commands ===

impl Connection {
    /// Whether a packet of the client has the number behind the packet before.
    pub(crate) const fn continues(&self, packet: &Packet<'_>) -> bool {
        packet.number == self.client.number.wrapping_add(1)
    }

    /// Whether a packet belongs to a file that the client sends. Numbers wrap around after 255, so a number alone proves nothing.
    pub(crate) const fn is_of_file(&self, packet: &Packet<'_>) -> bool {
        self.in_file && self.continues(packet)
    }

    /// Reads a packet of a file; an empty one ends it.
    pub(crate) const fn read_file_packet(&mut self, packet: &Packet<'_>) {
        self.in_file = packet.length > HEADER;
    }

    /// Records a call of the server. The position of the client in a file may not be known; a response proves that the file has ended.
    pub(crate) fn note_server_call(&mut self) {
        if self.in_file && !self.waiting.iter().any(|waiting| waiting.answer_state == AnswerState::File) {
            self.is_file_answered = true;
            self.in_file = self.client.is_synced;
        }
    }

    /// Begins a file: the server requests it, in a packet of this number.
    pub(crate) const fn begin_file(&mut self, number: u8) {
        self.in_file = true;
        self.is_file_answered = false;
        self.client.number = number;
    }

    /// Handles a packet that continues a command, a password, or a file whose request by the server was not seen. `went_on` if the packet
    /// before had the maximum length.
    pub(crate) fn continue_command(&mut self, packet: &Packet<'_>, went_on: bool) {
        let is_password = self.waiting.back().is_some_and(|last| last.command == CHANGE_USER);
        if went_on || is_password {
            // The response has the next number.
            if let Some(AnswerState::Before(number)) = self.waiting.back_mut().map(|waiting| &mut waiting.answer_state) {
                *number = packet.number.wrapping_add(1);
            }
            return;
        }
        self.read_file_packet(packet);
        self.is_file_answered = false;
        // The supposed command was a packet of the file, whose number wrapped around to 0.
        if packet.number == 1 {
            self.waiting.pop_back();
        }
        if let Some(last) = self.waiting.back_mut().filter(|last| matches!(last.answer_state, AnswerState::Before(_))) {
            last.answer_state = AnswerState::File;
        }
    }
}
