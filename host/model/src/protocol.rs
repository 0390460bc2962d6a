//! A protocol that is spoken over connections: what its decoder says of itself, and what it thinks of a connection's first bytes.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::plugin::PluginId;
use crate::stats::CallStats;

/// Which end of a connection sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// It makes no difference.
    Either,
    /// The end that connected.
    Client,
    /// The end that was connected to.
    Server,
}

/// The transport of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// It makes no difference.
    Either,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A test of the first bytes that an end sends. It holds where every byte, masked, is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Whose bytes.
    pub sender: Sender,
    /// Carried by what.
    pub transport: Transport,
    /// The offset in the payload, at most [`Signature::FARTHEST`].
    pub offset: u32,
    /// 1 to [`Signature::LONGEST`] bytes.
    pub bytes: Vec<u8>,
    /// As long as `bytes`, or empty for all ones.
    pub mask: Vec<u8>,
    /// Only where the server's port is this one; 0 for any.
    pub port: u16,
    /// True: it decides. False: the decoder is asked.
    pub certain: bool,
}

/// A protocol, as its decoder describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The protocol: the name of its path.
    pub name: String,
    /// At most [`Description::SIGNATURES`], the most telling first.
    pub signatures: Vec<Signature>,
    /// Ports on which it is usual; at most [`Description::PORTS`].
    pub ports: Vec<u16>,
    /// Bytes of each call that are worth capturing; 0 for the host's default. The operator may want more.
    pub capture_bytes: u32,
}

/// What is wrong with a description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// It cannot be the name of a path.
    #[error("{0:?} is not the name of a protocol: 1 to {max} lower-case letters, digits and `-`", max = Description::NAME)]
    Name(String),
    /// More signatures than are tried.
    #[error("{0} signatures; at most {max} are tried", max = Description::SIGNATURES)]
    Signatures(usize),
    /// More ports than are looked at.
    #[error("{0} ports; at most {max} are looked at", max = Description::PORTS)]
    Ports(usize),
    /// More bytes of each call than can be captured.
    #[error("it wants {0} bytes of each call; at most {max} are captured", max = Description::CAPTURE)]
    Capture(u32),
    /// A test of too few or too many bytes.
    #[error("signature {index} tests {bytes} bytes; it must be 1 to {max}", max = Signature::LONGEST)]
    Length {
        /// Which one, from 0.
        index: usize,
        /// How many bytes it has.
        bytes: usize,
    },
    /// A mask of another length than the bytes.
    #[error("the mask of signature {index} has {mask} bytes, its bytes are {bytes}")]
    Mask {
        /// Which one, from 0.
        index: usize,
        /// The length of its mask.
        mask: usize,
        /// How many bytes it has.
        bytes: usize,
    },
    /// A mask that every payload passes.
    #[error("signature {0} tests nothing: every byte of its mask is 0")]
    Blank(usize),
    /// Too far into the payload.
    #[error("signature {index} is at offset {offset}; at most {max}", max = Signature::FARTHEST)]
    Offset {
        /// Which one, from 0.
        index: usize,
        /// Where it wants to look.
        offset: u32,
    },
}

/// The beginnings of connections: one value per beginning in each column.
#[derive(Debug, Clone, Default)]
pub struct Beginnings {
    /// Port of the server; 0 if it is not known which end that is.
    pub ports: Vec<u32>,
    /// The sender: 0 not known, 1 client, 2 server.
    pub senders: Vec<u8>,
    /// 6 TCP, 17 UDP.
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
    /// It cannot tell yet.
    Unsure,
    /// It is this one.
    Yes,
    /// It is, and these are the client's bytes.
    YesClient,
    /// It is, and these are the server's bytes.
    YesServer,
}

/// A conversation that turned out to speak another protocol than that of the decoder it was given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disowned {
    /// The connection, as its records name it.
    pub connection: u64,
    /// The plaintext of a TLS library over that connection, not what went over the wire.
    pub tls: bool,
    /// The place where the other protocol begins; None for the begin of the conversation.
    pub from: Option<SwitchPoint>,
}

/// A place in the last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SwitchPoint {
    /// Index of a record, discarded ones not counted. It, and all that follow it.
    pub record: u32,
    /// Bytes at the beginning of that record's call that come before the place.
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

/// A decoder of a protocol, as the router has it: an instance of its own that sees beginnings and no records.
pub trait Recogniser: Send {
    /// Who.
    fn id(&self) -> &PluginId;

    /// The cost of its calls.
    fn stats(&self) -> &Arc<CallStats>;

    /// The description of its protocol.
    fn description(&self) -> &Description;

    /// One opinion per beginning.
    ///
    /// # Errors
    /// The fault; nothing is known of these connections then.
    fn recognise(&mut self, beginnings: &Beginnings) -> Result<Vec<Opinion>, Fault>;
}

// === impl Signature ===

impl Signature {
    /// The farthest offset.
    pub const FARTHEST: u32 = 64;
    /// The most bytes.
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
    /// Bytes of a name.
    pub const NAME: usize = 32;
    /// The most signatures.
    pub const SIGNATURES: usize = 64;
    /// The most ports.
    pub const PORTS: usize = 64;
    /// The most bytes of one call.
    pub const CAPTURE: u32 = 4096;

    /// Checks what a guest said.
    ///
    /// # Errors
    /// The first thing that is wrong.
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
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ports.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// Adds one. `port` is 0 and `sender` [`Sender::Either`] if it is not known which end the server is.
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

    /// Payload `index`.
    #[must_use]
    pub fn payload(&self, index: usize) -> &[u8] {
        let at = |index: usize| self.offsets.get(index).map_or(0, |&offset| offset as usize);
        self.bytes.get(at(index)..at(index + 1)).unwrap_or_default()
    }

    /// Forgets all, keeps the room.
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
