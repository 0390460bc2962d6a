//! A command that waits for its answer, and the state of that.

use std::rc::Rc;

use plugin_sdk::conversation::Began;
use serde::{Deserialize, Serialize};
use sql::Statement;

use crate::modes::Change;

/// A command that waits for its answer. In Wasm it has 64 bytes: what is larger is moved by a call.
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
    pub answer_state: AnswerState,
    pub rows: u32,
    pub code: Option<Box<str>>,
    /// Whether its row is out already, or it has none; only its answer is still to come.
    pub is_emitted: bool,
    /// Whether the session begins anew with it: nothing is prepared any more.
    pub is_new_session: bool,
}

#[cfg(target_family = "wasm")]
const _: () = assert!(size_of::<Waiting>() <= 64);

/// The state of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AnswerState {
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

// === impl AnswerState ===

impl AnswerState {
    /// Whether the server is within an answer of which more is to come.
    pub(crate) const fn is_within(self) -> bool {
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
            answer_state: AnswerState::Before(1),
            rows: 0,
            code: None,
            is_emitted: false,
            is_new_session: false,
        }
    }
}
