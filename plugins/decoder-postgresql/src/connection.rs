//! The state of one connection.

use std::rc::Rc;

use plugin_sdk::conversation::{Began, Foreign, Sender};
use serde::{Deserialize, Serialize};
use sql::{Backslash, Dialect, Statement};

use crate::statements::NamedStatements;
use crate::waiting::WaitQueue;

/// The state of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    /// The client's phase of the session.
    pub(crate) stage: Stage,
    /// The database that the client requested.
    pub(crate) database: Option<Rc<str>>,
    pub(crate) modes: Modes,
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) statements: NamedStatements,
    pub(crate) portals: NamedStatements,
    /// The next execution, as far as its messages were sent.
    pub(crate) next_execution: NextExecution,
    pub(crate) waiting: WaitQueue,
    /// Whether the server skips messages until the next `Sync`, after an error.
    pub(crate) is_aborting: bool,
    /// Whether a message of either end was parsed, which proves that the connection speaks this protocol.
    pub(crate) is_confirmed: bool,
    /// Whether the server's last call was captured only in part.
    pub(crate) is_cut: bool,
    /// Time of the server's last call.
    pub(crate) answered_ns: u64,
}

/// How the server reads text, as far as it has reported that.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Modes {
    /// Value of `standard_conforming_strings`; None if it was not seen.
    pub is_conforming: Option<bool>,
    /// Whether in `client_encoding` characters may end in an ASCII byte; None if it was not seen.
    pub is_wide: Option<bool>,
    /// Whether an answered statement may have changed the modes: the server reports that before it is ready again.
    pub may_have_changed: bool,
}

/// The client's phase of the session.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// No bytes were seen yet.
    #[default]
    New,
    /// The client asked for encryption, and the server has not answered.
    Asking,
    /// Messages are exchanged.
    Open,
}

/// The position in the bytes of one end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Side {
    /// Whether the position of the next message is known.
    pub is_synced: bool,
    /// Whether messages are missing that a request may wait for.
    pub has_gap: bool,
    /// Number of consecutive calls that could not be parsed.
    pub unreadable: u8,
}

/// Content of `Parse` and `Bind`, for the `Execute` that follows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct NextExecution {
    pub began: Option<Began>,
    pub statement: Option<Rc<Statement>>,
    pub parent: Option<Box<str>>,
}

// === impl Connection: how texts are read ===

impl Connection {
    /// Returns how the server will read the client's text. Statements that are not answered yet may change it.
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
        /// Encodings in which a character may end in a backslash.
        const WIDE: [&str; 7] = ["SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB"];
        match name {
            b"standard_conforming_strings" => self.modes.is_conforming = Some(value != b"off"),
            b"client_encoding" => {
                self.modes.is_wide = Some(WIDE.iter().any(|wide| wide.as_bytes().eq_ignore_ascii_case(value)));
            }
            _ => {}
        }
    }

    /// Forgets how texts are read, because missing bytes of the server may have changed it. `is_cut` if only the end of a call is missing:
    /// the end of a long result changes nothing, unless a parameter was set.
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
        self.waiting.weight() + self.statements.weight() + self.portals.weight()
    }
}
