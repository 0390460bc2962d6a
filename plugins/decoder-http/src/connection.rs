//! What is remembered of one connection.

use plugin_sdk::conversation::{Foreign, Queue, Sender};
use serde::{Deserialize, Serialize};

use crate::chunks::Chunks;
use crate::waiting::{Request, Response};

/// What is remembered of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    /// Requests whose response has not begun.
    pub(crate) waiting: Queue<Request, 128>,
    /// The response that is under way.
    pub(crate) response: Option<Response>,
    /// Responses that came before their requests: of two threads of a client, one writes and one reads.
    pub(crate) early: Vec<Response>,
    pub(crate) client: Position,
    pub(crate) server: Position,
    /// What is known of the body that the client announced.
    pub(crate) body: Body,
    /// Time of the server's last call.
    pub(crate) answered_ns: u64,
    /// Whether a request was seen: the connection does speak this protocol.
    pub(crate) is_confirmed: bool,
    /// Whether more than one request came at once.
    pub(crate) is_pipelined: bool,
    /// Whether bytes of the server were lost, and no response began since.
    pub(crate) has_lost_responses: bool,
    /// Calls in a row that could not be parsed.
    pub(crate) unreadable: u8,
    /// Text buffer of a request that is complete, reused for the next.
    #[serde(skip)]
    pub(crate) spare_buffer: Vec<u8>,
}

/// The position in the stream of one end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Position {
    /// At the start of a message.
    #[default]
    Head,
    /// In a body: the bytes that are left of it, less those that go by.
    Body(u64),
    /// In a chunked body.
    Chunks(Chunks),
    /// In a body that ends with the connection.
    Endless,
    /// Lost: the next call that begins like a message begins one.
    Lost,
    /// In what is not HTTP any more.
    Tunnel,
}

/// What is known of the body that a request announced.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Body {
    /// There is none, or some of it was seen.
    #[default]
    Begun,
    /// Nothing of it was seen. A request with `Expect: 100-continue` waits for the server before it sends any.
    Due { is_asked_for: bool },
    /// The response began before it did. A client that expected to be asked for it may leave it out and send its next request; others
    /// send it all the same (RFC 9110, 10.1.1).
    Doubtful,
}

/// Where bytes are that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// All within a body, which goes on.
    Within,
    /// A body ends with the last of them.
    Last,
    /// A body ends among them, and the next message begins.
    Beyond,
    Unknown,
}

/// Number of unreadable calls in a row after which a connection speaks another protocol.
const MAX_UNREADABLE: u8 = 3;

// === impl Connection ===

impl Connection {
    /// Marks the position in the stream of this end as lost.
    #[cold]
    pub(crate) fn lose_position(&mut self, sender: Sender) {
        let (position, size) = match sender {
            Sender::Client => (&mut self.client, self.waiting.back_mut().map(|request| &mut request.size)),
            Sender::Server => (&mut self.server, self.response.as_mut().map(|response| &mut response.size)),
        };
        match (&*position, size) {
            (Position::Tunnel | Position::Endless, _) => return,
            // The sum of some chunks is no size of a body.
            (Position::Chunks(_), Some(size)) => *size = 0,
            _ => {}
        }
        *position = Position::Lost;
    }
}

// === impl Unread ===

impl Unread {
    pub(crate) const fn is_known(self) -> bool {
        matches!(self, Self::Within | Self::Last)
    }
}

// === impl Position ===

impl Position {
    /// Skips bytes that cannot be read.
    pub(crate) const fn unread(&mut self, bytes: u64) -> Unread {
        match self {
            Self::Body(left) if bytes < *left => {
                *left -= bytes;
                Unread::Within
            }
            Self::Body(left) => {
                let unread = if bytes == *left { Unread::Last } else { Unread::Beyond };
                *self = Self::Head;
                unread
            }
            Self::Chunks(chunks) => {
                if chunks.unread(bytes) {
                    Unread::Within
                } else {
                    Unread::Unknown
                }
            }
            Self::Endless | Self::Tunnel => Unread::Within,
            Self::Head | Self::Lost => Unread::Unknown,
        }
    }
}

/// Counts a call that could not be parsed. Too many of them, and the connection speaks another protocol.
pub(crate) fn count_unreadable(connection: &mut Connection) -> Result<(), Foreign> {
    connection.unreadable = connection.unreadable.saturating_add(1);
    if connection.unreadable >= MAX_UNREADABLE && !connection.is_confirmed { Err(Foreign::Whole) } else { Ok(()) }
}

/// Takes bytes of a body of which `left` are to come; returns how many are done with, None if it ends among these.
pub(crate) fn take_body(left: &mut u64, there: usize) -> Option<usize> {
    if *left <= there as u64 {
        return None;
    }
    // More at once than Wasm can count would not go by.
    let asked = (*left).min(1 << 30).max(there as u64);
    *left -= asked;
    Some(asked as usize)
}
