//! A command that waits for its response, and the state of the response.

use std::rc::Rc;

use plugin_sdk::conversation::Began;
use serde::{Deserialize, Serialize};
use sql::Statement;

use crate::modes::Change;

/// A command that waits for its response. In Wasm it has 64 bytes: larger ones are moved by a call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub began: Began,
    pub command: u8,
    pub statement: Option<Rc<Statement>>,
    pub parent: Option<Box<str>>,
    /// The database that it requests.
    pub database: Option<Rc<str>>,
    /// The change that it makes to the character set.
    pub change: Change,
    pub answer_state: AnswerState,
    pub rows: u32,
    pub code: Option<Box<str>>,
    /// Whether its row was emitted, or it has none; only its response is still to come.
    pub is_emitted: bool,
    /// Whether it resets the session: prepared statements are dropped.
    pub is_new_session: bool,
}

#[cfg(target_family = "wasm")]
const _: () = assert!(size_of::<Waiting>() <= 64);

/// The state of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AnswerState {
    /// Before it; its first packet has this number.
    Before(u8),
    /// Before another result of it.
    Result,
    /// In the columns: the number that is still to come.
    Columns(u32),
    /// Behind the columns, where older servers send an EOF packet before the rows.
    Line,
    /// In the rows.
    Rows,
    /// Behind the request for a file of the client; the outcome comes next.
    File,
    /// At an unknown position: packets were missed.
    Lost,
    /// In an endless stream.
    Stream,
}

// === impl AnswerState ===

impl AnswerState {
    /// Whether the server is within a response of which more is to come.
    pub(crate) const fn is_within(self) -> bool {
        !matches!(self, Self::Before(_) | Self::Stream | Self::File)
    }
}

// === impl Waiting ===

impl Waiting {
    /// Returns a command of which only the code is known.
    pub(crate) const fn new(began: Began, command: u8) -> Self {
        Self {
            began,
            command,
            statement: None,
            parent: None,
            database: None,
            change: Change::None,
            answer_state: AnswerState::Before(1),
            rows: 0,
            code: None,
            is_emitted: false,
            is_new_session: false,
        }
    }
}
