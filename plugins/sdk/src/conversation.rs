//! Decoders of protocols that are spoken over connections.
//!
//! A protocol is a type that implements [`Protocol`]: it sees the bytes of each end in order, remembers per connection what it
//! must, and emits a row for every exchange. Everything around it is here: the table of connections with its cap, sequence
//! numbers, bytes that are missing, timeouts, the handover to a successor, and the fields that all protocols have.
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

// What a protocol works with.
mod queue;
mod route;
mod rows;
mod short;
mod target;

// Its rows.
mod shared;
mod sheet;

// What is around it, in the order in which a record passes.
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
/// What peers send is hostile: a parser never panics, never goes on without progress, and never allocates by a length that a peer
/// claims. What it remembers of a connection is bounded, because there are thousands of them.
pub trait Protocol: Sized + 'static {
    /// Version of [`Connection`](Self::Connection) as it is handed over. Raise it when the type changes: a successor that reads
    /// another version meets all connections anew.
    const STATE_VERSION: u16 = 1;

    /// After how many seconds of silence a request is given up while its connection lives, unless the setting `timeout` says
    /// otherwise. A day: a watch, a long poll or a slow statement is no error, and what never gets a response is told when its
    /// connection ends. Where peers are known to give up sooner, as with DNS, it is less.
    const TIMEOUT_S: u64 = 86_400;

    /// What is remembered of one connection.
    type Connection: Default + Serialize + DeserializeOwned + 'static;

    /// The protocol's own part of a row.
    type Exchange: 'static;

    /// How the host finds connections.
    fn description() -> Description;

    /// Called once, before all others, with the settings that are not common to all protocols.
    ///
    /// # Errors
    /// What is wrong and the cure, for the operator.
    fn bind(config: Config<'_>) -> Result<Self, String>;

    /// The fields of a row; called once.
    fn sheet(&self) -> Sheet<Self::Exchange>;

    /// Whether a connection that no signature decided speaks this protocol.
    #[must_use]
    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        let _ = beginning;
        Opinion::No
    }

    /// Bytes that what is remembered of a connection has on the heap. Over `buffer_bytes` for all connections together, half messages
    /// included, those that were silent longest are forgotten. Asked after each call: count, do not walk.
    #[must_use]
    fn weight(connection: &Self::Connection) -> usize {
        let _ = connection;
        0
    }

    /// Bytes of one end, in order. With `Ok(n)`, `n` of them are done with. `n` may be more than there are (a body, by its
    /// length): that many bytes of what follows go by unseen, whether they were captured or lost. If it is less, the rest is
    /// kept, up to 16 KiB, and comes again with more; so make all the progress there is.
    ///
    /// # Errors
    /// This is another protocol, or from some byte on: the host takes the connection away. See [`Foreign`].
    fn data(
        &mut self,
        connection: &mut Self::Connection,
        data: &Data<'_>,
        rows: &mut Emit<'_, Self::Exchange>,
    ) -> Result<usize, Foreign>;

    /// The last of the bytes that [`data`](Self::data) counted beyond those it had has gone by, then: a body is complete.
    fn gone_by(
        &mut self,
        connection: &mut Self::Connection,
        sender: Sender,
        time_ns: u64,
        rows: &mut Emit<'_, Self::Exchange>,
    ) {
        let _ = (connection, sender, time_ns, rows);
    }

    /// Bytes of this end that nobody can read, and that [`data`](Self::data) did not count: a call of `sendfile`, `splice` or
    /// `io_uring` moved them. Whether it is known what they are, such as a part of a body whose length was announced; if not, they
    /// are a [`gap`](Self::gap).
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

    /// Bytes of this end are missing: a record was lost, or a call was longer than what is captured of it. What is half-read of it
    /// is void; the next data starts with the first byte of a call, which need not be the first of a message.
    fn gap(&mut self, connection: &mut Self::Connection, sender: Sender, rows: &mut Emit<'_, Self::Exchange>);

    /// The connection ended, or time has passed: requests for which [`why.gives_up(began)`](Ending::gives_up) are to be emitted,
    /// and marked with [`unfinished(why)`](RowRef::unfinished). A request that was given up because time has passed still waits, with
    /// [`Began::is_given_up`] set, as [`Queue::give_up`] does it: its response may come, and is told as a late one.
    fn end(&mut self, connection: &mut Self::Connection, why: &Ending, rows: &mut Emit<'_, Self::Exchange>);
}

/// An end of a connection, by its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sender {
    /// It connected.
    Client,
    /// It listened.
    Server,
}

/// What carries a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// A stream.
    Tcp = 6,
    /// Datagrams: each comes by itself, and nothing of it is kept.
    Udp = 17,
}

/// Which end of a connection a row is of; the numbers are those of the OpenTelemetry span kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// The process that was asked.
    Server = 2,
    /// The process that asked.
    Client = 3,
}

/// Bytes of one end: those that were kept, then those of a call.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// Whose.
    pub sender: Sender,
    /// The bytes; never empty.
    pub bytes: &'a [u8],
    /// Bytes of the call behind `bytes` that were not captured. A parser that knows how long its message is counts them as done.
    pub missing: u32,
    /// When the call returned, nanoseconds of CLOCK_MONOTONIC.
    pub time_ns: u64,
    /// What carries them.
    pub transport: Transport,
    /// The first of the bytes is the first of a call, or of a datagram.
    pub call_start: bool,
    /// Port of the server.
    pub server_port: u16,
    /// The identity of the connection. What is said on it encrypted, and before that in plain, has the same.
    pub connection: u64,
    /// On the wire they were encrypted.
    pub is_tls: bool,
    /// A number of the address that a datagram was sent to or came from: a socket may speak with many. 0 for a stream, and where the
    /// address is not known.
    pub peer: u64,
    earlier: usize,
    earlier_ns: u64,
    sequence: u32,
}

/// When and where an exchange began.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Began {
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub time_ns: u64,
    /// Sequence number of its first byte: what both ends of the connection know it by. A protocol over datagrams puts a number
    /// of its own here, such as the id of a DNS message, or leaves 0.
    pub sequence: u32,
    /// A row says already that the exchange has a timeout. What becomes of it after all is a row as well: it has the same place,
    /// and so the same span, `response.late` is set, and metrics do not count it again.
    pub is_given_up: bool,
}

/// This is another protocol: the host asks other decoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// It has been from the start: whoever gets the connection sees it from its beginning.
    Whole,
    /// From here on: behind so many of the bytes that [`Protocol::data`] was given, and in what the other end sends from now on.
    /// So begins TLS after a question in plaintext, HTTP/2 after an upgrade, anything at all after a CONNECT. Requests that
    /// wait are told as unfinished.
    Behind(usize),
}

/// A conversation that turned out to speak another protocol: see [`Conversations::disowned`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disowned {
    /// The connection, as its records name it.
    pub connection: u64,
    /// The plaintext of a TLS library, not what went over the wire.
    pub is_tls: bool,
    /// What is the first that speaks it: the index of a record in the run, and how many bytes of that call come before. None: all
    /// since the beginning.
    pub from: Option<(u32, u32)>,
}

/// Why requests are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    reason: Reason,
    time_ns: u64,
    /// Requests of which something was heard later are not given up.
    until_ns: u64,
    /// When something was last heard on the connection, from either end.
    heard_ns: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Closed,
    Timeout,
    /// The host ends, or more is remembered than there is room for.
    Forgotten,
}

/// `error.type` of what nobody looks at any more.
const FORGOTTEN: &str = "unfinished";

// === impl Sender ===

impl Sender {
    /// The other end.
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
    /// As `network.transport` has it.
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
    /// When and where a request began that starts at `bytes[offset]`.
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

    /// The same for a connection on which something was last heard then.
    pub(crate) const fn heard(self, heard_ns: u64) -> Self {
        Self { heard_ns, ..self }
    }

    /// Whether a request that began then is given up now: the connection is over, or nothing was heard on it for the timeout, from
    /// either end. One that was given up before is not.
    #[must_use]
    pub const fn gives_up(&self, began: Began) -> bool {
        self.gives_up_silent(began, self.heard_ns)
    }

    /// The same for a protocol that has several exchanges on a connection at once, each with a silence of its own: something of this
    /// one was last heard then.
    #[must_use]
    pub const fn gives_up_silent(&self, began: Began, heard_ns: u64) -> bool {
        let last_ns = if heard_ns > began.time_ns { heard_ns } else { began.time_ns };
        !began.is_given_up && (self.is_final() || last_ns <= self.until_ns)
    }

    /// For how long nothing was heard on the connection, from either end.
    #[must_use]
    pub const fn silence_ns(&self) -> u64 {
        self.time_ns.saturating_sub(self.heard_ns)
    }

    /// Whether the connection is over: what arrives next on it, if anything does, is met anew.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self.reason, Reason::Timeout)
    }

    /// When, nanoseconds of CLOCK_MONOTONIC: the end of what is given up.
    #[must_use]
    pub const fn time_ns(&self) -> u64 {
        self.time_ns
    }

    /// As `error.type` has it.
    const fn error(&self) -> &'static str {
        match self.reason {
            Reason::Closed => "connection_closed",
            Reason::Timeout => "timeout",
            Reason::Forgotten => FORGOTTEN,
        }
    }
}
