//! How the host finds the connections that speak a protocol.

use super::{Sender, Transport};

/// The data that the host needs to find the connections of a protocol.
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
    /// Signatures of the protocol, at most 64, the most distinctive first.
    pub signatures: Vec<Signature>,
    /// Its usual ports; they order the decoders that the host asks.
    pub ports: Vec<u16>,
    /// Number of bytes of each call to capture, at most 4096; 0 for the host's default. The operator may set more, and heads of HTTP are
    /// captured completely, up to 16 KiB of a call.
    pub capture_bytes: u32,
}

/// A test that the host itself applies to the first bytes that an end sent: it matches if every byte, masked, is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The end that sent the bytes; None for either.
    pub sender: Option<Sender>,
    /// The transport; None for either.
    pub transport: Option<Transport>,
    /// Offset in the payload, at most 64.
    pub offset: u32,
    /// The bytes to match, 1 to 32.
    pub bytes: Vec<u8>,
    /// A mask of the length of `bytes`; empty for all ones.
    pub mask: Vec<u8>,
    /// Required port of the server; 0 for any.
    pub port: u16,
    /// Whether a match decides. Otherwise a match leads to a call of [`recognise`](super::Protocol::recognise).
    pub is_certain: bool,
}

/// The beginning of a connection, for [`recognise`](super::Protocol::recognise).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning<'a> {
    /// Port of the server; 0 if it is not known which end is the server.
    pub server_port: u16,
    /// The end that sent the payload; None if that is not known.
    pub sender: Option<Sender>,
    /// The transport.
    pub transport: Transport,
    /// The first bytes.
    pub payload: &'a [u8],
}

/// Whether a connection speaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// The connection does not speak it.
    No = 0,
    /// Not decided yet: asked again when there is more.
    Unsure = 1,
    /// The connection speaks it.
    Yes = 2,
    /// The connection speaks it, and the client sent the payload.
    FromClient = 3,
    /// The connection speaks it, and the server sent the payload.
    FromServer = 4,
}

// === impl Description ===

impl Description {
    /// Returns a description with only a name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), signatures: Vec::new(), ports: Vec::new(), capture_bytes: 0 }
    }

    /// Adds a signature.
    #[must_use]
    pub fn signature(mut self, signature: Signature) -> Self {
        self.signatures.push(signature);
        self
    }

    /// Adds a usual port.
    #[must_use]
    pub fn on_port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// Sets the minimum number of bytes of each call to capture. Without it the host's default applies.
    #[must_use]
    pub const fn capture_bytes(mut self, bytes: u32) -> Self {
        self.capture_bytes = bytes;
        self
    }
}

// === impl Signature ===

impl Signature {
    /// Returns a signature for the first bytes of either end.
    #[must_use]
    pub fn either(bytes: &[u8]) -> Self {
        Self { sender: None, transport: None, offset: 0, bytes: bytes.to_vec(), mask: Vec::new(), port: 0, is_certain: false }
    }

    /// Returns a signature for the first bytes of a client.
    #[must_use]
    pub fn client(bytes: &[u8]) -> Self {
        Self { sender: Some(Sender::Client), ..Self::either(bytes) }
    }

    /// Returns a signature for the first bytes of a server.
    #[must_use]
    pub fn server(bytes: &[u8]) -> Self {
        Self { sender: Some(Sender::Server), ..Self::either(bytes) }
    }

    /// Sets the offset in the payload.
    #[must_use]
    pub const fn at(mut self, offset: u32) -> Self {
        self.offset = offset;
        self
    }

    /// Sets the bits that are compared, a byte for each byte.
    #[must_use]
    pub fn masked(mut self, mask: &[u8]) -> Self {
        self.mask = mask.to_vec();
        self
    }

    /// Restricts it to this port of the server.
    #[must_use]
    pub const fn on_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Restricts it to TCP.
    #[must_use]
    pub const fn tcp(mut self) -> Self {
        self.transport = Some(Transport::Tcp);
        self
    }

    /// Restricts it to UDP.
    #[must_use]
    pub const fn udp(mut self) -> Self {
        self.transport = Some(Transport::Udp);
        self
    }

    /// Makes a match decide, without a call of `recognise`.
    #[must_use]
    pub const fn certain(mut self) -> Self {
        self.is_certain = true;
        self
    }
}
