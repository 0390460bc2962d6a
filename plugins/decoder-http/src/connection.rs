//! The state of one connection.

use plugin_sdk::conversation::{Foreign, Queue, Sender};
use serde::{Deserialize, Serialize};

use crate::chunks::Chunks;
use crate::waiting::{Request, Response};

/// The state of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    /// Requests whose response has not begun.
    pub(crate) waiting: Queue<Request, 128>,
    /// The response that has begun and not ended.
    pub(crate) response: Option<Response>,
    /// Responses that came before their requests: a client may write in one thread and read in another.
    pub(crate) early: Vec<Response>,
    pub(crate) client: Position,
    pub(crate) server: Position,
    /// State of the body that the client announced.
    pub(crate) body: Body,
    /// Time of the server's last call.
    pub(crate) answered_ns: u64,
    /// Whether a request was seen, which proves that the connection speaks this protocol.
    pub(crate) is_confirmed: bool,
    /// Whether more than one request came at once.
    pub(crate) is_pipelined: bool,
    /// Whether bytes of the server were lost, and no response has begun since.
    pub(crate) has_lost_responses: bool,
    /// Number of consecutive calls that could not be parsed.
    pub(crate) unreadable: u8,
    /// Text buffer of a completed request, reused for the next.
    #[serde(skip)]
    pub(crate) spare_buffer: Vec<u8>,
}

/// The position in the stream of one end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Position {
    /// At the start of a message.
    #[default]
    Head,
    /// In a body: number of its remaining bytes, without those that are being skipped.
    Body(u64),
    /// In a chunked body.
    Chunks(Chunks),
    /// In a body that ends with the connection.
    Endless,
    /// Lost: the next call that begins like a message is taken for one.
    Lost,
    /// In bytes that are not HTTP any more.
    Tunnel,
}

/// State of the body that a request announced.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Body {
    /// There is no body, or some of it was seen.
    #[default]
    Begun,
    /// No byte of it was seen. A request with `Expect: 100-continue` waits for the server before it sends any.
    Due { is_asked_for: bool },
    /// The response began before the body. A client that waited for a 100 response may omit the body and send its next request; others send
    /// it all the same (RFC 9110, 10.1.1).
    Doubtful,
}

/// The position of bytes that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// All within a body, which continues.
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
            // The sum of some chunks is not the size of a body.
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

/// Counts a call that could not be parsed. After too many of them the connection is taken to speak another protocol.
pub(crate) fn count_unreadable(connection: &mut Connection) -> Result<(), Foreign> {
    connection.unreadable = connection.unreadable.saturating_add(1);
    if connection.unreadable >= MAX_UNREADABLE && !connection.is_confirmed { Err(Foreign::Whole) } else { Ok(()) }
}

/// Consumes bytes of a body of which `left` are to come; returns how many are consumed, None if it ends within these bytes.
pub(crate) fn take_body(left: &mut u64, there: usize) -> Option<usize> {
    if *left <= there as u64 {
        return None;
    }
    // A larger number would overflow the count of skipped bytes in Wasm.
    let asked = (*left).min(1 << 30).max(there as u64);
    *left -= asked;
    Some(asked as usize)
}
