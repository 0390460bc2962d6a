//! What is remembered of one connection.

use std::rc::Rc;

use plugin_sdk::conversation::{Began, Foreign, Sender};
use serde::{Deserialize, Serialize};
use sql::{Backslash, Dialect, Statement};

use crate::statements::NamedStatements;
use crate::waiting::WaitQueue;

/// What is remembered of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    /// How far the client has come.
    pub(crate) stage: Stage,
    /// The database that it asked for.
    pub(crate) database: Option<Rc<str>>,
    pub(crate) modes: Modes,
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) statements: NamedStatements,
    pub(crate) portals: NamedStatements,
    /// The next execution, as far as it was sent.
    pub(crate) next_execution: NextExecution,
    pub(crate) waiting: WaitQueue,
    /// Whether the server answers nothing until the next `Sync`, after an error.
    pub(crate) is_aborting: bool,
    /// Whether something of either end was parsed: the connection does speak this protocol.
    pub(crate) is_confirmed: bool,
    /// Whether not all of the server's last call was captured.
    pub(crate) is_cut: bool,
    /// Time of the server's last call.
    pub(crate) answered_ns: u64,
}

/// How the server reads text, by what it has said.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Modes {
    /// `standard_conforming_strings`; None if that was not seen.
    pub is_conforming: Option<bool>,
    /// `client_encoding` is one in which characters may end in an ASCII sign; None if that was not seen.
    pub is_wide: Option<bool>,
    /// Whether what was answered may have changed them: the server says so before it is ready again.
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

/// The position in the bytes of one end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Side {
    /// Whether it is known where the next message begins.
    pub is_synced: bool,
    /// Whether messages are missing that a request may wait for.
    pub has_gap: bool,
    /// Calls in a row that could not be parsed.
    pub unreadable: u8,
}

/// What `Parse` and `Bind` said, for the `Execute` to come.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct NextExecution {
    pub began: Option<Began>,
    pub statement: Option<Rc<Statement>>,
    pub parent: Option<Box<str>>,
}

// === impl Connection: how texts are read ===

impl Connection {
    /// How the server will read what the client says now. What is asked and not yet answered may change it.
    pub(crate) fn dialect(&self) -> Dialect {
        let Modes { is_conforming, is_wide, may_have_changed } = self.modes;
        let is_known = !may_have_changed && !self.client.has_gap && !self.waiting.may_set();
        let backslash = match is_conforming.filter(|_| is_known) {
            Some(true) => Backslash::Plain,
            Some(false) => Backslash::Escapes,
            None => Backslash::Unknown,
        };
        Dialect::PostgreSql { backslash, is_wide: is_wide.filter(|_| is_known).unwrap_or(true) }
    }

    /// Sets a parameter that the server reports.
    pub(crate) fn set_parameter(&mut self, name: &[u8], value: &[u8]) {
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

    /// Forgets how texts are read: missing bytes of the server may have changed it. `is_cut` if they are no more than the
    /// end of a call: the end of a long result says nothing, unless something was set.
    pub(crate) fn forget_modes(&mut self, is_cut: bool) {
        let is_result = is_cut && !self.modes.may_have_changed && !self.waiting.may_set() && !self.client.has_gap;
        if !is_result {
            self.modes = Modes::default();
        }
    }
}

// === impl Connection: bytes that are missing ===

impl Connection {
    /// Marks the position in the bytes of one end as lost.
    pub(crate) fn lose_position(&mut self, sender: Sender) {
        let side = self.side(sender);
        side.is_synced = false;
        side.has_gap = true;
        if sender == Sender::Client && self.stage == Stage::Asking {
            self.stage = Stage::Open;
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
        self.waiting.weight() + self.statements.weight() + self.portals.weight()
    }
}
