//! What is remembered of one connection.

use std::ops::Range;

use plugin_sdk::conversation::{Began, Queue, Sender, Target};
use plugin_sdk::scan::append;
use serde::{Deserialize, Serialize};

use crate::chunks::Chunks;
use crate::head::RequestHead;
use crate::method::Method;

/// A connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    /// Asked, and no response begun.
    pub(crate) waiting: Queue<Request, 128>,
    /// The response that is under way.
    pub(crate) answer: Option<Answer>,
    /// Responses that came before their requests: of two threads of a client, one writes and one reads.
    pub(crate) early: Vec<Answer>,
    pub(crate) client: Reading,
    pub(crate) server: Reading,
    /// Whether the body that the client is in comes at all.
    pub(crate) body: Body,
    /// When the server sent last.
    pub(crate) answered_ns: u64,
    /// A request was seen.
    pub(crate) is_met: bool,
    /// More than one request came at once.
    pub(crate) is_pipelined: bool,
    /// Bytes of the server were lost, and no response began since.
    pub(crate) is_unsure: bool,
    /// Messages in a row that were none.
    pub(crate) strikes: u8,
    /// Room of a request that is over, for the next.
    #[serde(skip)]
    pub(crate) room: Vec<u8>,
}

/// Where in the stream of one end the next byte is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reading {
    /// At the start of a message.
    #[default]
    Head,
    /// In a body, so many bytes before its end, less those that go by.
    Body(u64),
    /// In a chunked body.
    Chunks(Chunks),
    /// In a body that ends with the connection.
    Endless,
    /// Somewhere: the next call that begins like a message begins one.
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

/// A request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub began: Began,
    pub method: Method,
    /// Name of a method that is none of the usual, path, query, host and `traceparent`, one behind the other.
    text: Vec<u8>,
    ends: [u16; 4],
    /// Of the body, as it was announced, or of its chunks so far; 0 where it is not known.
    pub size: u64,
}

/// A response.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// None if its request was not seen.
    pub request: Option<Request>,
    pub status: u16,
    pub minor: u8,
    /// Of the body.
    pub size: u64,
    /// When it was complete; 0 until then.
    pub ended_ns: u64,
}

/// Where the texts of a request are among those that its row keeps.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub method: Range<usize>,
    pub path: Range<usize>,
    pub query: Range<usize>,
    pub host: Range<usize>,
}

/// Bytes of a text that are kept. 1 KiB: more is rarely captured.
const LONGEST: usize = 1024;

/// Where bytes are that nobody can read.
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

// === impl Connection ===

impl Connection {
    /// Where in the stream of this end the next byte is, is not known any more.
    #[cold]
    pub(crate) fn lose(&mut self, sender: Sender) {
        let (reading, size) = match sender {
            Sender::Client => (&mut self.client, self.waiting.back_mut().map(|request| &mut request.size)),
            Sender::Server => (&mut self.server, self.answer.as_mut().map(|answer| &mut answer.size)),
        };
        match (&*reading, size) {
            (Reading::Tunnel | Reading::Endless, _) => return,
            // The sum of some chunks is no size of a body.
            (Reading::Chunks(_), Some(size)) => *size = 0,
            _ => {}
        }
        *reading = Reading::Lost;
    }
}

// === impl Unread ===

impl Unread {
    pub(crate) const fn is_known(self) -> bool {
        matches!(self, Self::Within | Self::Last)
    }
}

// === impl Reading ===

impl Reading {
    /// Passes over so many bytes that cannot be read.
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

// === impl Request ===

impl Request {
    #[inline(always)]
    pub(crate) fn new(began: Began, head: &RequestHead<'_>, mut text: Vec<u8>) -> Self {
        let Target { path, query } = Target::of(head.target);
        let path = if path.len() > LONGEST { Target::whole_segments(path.get(..LONGEST).unwrap_or_default()) } else { path };
        let method = if head.method == Method::Other { head.method_name } else { b"" };
        text.clear();
        let mut add = |part: &[u8]| {
            append(&mut text, part.get(..LONGEST).unwrap_or(part));
            text.len() as u16
        };
        let ends = [add(method), add(path), add(query), add(head.fields.host)];
        add(head.fields.trace_parent);
        Self { began, method: head.method, text, ends, size: 0 }
    }

    /// The texts that a row keeps, one behind the other.
    pub(crate) fn kept_text(&self) -> &[u8] {
        let [.., host] = self.ends.map(usize::from);
        self.text.get(..host).unwrap_or_default()
    }

    /// Where in them each is.
    pub(crate) fn places(&self) -> Places {
        let [method, path, query, host] = self.ends.map(usize::from);
        Places { method: 0..method, path: method..path, query: path..query, host: query..host }
    }

    pub(crate) fn path(&self) -> &[u8] {
        self.text.get(self.places().path).unwrap_or_default()
    }

    pub(crate) fn trace_parent(&self) -> &[u8] {
        let [.., host] = self.ends.map(usize::from);
        self.text.get(host..).unwrap_or_default()
    }

    /// The room of its texts.
    pub(crate) fn into_room(self) -> Vec<u8> {
        self.text
    }
}
