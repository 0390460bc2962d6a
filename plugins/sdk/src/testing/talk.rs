//! Conversations for tests of a protocol, as records of probe `l7`.

use std::net::{IpAddr, SocketAddr};

use super::{Draft, run, words};
use crate::config::Config;
use crate::conversation::record::{
    CLIENT, DATA, END, FLUSH, IPV4, IPV6, L7Record, LATER, NO_PAYLOAD, PEER_LOCAL, SENT, SERVER, TICK, TLS, UDP,
};
use crate::conversation::{Conversations, Protocol, Sender, Transport};
use crate::record::Record;
use crate::role::Decoder;

/// A conversation between two ends, by default captured at the server. Each call takes place a millisecond after the one before; calls are
/// captured completely unless set otherwise.
///
/// ```
/// use plugin_sdk::testing::Talk;
///
/// let talk = Talk::tcp("10.0.0.7:40000", 80).client(b"GET / HTTP/1.1\r\n\r\n").server(b"HTTP/1.1 200 OK\r\n\r\n").end();
/// assert_eq!(talk.records().len(), 3);
/// ```
#[derive(Debug, Clone)]
pub struct Talk {
    records: Vec<Vec<u8>>,
    client: SocketAddr,
    server: SocketAddr,
    transport: Transport,
    is_at_client: bool,
    flags: u8,
    connection: u64,
    is_older: bool,
    cut: usize,
    now_ns: u64,
    /// Sequence numbers of the next bytes, of the client and of the server.
    next: [u32; 2],
    /// The initial sequence numbers of the conversation.
    first: [u32; 2],
    pid: u32,
}

/// Sequence numbers of the first bytes, of the client and of the server.
const FIRST: [u32; 2] = [1000, 5000];

/// Fields that [`Talk::rows`] omits, because they are the same in every row.
const KNOWN: [&str; 6] = ["server.", "client.", "network.", "process.", "linux.", "tls."];

// === impl Talk: ends ===

impl Talk {
    /// Returns a TCP connection of this client (`10.0.0.7:40000`) to port `server_port` of 10.0.0.1.
    ///
    /// # Panics
    /// The text is not an address.
    #[must_use]
    pub fn tcp(client: &str, server_port: u16) -> Self {
        Self::between(client, &format!("10.0.0.1:{server_port}"))
    }

    /// Returns the same over UDP.
    ///
    /// # Panics
    /// The text is not an address.
    #[must_use]
    pub fn udp(client: &str, server_port: u16) -> Self {
        Self { transport: Transport::Udp, ..Self::tcp(client, server_port) }
    }

    /// Returns a TCP connection between two addresses.
    ///
    /// # Panics
    /// A text is not an address.
    #[must_use]
    #[allow(clippy::panic, reason = "a test whose addresses are none is wrong")]
    pub fn between(client: &str, server: &str) -> Self {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap_or_else(|error| panic!("`{text}`: {error}"));
        let (client, server) = (address(client), address(server));
        Self {
            records: Vec::new(),
            client,
            server,
            transport: Transport::Tcp,
            is_at_client: false,
            flags: 0,
            connection: u64::from(client.port()) << 16 | u64::from(server.port()),
            is_older: false,
            cut: usize::MAX,
            now_ns: 0,
            next: FIRST,
            first: FIRST,
            pid: 4711,
        }
    }

    /// Captures later calls at the client.
    #[must_use]
    pub const fn at_client(mut self) -> Self {
        self.is_at_client = true;
        self
    }

    /// Makes later calls encrypted on the wire.
    #[must_use]
    pub const fn tls(mut self) -> Self {
        self.flags |= TLS;
        self.first = self.next;
        self
    }

    /// Places the other end on the same node.
    #[must_use]
    pub const fn peer_local(mut self) -> Self {
        self.flags |= PEER_LOCAL;
        self
    }

    /// Makes the connection older than the probe: its earlier bytes are not known.
    #[must_use]
    pub const fn older(mut self) -> Self {
        self.is_older = true;
        self
    }

    /// Sets another identity of the connection.
    #[must_use]
    pub const fn connection(mut self, connection: u64) -> Self {
        self.connection = connection;
        self
    }

    /// Assigns later calls to this process.
    #[must_use]
    pub const fn pid(mut self, pid: u32) -> Self {
        self.pid = pid;
        self
    }
}

// === impl Talk: calls ===

impl Talk {
    /// Adds a call in which the client sends these bytes.
    #[must_use]
    pub fn client(self, bytes: &[u8]) -> Self {
        self.call(Sender::Client, bytes)
    }

    /// Adds a call in which the server sends these bytes.
    #[must_use]
    pub fn server(self, bytes: &[u8]) -> Self {
        self.call(Sender::Server, bytes)
    }

    /// Adds a call in which the client sends this many bytes, and whose record is lost.
    #[must_use]
    pub fn lost_client(self, bytes: u32) -> Self {
        self.lost(Sender::Client, bytes)
    }

    /// Adds a call in which the server sends this many bytes, and whose record is lost.
    #[must_use]
    pub fn lost_server(self, bytes: u32) -> Self {
        self.lost(Sender::Server, bytes)
    }

    /// Adds a call in which the client sends this many bytes that the probe cannot read.
    #[must_use]
    pub fn unread_client(self, bytes: u32) -> Self {
        self.unread(Sender::Client, bytes)
    }

    /// Adds a call in which the server sends this many bytes that the probe cannot read.
    #[must_use]
    pub fn unread_server(self, bytes: u32) -> Self {
        self.unread(Sender::Server, bytes)
    }

    /// Sets the maximum number of bytes that are captured of each later call.
    #[must_use]
    pub const fn cut(mut self, bytes: usize) -> Self {
        self.cut = bytes;
        self
    }

    /// Lets time pass.
    #[must_use]
    pub const fn after_ms(mut self, ms: u64) -> Self {
        self.now_ns += ms * 1_000_000;
        self
    }

    /// Swaps the last two records: another thread received the response before the call that had sent the request returned.
    #[must_use]
    pub fn swapped(mut self) -> Self {
        if let [.., one, other] = &mut *self.records {
            std::mem::swap(one, other);
            // Each keeps its place in time: the time is the first member.
            if let (Some(one), Some(other)) = (one.first_chunk_mut::<8>(), other.first_chunk_mut::<8>()) {
                std::mem::swap(one, other);
            }
        }
        self
    }

    /// Closes the connection.
    #[must_use]
    pub fn end(self) -> Self {
        self.add(END, Sender::Client, &[], 0, 0)
    }

    /// Adds a tick of the host: the current time.
    #[must_use]
    pub fn tick(self) -> Self {
        Self { connection: 0, ..self.clone() }.add(TICK, Sender::Client, &[], 0, 0).connection(self.connection)
    }

    /// Adds a flush of the host: no records follow.
    #[must_use]
    pub fn flush(self) -> Self {
        Self { connection: 0, ..self.clone() }.add(FLUSH, Sender::Client, &[], 0, 0).connection(self.connection)
    }

    /// Appends another conversation.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        self.records.extend_from_slice(&other.records);
        self
    }

    fn call(self, sender: Sender, bytes: &[u8]) -> Self {
        let captured = bytes.get(..self.cut).unwrap_or(bytes);
        self.add(DATA, sender, captured, bytes.len() as u32, 0)
    }

    fn unread(self, sender: Sender, bytes: u32) -> Self {
        self.add(DATA, sender, &[], bytes, NO_PAYLOAD)
    }

    const fn lost(mut self, sender: Sender, bytes: u32) -> Self {
        self.now_ns += 1_000_000;
        let [client, server] = self.next;
        self.next = match sender {
            Sender::Client => [client.wrapping_add(bytes), server],
            Sender::Server => [client, server.wrapping_add(bytes)],
        };
        self
    }

    fn add(self, kind: u8, sender: Sender, payload: &[u8], total: u32, flags: u8) -> Self {
        let mut talk = self.lost(sender, total);
        let next = if sender == Sender::Client { talk.next[0] } else { talk.next[1] };
        let sequence = if talk.transport == Transport::Udp { 0 } else { next.wrapping_sub(total) };
        let is_sent = (sender == Sender::Client) == talk.is_at_client;
        let (local, remote) = if talk.is_at_client { (talk.client, talk.server) } else { (talk.server, talk.client) };
        let is_answer = kind == DATA && talk.is_at_client && !is_sent && talk.transport == Transport::Tcp;
        let opposite = if is_answer && talk.next[0] != FIRST[0] { talk.next[0] } else { 0 };
        let first = if sender == Sender::Client { talk.first[0] } else { talk.first[1] };
        let is_later = kind == DATA && talk.transport == Transport::Tcp && sequence != first && !talk.is_older;
        let flags = flags | if is_later { LATER } else { 0 };
        let Some(layout) = <L7Record<'static> as Record>::layout() else { return talk };
        let record = Draft::new(layout)
            .put("time_ns", talk.now_ns.into())
            .put("connection", talk.connection.into())
            .put("cgroup_id", 77)
            .put("sequence", sequence.into())
            .put("total", total.into())
            .put("pid", talk.pid.into())
            .put("uid", 1000)
            .put("family", if talk.server.is_ipv4() { IPV4 } else { IPV6 }.into())
            .put("local_port", local.port().into())
            .put("remote_port", remote.port().into())
            .put("kind", kind.into())
            .put("direction", if is_sent { SENT } else { 0 }.into())
            .put("role", if talk.is_at_client { CLIENT } else { SERVER }.into())
            .put("transport", if talk.transport == Transport::Udp { UDP } else { 6 }.into())
            .put("flags", (talk.flags | flags).into())
            .put("opposite", opposite.into())
            .bytes("local_address", &octets(local.ip()))
            .bytes("remote_address", &octets(remote.ip()))
            .bytes("comm", if talk.is_at_client { b"curl" } else { b"nginx" })
            .bytes("payload", payload);
        talk.records.push(record.finish());
        talk
    }
}

// === impl Talk: results ===

impl Talk {
    /// Returns the records.
    #[must_use]
    pub fn records(&self) -> Vec<Vec<u8>> {
        self.records.clone()
    }

    /// Returns the records as a run.
    #[must_use]
    pub fn run(&self) -> Vec<u8> {
        run(self.records.iter().map(Vec::as_slice))
    }

    /// Returns the rows that a protocol makes of it, without settings: each as `name=value`, without values that are 0 or empty, and
    /// without time, correlation and the connection's own fields.
    ///
    /// # Panics
    /// The protocol returns an error.
    #[must_use]
    pub fn rows<P: Protocol>(&self) -> Vec<String> {
        self.rows_with::<P>("{}")
    }

    /// Returns the same with settings.
    ///
    /// # Panics
    /// The protocol returns an error.
    #[must_use]
    pub fn rows_with<P: Protocol>(&self, config: &str) -> Vec<String> {
        let mut decoder = decoder::<P>(config);
        self.rows_of(&mut decoder)
    }

    /// Returns the same of an existing decoder.
    ///
    /// # Panics
    /// The decoder returns an error.
    #[must_use]
    pub fn rows_of<P: Protocol>(&self, decoder: &mut Conversations<P>) -> Vec<String> {
        let is_shown =
            |name: &str| !matches!(name, "time" | "correlation") && !KNOWN.iter().any(|known| name.starts_with(known));
        let shown = |rows: Vec<Vec<(String, String)>>| {
            let row = |row: Vec<(String, String)>| {
                let shown = row.into_iter().filter(|(name, value)| is_shown(name) && !value.is_empty() && value != "0");
                shown.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            };
            rows.into_iter().map(row).collect()
        };
        shown(all(decoder, &self.run()))
    }

    /// Returns all fields of all rows, by name.
    ///
    /// # Panics
    /// The protocol returns an error.
    #[must_use]
    pub fn fields<P: Protocol>(&self) -> Vec<Vec<(String, String)>> {
        all(&mut decoder::<P>("{}"), &self.run())
    }
}

/// Returns a decoder of this protocol.
///
/// # Panics
/// The protocol refuses its settings.
#[must_use]
#[allow(clippy::panic, reason = "a test whose settings are refused is wrong")]
pub fn decoder<P: Protocol>(config: &str) -> Conversations<P> {
    let layout = Conversations::<P>::expects("l7");
    let bound = layout.map(|layout| Conversations::<P>::bind("l7", &layout, Config::new(config)));
    bound.unwrap_or_else(|| Err("no layout".into())).unwrap_or_else(|error| panic!("{error}"))
}

#[allow(clippy::panic, reason = "a test whose run cannot be decoded is wrong")]
fn all<P: Protocol>(decoder: &mut Conversations<P>, run: &[u8]) -> Vec<Vec<(String, String)>> {
    let schema = decoder.schema().clone();
    let fields: Vec<u32> = (0..).zip(&schema.fields).map(|(index, _)| index).collect();
    let decoded = decoder.decode(run, &fields).unwrap_or_else(|error| panic!("{error}"));
    let mut rows = vec![Vec::new(); decoded.rows as usize];
    for (field, column) in schema.fields.iter().zip(&decoded.columns) {
        rows.iter_mut().zip(words(column)).for_each(|(row, value)| row.push((field.name.clone(), value)));
    }
    rows
}

/// Returns an address in the form of a record.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}
