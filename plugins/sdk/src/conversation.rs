//! Decoders of protocols over connections.
//!
//! A protocol is a type that implements [`Protocol`]: it sees the bytes of each end in order, stores state per connection, and emits a row
//! for every exchange. This module does the rest: the table of connections with its maximum, sequence numbers, missing bytes, timeouts, the
//! handover to a successor, and the fields that all protocols have.
//!
//! ```
//! use plugin_sdk::conversation::{
//!     Began, Data, Description, Emit, Ending, Foreign, Kind, Protocol, Queue, Sender, Sheet, Short, Signature,
//! };
//! use plugin_sdk::testing::Talk;
//! use plugin_sdk::{Config, FieldUse, Signal};
//!
//! /// A line is asked, a line is answered.
//! struct Echo;
//!
//! struct Line {
//!     word: Short,
//! }
//!
//! impl Protocol for Echo {
//!     type Connection = Queue<(Began, Short)>;
//!     type Exchange = Line;
//!
//!     fn description() -> Description {
//!         Description::new("echo").on_port(7).signature(Signature::client(b"ECHO ").certain())
//!     }
//!
//!     fn bind(config: Config<'_>) -> Result<Self, String> {
//!         config.none()?;
//!         Ok(Self)
//!     }
//!
//!     fn sheet(&self) -> Sheet<Line> {
//!         Sheet::new("echo", Signal::Span)
//!             .text("request.method", |line: &Line, out| { out.str(&line.word); }).used(FieldUse::Dimension)
//!             .histogram("echo.server.duration", "How long servers take.", "duration").only_kind(Kind::Server)
//!     }
//!
//!     fn data(
//!         &mut self, asked: &mut Self::Connection, data: &Data<'_>, rows: &mut Emit<'_, Line>,
//!     ) -> Result<usize, Foreign> {
//!         let mut done = 0;
//!         for line in data.bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
//!             match data.sender {
//!                 Sender::Client => drop(asked.push((data.began(done), Short::cut(line.trim_ascii(), 64)))),
//!                 Sender::Server => {
//!                     if let Some((began, word)) = asked.pop() {
//!                         rows.row(began, data.time_ns, Line { word });
//!                     }
//!                 }
//!             }
//!             done += line.len();
//!         }
//!         Ok(done)
//!     }
//!
//!     fn gap(&mut self, asked: &mut Self::Connection, _: Sender, _: &mut Emit<'_, Line>) {
//!         asked.drain();
//!     }
//!
//!     fn end(&mut self, asked: &mut Self::Connection, why: &Ending, rows: &mut Emit<'_, Line>) {
//!         asked.give_up(why, |(began, _)| began, |(began, word)| {
//!             rows.row(*began, why.time_ns(), Line { word: word.clone() }).unfinished(why);
//!         });
//!     }
//! }
//!
//! plugin_sdk::export!(protocol: Echo);
//!
//! let talk = Talk::tcp("10.0.0.7:40000", 7).client(b"ECHO\nNO").server(b"ECHO\n").client(b"PE\n").end();
//! assert_eq!(talk.rows::<Echo>(), [
//!     "duration=1000000 kind=2 request.method=ECHO",
//!     "duration=3000000 kind=2 error.type=connection_closed request.method=NOPE",
//! ]);
//! ```

// How the host finds connections.
mod description;

// The parts of a protocol.
mod queue;
mod route;
mod rows;
mod short;
mod target;

// The rows of a protocol.
mod shared;
mod sheet;

// The code that calls it, in the order in which a record passes.
pub mod record;
mod table;
mod link;
mod stream;
mod early;
mod decoder;
mod settings;
mod state;

pub use decoder::Conversations;
pub use description::{Beginning, Description, Opinion, Signature};
pub use queue::Queue;
pub use route::{Evidence, Routes, Service};
pub use rows::{Emit, Kept, RowRef, Texts, is_trace_parent};
pub use sheet::Sheet;
pub use short::Short;
pub use target::Target;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// A protocol. [`Conversations<Self>`](Conversations) is the decoder, `export!(protocol: Self)` makes a component of it.
///
/// The bytes of peers are hostile: a parser never panics, never loops without progress, and never allocates by a length that a peer claims.
/// The state of a connection is bounded, because there are thousands of connections.
pub trait Protocol: Sized + 'static {
    /// Version of [`Connection`](Self::Connection) as it is handed over. Raise it when the type changes: a successor with another version
    /// starts all connections anew.
    const STATE_VERSION: u16 = 1;

    /// Seconds of silence after which a request times out while its connection is open, unless the setting `timeout` overrides it. A day: a
    /// watch, a long poll or a slow statement is not an error, and a request that never gets a response is reported when its connection
    /// ends. It is less if peers are known to give up sooner, as with DNS.
    const TIMEOUT_S: u64 = 86_400;

    /// The state of one connection.
    type Connection: Default + Serialize + DeserializeOwned + 'static;

    /// The protocol's own part of a row.
    type Exchange: 'static;

    /// Returns how the host finds connections.
    fn description() -> Description;

    /// Creates the protocol from the settings that are not common to all protocols. Called once, before all others.
    ///
    /// # Errors
    /// The invalid setting and its cure, for the operator.
    fn bind(config: Config<'_>) -> Result<Self, String>;

    /// Returns the fields of a row; called once.
    fn sheet(&self) -> Sheet<Self::Exchange>;

    /// Whether a connection that no signature decided speaks this protocol.
    #[must_use]
    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        let _ = beginning;
        Opinion::No
    }

    /// Returns the number of bytes on the heap of a connection's state. If all connections together, with half messages, exceed
    /// `buffer_bytes`, those that were silent longest are dropped. Called after each call of a connection: keep a count, do not traverse
    /// the state.
    #[must_use]
    fn weight(connection: &Self::Connection) -> usize {
        let _ = connection;
        0
    }

    /// Handles bytes of one end, in order, and returns the number of consumed bytes. It may exceed the number of bytes (a body, by its
    /// length): then as many of the following bytes are skipped, captured or lost. If it is less, the rest is stored, up to 16 KiB, and is
    /// passed again with more behind it; so consume all that can be parsed.
    ///
    /// # Errors
    /// This is another protocol, entirely or from some byte on: the host takes the connection away. See [`Foreign`].
    fn data(
        &mut self,
        connection: &mut Self::Connection,
        data: &Data<'_>,
        rows: &mut Emit<'_, Self::Exchange>,
    ) -> Result<usize, Foreign>;

    /// Called when the last of the bytes that [`data`](Self::data) consumed beyond those it had has passed, at this time: a body is
    /// complete.
    fn gone_by(
        &mut self,
        connection: &mut Self::Connection,
        sender: Sender,
        time_ns: u64,
        rows: &mut Emit<'_, Self::Exchange>,
    ) {
        let _ = (connection, sender, time_ns, rows);
    }

    /// Handles bytes of this end that cannot be read, and that [`data`](Self::data) did not consume: a call of `sendfile`, `splice` or
    /// `io_uring` moved them. Returns whether the protocol can account for them, for example as a part of a body whose length was
    /// announced; if not, they are a [`gap`](Self::gap).
    fn unread(
        &mut self,
        connection: &mut Self::Connection,
        sender: Sender,
        bytes: u64,
        time_ns: u64,
        rows: &mut Emit<'_, Self::Exchange>,
    ) -> bool {
        let _ = (connection, sender, bytes, time_ns, rows);
        false
    }

    /// Handles missing bytes of this end: a record was lost, or a call exceeded the capture. Half-read messages of this end are void; the
    /// next data starts with the first byte of a call, which need not be the first of a message.
    fn gap(&mut self, connection: &mut Self::Connection, sender: Sender, rows: &mut Emit<'_, Self::Exchange>);

    /// Ends requests, because the connection ended or time has passed: emit those for which [`why.gives_up(began)`](Ending::gives_up),
    /// marked with [`unfinished(why)`](RowRef::unfinished). A request that timed out stays waiting, with [`Began::is_given_up`] set, as in
    /// [`Queue::give_up`]: its response may come, and is reported as a late one.
    fn end(&mut self, connection: &mut Self::Connection, why: &Ending, rows: &mut Emit<'_, Self::Exchange>);
}

/// An end of a connection, by its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sender {
    /// The end that connected.
    Client,
    /// The end that listened.
    Server,
}

/// The transport of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// A stream.
    Tcp = 6,
    /// Datagrams: each is passed separately, and no rest of it is stored.
    Udp = 17,
}

/// The end of a connection that a row is of; the numbers are those of the OpenTelemetry span kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// The process that received the request.
    Server = 2,
    /// The process that sent the request.
    Client = 3,
}

/// Bytes of one end: those that were stored, then those of a call.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// The end that sent them.
    pub sender: Sender,
    /// The bytes; never empty.
    pub bytes: &'a [u8],
    /// Number of bytes of the call behind `bytes` that were not captured. A parser that knows the length of its message consumes them.
    pub missing: u32,
    /// Time at which the call returned, in nanoseconds of CLOCK_MONOTONIC.
    pub time_ns: u64,
    /// Their transport.
    pub transport: Transport,
    /// Whether the first of the bytes is the first of a call, or of a datagram.
    pub call_start: bool,
    /// Port of the server.
    pub server_port: u16,
    /// The identity of the connection, which its plaintext and its encrypted bytes share.
    pub connection: u64,
    /// Whether they were encrypted on the wire.
    pub is_tls: bool,
    /// A number for the address that a datagram was sent to or came from: a socket may have many peers. 0 for a stream, and if the address
    /// is not known.
    pub peer: u64,
    earlier: usize,
    earlier_ns: u64,
    sequence: u32,
}

/// Time and place of an exchange's beginning.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Began {
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub time_ns: u64,
    /// Sequence number of its first byte, which identifies it at both ends of the connection. A protocol over datagrams sets a number of
    /// its own, such as the id of a DNS message, or leaves 0.
    pub sequence: u32,
    /// Whether a row has already reported a timeout of the exchange. If the exchange ends after all, that is a row as well: it has the same
    /// place, and so the same span, `response.late` is set, and metrics do not count it again.
    pub is_given_up: bool,
}

/// Returned when bytes are another protocol: the host asks other decoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// The connection has been foreign from the start: the next decoder sees it from its beginning.
    Whole,
    /// Foreign from here on: behind this many of the bytes passed to [`Protocol::data`], and in all later bytes of the other end. This is
    /// how TLS begins after a request in plaintext, HTTP/2 after an upgrade, any protocol after a CONNECT. Waiting requests are reported as
    /// unfinished.
    Behind(usize),
}

/// A conversation that turned out to speak another protocol: see [`Conversations::disowned`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disowned {
    /// The connection, as in its records.
    pub connection: u64,
    /// Whether it is the plaintext of a TLS library, not the bytes on the wire.
    pub is_tls: bool,
    /// The beginning of the foreign protocol: the index of a record in the run, and the number of bytes of that call before it. None: since
    /// the beginning of the connection.
    pub from: Option<(u32, u32)>,
}

/// Why requests end without a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    reason: Reason,
    time_ns: u64,
    /// Requests with activity after this time stay waiting.
    until_ns: u64,
    /// Time of the last activity on the connection, from either end.
    heard_ns: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Closed,
    Timeout,
    /// The host ends, or the state exceeds its maximum.
    Forgotten,
}

/// `error.type` of requests that are not followed any more.
const FORGOTTEN: &str = "unfinished";

// === impl Sender ===

impl Sender {
    /// Returns the other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

// === impl Transport ===

impl Transport {
    /// Returns the value of `network.transport`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

// === impl Data ===

impl Data<'_> {
    /// Returns time and place of a request that starts at `bytes[offset]`.
    #[must_use]
    #[inline]
    pub const fn began(&self, offset: usize) -> Began {
        let time_ns = if offset < self.earlier { self.earlier_ns } else { self.time_ns };
        let sequence = match self.transport {
            Transport::Tcp => self.sequence.wrapping_add(offset as u32),
            Transport::Udp => 0,
        };
        Began { time_ns, sequence, is_given_up: false }
    }
}

// === impl Ending ===

impl Ending {
    pub(crate) const fn closed(time_ns: u64) -> Self {
        Self { reason: Reason::Closed, time_ns, until_ns: u64::MAX, heard_ns: 0 }
    }

    pub(crate) const fn forgotten(time_ns: u64) -> Self {
        Self { reason: Reason::Forgotten, time_ns, until_ns: u64::MAX, heard_ns: 0 }
    }

    pub(crate) const fn timeout(time_ns: u64, timeout_ns: u64) -> Self {
        Self { reason: Reason::Timeout, time_ns, until_ns: time_ns.saturating_sub(timeout_ns), heard_ns: 0 }
    }

    /// Returns the same for a connection whose last activity was at this time.
    pub(crate) const fn heard(self, heard_ns: u64) -> Self {
        Self { heard_ns, ..self }
    }

    /// Whether a request that began then ends now: the connection is over, or had no activity for the timeout, from either end. False for
    /// one that has already timed out.
    #[must_use]
    pub const fn gives_up(&self, began: Began) -> bool {
        self.gives_up_silent(began, self.heard_ns)
    }

    /// The same for a protocol that has several exchanges on a connection at once, each with a silence of its own: `heard_ns` is the time
    /// of this one's last activity.
    #[must_use]
    pub const fn gives_up_silent(&self, began: Began, heard_ns: u64) -> bool {
        let last_ns = if heard_ns > began.time_ns { heard_ns } else { began.time_ns };
        !began.is_given_up && (self.is_final() || last_ns <= self.until_ns)
    }

    /// Returns the time since the last activity on the connection, from either end.
    #[must_use]
    pub const fn silence_ns(&self) -> u64 {
        self.time_ns.saturating_sub(self.heard_ns)
    }

    /// Whether the connection is over: later bytes on it, if any, start a new connection.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self.reason, Reason::Timeout)
    }

    /// Returns the end time of the requests, in nanoseconds of CLOCK_MONOTONIC.
    #[must_use]
    pub const fn time_ns(&self) -> u64 {
        self.time_ns
    }

    /// Returns the value of `error.type`.
    const fn error(&self) -> &'static str {
        match self.reason {
            Reason::Closed => "connection_closed",
            Reason::Timeout => "timeout",
            Reason::Forgotten => FORGOTTEN,
        }
    }
}
