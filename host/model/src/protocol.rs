//! A protocol on connections: its decoder's description, and the decoder's opinion of a connection's first bytes.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::plugin::PluginId;
use crate::stats::CallStats;

/// The end of a connection that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Either end.
    Either,
    /// The end that connected.
    Client,
    /// The end that was connected to.
    Server,
}

/// The transport of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Either transport.
    Either,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A test of the first bytes that an end sends. It matches if all bytes, masked, are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The end that sends the bytes.
    pub sender: Sender,
    /// The transport of the bytes.
    pub transport: Transport,
    /// The offset in the payload, at most [`Signature::FARTHEST`].
    pub offset: u32,
    /// The expected bytes, 1 to [`Signature::LONGEST`].
    pub bytes: Vec<u8>,
    /// The mask, as long as `bytes`, or empty for all ones.
    pub mask: Vec<u8>,
    /// The only port of the server that it applies to; 0 for any.
    pub port: u16,
    /// Whether a match decides; otherwise the decoder is asked.
    pub certain: bool,
}

/// A protocol as its decoder describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The name of the protocol and of its path.
    pub name: String,
    /// The signatures, at most [`Description::SIGNATURES`], the most specific first.
    pub signatures: Vec<Signature>,
    /// Its usual ports; at most [`Description::PORTS`].
    pub ports: Vec<u16>,
    /// Number of bytes of each call that are worth capturing; 0 for the host's default. The operator may want more.
    pub capture_bytes: u32,
}

/// The error in a description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// The name cannot be that of a path.
    #[error("{0:?} is not the name of a protocol: 1 to {max} lower-case letters, digits and `-`", max = Description::NAME)]
    Name(String),
    /// There are more signatures than are tried.
    #[error("{0} signatures; at most {max} are tried", max = Description::SIGNATURES)]
    Signatures(usize),
    /// There are more ports than are considered.
    #[error("{0} ports; at most {max} are looked at", max = Description::PORTS)]
    Ports(usize),
    /// It asks for more bytes of each call than can be captured.
    #[error("it wants {0} bytes of each call; at most {max} are captured", max = Description::CAPTURE)]
    Capture(u32),
    /// A signature has too few or too many bytes.
    #[error("signature {index} tests {bytes} bytes; it must be 1 to {max}", max = Signature::LONGEST)]
    Length {
        /// Its index, from 0.
        index: usize,
        /// Its number of bytes.
        bytes: usize,
    },
    /// A mask has another length than the bytes.
    #[error("the mask of signature {index} has {mask} bytes, its bytes are {bytes}")]
    Mask {
        /// Its index, from 0.
        index: usize,
        /// The length of its mask.
        mask: usize,
        /// Its number of bytes.
        bytes: usize,
    },
    /// Every payload passes the mask.
    #[error("signature {0} tests nothing: every byte of its mask is 0")]
    Blank(usize),
    /// The offset is too large.
    #[error("signature {index} is at offset {offset}; at most {max}", max = Signature::FARTHEST)]
    Offset {
        /// Its index, from 0.
        index: usize,
        /// Its offset.
        offset: u32,
    },
}

/// The beginnings of connections: one value per beginning in each column.
#[derive(Debug, Clone, Default)]
pub struct Beginnings {
    /// Port of the server; 0 if it is not known which end is the server.
    pub ports: Vec<u32>,
    /// The sender: 0 not known, 1 client, 2 server.
    pub senders: Vec<u8>,
    /// The transport: 6 TCP, 17 UDP.
    pub transports: Vec<u8>,
    /// Payload i is `bytes[offsets[i]..offsets[i + 1]]`.
    pub offsets: Vec<u32>,
    /// All payloads.
    pub bytes: Vec<u8>,
}

/// The opinion of a decoder on a beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// It is another protocol.
    No,
    /// The decoder cannot decide yet.
    Unsure,
    /// It is this protocol.
    Yes,
    /// It is this protocol, and these are the client's bytes.
    YesClient,
    /// It is this protocol, and these are the server's bytes.
    YesServer,
}

/// A conversation that turned out to have another protocol than its decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disowned {
    /// The connection's id in its records.
    pub connection: u64,
    /// Whether this is the plaintext of a TLS library over that connection, not its bytes on the wire.
    pub tls: bool,
    /// The point where the other protocol starts; None for the start of the conversation.
    pub from: Option<SwitchPoint>,
}

/// A point in the last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SwitchPoint {
    /// Index of a record, discarded ones not counted. That record and all later ones are meant.
    pub record: u32,
    /// Number of bytes of that record's call before the point.
    pub bytes: u32,
}

/// Connections of unknown protocols at one port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnknownPort {
    /// 6 TCP, 17 UDP; 0 for all ports that had no place of their own.
    pub transport: u8,
    /// The port of the server, or the lower one where it is not known which end that is.
    pub port: u16,
    /// Connections.
    pub connections: u64,
    /// Records of them. What the kernel was told not to send is not among them.
    pub records: u64,
}

/// A decoder of a protocol as the router uses it: an instance of its own that gets beginnings and no records.
pub trait Recogniser: Send {
    /// Its identity.
    fn id(&self) -> &PluginId;

    /// The cost of its calls.
    fn stats(&self) -> &Arc<CallStats>;

    /// The description of its protocol.
    fn description(&self) -> &Description;

    /// Returns one opinion per beginning.
    ///
    /// # Errors
    /// The fault; these connections then remain undecided.
    fn recognise(&mut self, beginnings: &Beginnings) -> Result<Vec<Opinion>, Fault>;
}

// === impl Signature ===

impl Signature {
    /// Maximum offset.
    pub const FARTHEST: u32 = 64;
    /// Maximum number of bytes.
    pub const LONGEST: usize = 32;

    /// Whether these bytes pass the test. `false` if there are too few.
    #[must_use]
    pub fn matches(&self, payload: &[u8]) -> bool {
        let Some(found) = payload.get(self.offset as usize..).and_then(|rest| rest.get(..self.bytes.len())) else {
            return false;
        };
        match self.mask.as_slice() {
            [] => found == self.bytes.as_slice(),
            mask => found.iter().zip(&self.bytes).zip(mask).all(|((found, byte), mask)| (found ^ byte) & mask == 0),
        }
    }

    fn check(&self, index: usize) -> Result<(), DescriptionError> {
        let Self { offset, bytes, mask, .. } = self;
        if bytes.is_empty() || bytes.len() > Self::LONGEST {
            return Err(DescriptionError::Length { index, bytes: bytes.len() });
        }
        if !mask.is_empty() && mask.len() != bytes.len() {
            return Err(DescriptionError::Mask { index, mask: mask.len(), bytes: bytes.len() });
        }
        if !mask.is_empty() && mask.iter().all(|&byte| byte == 0) {
            return Err(DescriptionError::Blank(index));
        }
        if *offset > Self::FARTHEST {
            return Err(DescriptionError::Offset { index, offset: *offset });
        }
        Ok(())
    }
}

// === impl Description ===

impl Description {
    /// Maximum bytes of a name.
    pub const NAME: usize = 32;
    /// Maximum number of signatures.
    pub const SIGNATURES: usize = 64;
    /// Maximum number of ports.
    pub const PORTS: usize = 64;
    /// Maximum number of captured bytes of one call.
    pub const CAPTURE: u32 = 4096;

    /// Checks the description of a guest.
    ///
    /// # Errors
    /// The description is wrong; the error names the first problem.
    pub fn check(&self) -> Result<(), DescriptionError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty() || self.name.len() > Self::NAME || !self.name.bytes().all(allowed) {
            return Err(DescriptionError::Name(self.name.chars().take(Self::NAME).collect()));
        }
        if self.signatures.len() > Self::SIGNATURES {
            return Err(DescriptionError::Signatures(self.signatures.len()));
        }
        if self.ports.len() > Self::PORTS {
            return Err(DescriptionError::Ports(self.ports.len()));
        }
        if self.capture_bytes > Self::CAPTURE {
            return Err(DescriptionError::Capture(self.capture_bytes));
        }
        self.signatures.iter().enumerate().try_for_each(|(index, signature)| signature.check(index))
    }
}

// === impl Beginnings ===

impl Beginnings {
    /// Returns the number of beginnings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ports.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// Adds a beginning. `port` is 0 and `sender` [`Sender::Either`] if it is not known which end is the server.
    pub fn push(&mut self, port: u16, sender: Sender, transport: u8, payload: &[u8]) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.ports.push(port.into());
        self.senders.push(match sender {
            Sender::Either => 0,
            Sender::Client => 1,
            Sender::Server => 2,
        });
        self.transports.push(transport);
        self.bytes.extend_from_slice(payload);
        self.offsets.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    /// Returns payload `index`.
    #[must_use]
    pub fn payload(&self, index: usize) -> &[u8] {
        let at = |index: usize| self.offsets.get(index).map_or(0, |&offset| offset as usize);
        self.bytes.get(at(index)..at(index + 1)).unwrap_or_default()
    }

    /// Removes all beginnings, but keeps the capacity.
    pub fn clear(&mut self) {
        let Self { ports, senders, transports, offsets, bytes } = self;
        ports.clear();
        senders.clear();
        transports.clear();
        offsets.clear();
        bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(bytes: &[u8], mask: &[u8], offset: u32) -> Signature {
        Signature {
            sender: Sender::Either,
            transport: Transport::Either,
            offset,
            bytes: bytes.to_vec(),
            mask: mask.to_vec(),
            port: 0,
            certain: true,
        }
    }

    fn described(name: &str, signatures: Vec<Signature>) -> Description {
        Description { name: name.into(), signatures, ports: Vec::new(), capture_bytes: 0 }
    }

    #[test]
    fn a_signature_tests_masked_bytes_at_its_offset() {
        assert!(signature(b"GET ", b"", 0).matches(b"GET /"));
        assert!(!signature(b"GET ", b"", 0).matches(b"GET"), "too short");
        assert!(signature(b"SELECT", &[0xdf; 6], 5).matches(b"\x0a\0\0\0\x03select 1"));
        assert!(!signature(b"SELECT", &[0xdf; 6], 5).matches(b"\x0a\0\0\0\x03delete x"));
    }

    #[test]
    fn what_cannot_be_tested_is_refused() {
        let check = |signature| described("http", vec![signature]).check();
        assert_eq!(check(signature(b"GET ", b"", 64)), Ok(()));
        assert_eq!(check(signature(b"GET ", b"", 65)), Err(DescriptionError::Offset { index: 0, offset: 65 }));
        assert_eq!(check(signature(b"", b"", 0)), Err(DescriptionError::Length { index: 0, bytes: 0 }));
        assert_eq!(check(signature(&[0; 33], b"", 0)), Err(DescriptionError::Length { index: 0, bytes: 33 }));
        assert_eq!(check(signature(b"ab", &[1], 0)), Err(DescriptionError::Mask { index: 0, mask: 1, bytes: 2 }));
        assert_eq!(check(signature(b"ab", &[0, 0], 0)), Err(DescriptionError::Blank(0)));
    }

    #[test]
    fn a_name_becomes_part_of_slots_and_threads() {
        for name in ["", "HTTP", "http 1", "a/b", "\x1b[31m", &"x".repeat(33)] {
            assert!(matches!(described(name, Vec::new()).check(), Err(DescriptionError::Name(_))), "{name:?}");
        }
        let error = described("\x1b[31m", Vec::new()).check().unwrap_err();
        assert!(!error.to_string().contains('\x1b'), "{error}");
        let many = vec![signature(b"x", b"", 0); 65];
        assert_eq!(described("http", many).check(), Err(DescriptionError::Signatures(65)));
        assert!(Description { ports: vec![1; 65], ..described("http", Vec::new()) }.check().is_err());
        assert!(Description { capture_bytes: 4097, ..described("http", Vec::new()) }.check().is_err());
    }

    #[test]
    fn beginnings_lie_side_by_side() {
        let mut beginnings = Beginnings::default();
        beginnings.push(80, Sender::Client, 6, b"GET");
        beginnings.push(0, Sender::Either, 17, b"");
        beginnings.push(53, Sender::Server, 17, b"xy");
        assert_eq!((beginnings.len(), beginnings.offsets.as_slice()), (3, [0, 3, 3, 5].as_slice()));
        assert_eq!((beginnings.payload(0), beginnings.payload(2), beginnings.payload(3)), (&b"GET"[..], &b"xy"[..], &b""[..]));
        assert_eq!(beginnings.senders, [1, 0, 2]);
        beginnings.clear();
        assert!(beginnings.is_empty() && beginnings.bytes.is_empty());
    }
}
