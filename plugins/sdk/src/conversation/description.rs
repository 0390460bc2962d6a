//! How the host finds the connections that speak a protocol.

use super::{Sender, Transport};

/// What the host has to know to find the connections of a protocol.
///
/// ```
/// use plugin_sdk::conversation::{Description, Signature};
///
/// let description = Description::new("echo").on_port(7).signature(Signature::client(b"ECHO ").certain());
/// assert_eq!(description.ports, [7]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Name of the protocol: of its path, and of its slot `decoder.NAME`. Lower-case letters, digits, `-`.
    pub name: String,
    /// At most 64, the most telling first.
    pub signatures: Vec<Signature>,
    /// Ports on which it is usual; they order whom the host asks first.
    pub ports: Vec<u16>,
    /// How many bytes of each call are worth capturing, at most 4096; 0 for the host's default. The operator may want more, and heads of
    /// HTTP are captured whole, up to 16 KiB of a call.
    pub capture_bytes: u32,
}

/// A test that the host makes by itself on the first bytes that an end sends: it holds where every byte, masked, is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Whose bytes; None for either end's.
    pub sender: Option<Sender>,
    /// What carries them; None for either.
    pub transport: Option<Transport>,
    /// Where in the payload, at most 64.
    pub offset: u32,
    /// 1 to 32 bytes.
    pub bytes: Vec<u8>,
    /// As long as `bytes`; empty for all ones.
    pub mask: Vec<u8>,
    /// Only where the server's port is this one; 0 for any.
    pub port: u16,
    /// A match decides. Without it a match makes the connection one that [`recognise`](super::Protocol::recognise) is asked about.
    pub is_certain: bool,
}

/// What a connection begins with, for [`recognise`](super::Protocol::recognise).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning<'a> {
    /// 0 if it is not known which end is the server.
    pub server_port: u16,
    /// Who sent the payload; None if that is not known.
    pub sender: Option<Sender>,
    /// What carries it.
    pub transport: Transport,
    /// The first bytes.
    pub payload: &'a [u8],
}

/// Whether a connection speaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// It does not.
    No = 0,
    /// Cannot tell yet: the question comes again when there is more.
    Unsure = 1,
    /// It does.
    Yes = 2,
    /// It does, and the client sent this.
    FromClient = 3,
    /// It does, and the server sent this.
    FromServer = 4,
}

// === impl Description ===

impl Description {
    /// A protocol that nothing is known of but its name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), signatures: Vec::new(), ports: Vec::new(), capture_bytes: 0 }
    }

    /// One more signature.
    #[must_use]
    pub fn signature(mut self, signature: Signature) -> Self {
        self.signatures.push(signature);
        self
    }

    /// One more port on which it is usual.
    #[must_use]
    pub fn on_port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// How many bytes of each call are worth capturing at least. Without it the host's default.
    #[must_use]
    pub const fn capture_bytes(mut self, bytes: u32) -> Self {
        self.capture_bytes = bytes;
        self
    }
}

// === impl Signature ===

impl Signature {
    /// Bytes that either end may begin with.
    #[must_use]
    pub fn either(bytes: &[u8]) -> Self {
        Self { sender: None, transport: None, offset: 0, bytes: bytes.to_vec(), mask: Vec::new(), port: 0, is_certain: false }
    }

    /// Bytes that a client begins with.
    #[must_use]
    pub fn client(bytes: &[u8]) -> Self {
        Self { sender: Some(Sender::Client), ..Self::either(bytes) }
    }

    /// Bytes that a server begins with.
    #[must_use]
    pub fn server(bytes: &[u8]) -> Self {
        Self { sender: Some(Sender::Server), ..Self::either(bytes) }
    }

    /// Not at the start, but so many bytes behind it.
    #[must_use]
    pub const fn at(mut self, offset: u32) -> Self {
        self.offset = offset;
        self
    }

    /// Which bits count, a byte for each byte.
    #[must_use]
    pub fn masked(mut self, mask: &[u8]) -> Self {
        self.mask = mask.to_vec();
        self
    }

    /// Only where the server's port is this one.
    #[must_use]
    pub const fn on_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Only over TCP.
    #[must_use]
    pub const fn tcp(mut self) -> Self {
        self.transport = Some(Transport::Tcp);
        self
    }

    /// Only over UDP.
    #[must_use]
    pub const fn udp(mut self) -> Self {
        self.transport = Some(Transport::Udp);
        self
    }

    /// A match decides, and nobody is asked.
    #[must_use]
    pub const fn certain(mut self) -> Self {
        self.is_certain = true;
        self
    }
}
