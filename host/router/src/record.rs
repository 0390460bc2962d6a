//! `struct l7_record`, which the trunk's probe writes: the members that the router reads, and the two that it writes.

use host_model::run::{DISCARDED, HEADER, payload_len, slot_len};
use host_model::{Layout, Run};

use crate::error::RouteError;

/// Bytes were sent or received.
pub(crate) const DATA: u8 = 0;
/// The connection is closed.
pub(crate) const END: u8 = 1;
/// About a second has passed.
pub(crate) const TICK: u8 = 2;
/// No records follow.
pub(crate) const FLUSH: u8 = 3;

/// The directions.
pub(crate) const SENT: u8 = 1;

/// The roles of the local end.
pub(crate) const UNKNOWN: u8 = 0;
pub(crate) const CLIENT: u8 = 1;
pub(crate) const SERVER: u8 = 2;

/// Plaintext of a TLS library.
pub(crate) const TLS: u8 = 1;
/// The other end is on this node and is seen as well.
pub(crate) const PEER_LOCAL: u8 = 4;

/// There are earlier bytes of this direction before the record.
pub(crate) const LATER: u8 = 8;

/// UDP's number among the transports.
pub(crate) const UDP: u8 = 17;

/// The record that a trunk carries: `struct l7_record` of bpf/l7/record.h.
pub const TRUNK_RECORD: &str = "l7_record";

/// The offsets of the members that the router reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    size: usize,
    time: usize,
    connection: usize,
    sequence: usize,
    total: usize,
    family: usize,
    local_port: usize,
    remote_port: usize,
    kind: usize,
    direction: usize,
    pub(crate) role: usize,
    transport: usize,
    pub(crate) flags: usize,
    local_address: usize,
    remote_address: usize,
}

/// The members of every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) time_ns: u64,
    pub(crate) connection: u64,
    pub(crate) total: u32,
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
    pub(crate) kind: u8,
    pub(crate) direction: u8,
    pub(crate) role: u8,
    pub(crate) transport: u8,
    pub(crate) flags: u8,
}

/// The key of a conversation: plaintext and ciphertext of one connection have two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) connection: u64,
    pub(crate) tls: bool,
}

/// One end of a connection: address and port, as bytes that can be compared.
type End = [u8; 18];

// === impl Shape ===

impl Shape {
    /// Finds the offsets by the names of the members.
    pub(crate) fn of(layout: &Layout) -> Result<Self, RouteError> {
        if layout.name != TRUNK_RECORD {
            return Err(RouteError::Record { found: layout.name.clone(), expected: TRUNK_RECORD });
        }
        let at = |name: &'static str, size: u32| {
            let member = layout.members.iter().find(|member| member.name == name && member.size == size);
            let offset = member.filter(|member| member.offset + size <= layout.size).map(|member| member.offset as usize);
            offset.ok_or(RouteError::Member { name, size })
        };
        let shape = Self {
            size: layout.size as usize,
            time: at("time_ns", 8)?,
            connection: at("connection", 8)?,
            sequence: at("sequence", 4)?,
            total: at("total", 4)?,
            family: at("family", 2)?,
            local_port: at("local_port", 2)?,
            remote_port: at("remote_port", 2)?,
            kind: at("kind", 1)?,
            direction: at("direction", 1)?,
            role: at("role", 1)?,
            transport: at("transport", 1)?,
            flags: at("flags", 1)?,
            local_address: at("local_address", 16)?,
            remote_address: at("remote_address", 16)?,
        };
        if at("payload", 0)? != shape.size {
            return Err(RouteError::Member { name: "payload", size: 0 });
        }
        Ok(shape)
    }

    /// Returns the members of a record; None if it is too short.
    pub(crate) fn head(&self, record: &[u8]) -> Option<Head> {
        if record.len() < self.size {
            return None;
        }
        let byte = |at: usize| record.get(at).copied().unwrap_or(0);
        Some(Head {
            time_ns: u64::from_le_bytes(array(record, self.time)),
            connection: u64::from_le_bytes(array(record, self.connection)),
            total: u32::from_le_bytes(array(record, self.total)),
            local_port: u16::from_le_bytes(array(record, self.local_port)),
            remote_port: u16::from_le_bytes(array(record, self.remote_port)),
            kind: byte(self.kind),
            direction: byte(self.direction),
            role: byte(self.role),
            transport: byte(self.transport),
            flags: byte(self.flags),
        })
    }

    /// Returns the captured bytes.
    pub(crate) fn payload<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        record.get(self.size..).unwrap_or_default()
    }

    /// Returns both ends, the local one first; None if the record has no addresses.
    pub(crate) fn ends(&self, record: &[u8]) -> Option<(End, End)> {
        if u16::from_le_bytes(array(record, self.family)) == 0 {
            return None;
        }
        let end = |address: usize, port: usize| {
            let mut end = [0; 18];
            let (left, right) = end.split_at_mut(16);
            left.copy_from_slice(&array::<16>(record, address));
            right.copy_from_slice(&array::<2>(record, port));
            end
        };
        Some((end(self.local_address, self.local_port), end(self.remote_address, self.remote_port)))
    }

    /// Returns the conversation of a record; None for a note.
    pub(crate) fn key(&self, record: &[u8]) -> Option<Key> {
        let kind = record.get(self.kind).filter(|_| record.len() >= self.size)?;
        let tls = record.get(self.flags)? & TLS != 0;
        matches!(*kind, DATA | END).then(|| Key { connection: u64::from_le_bytes(array(record, self.connection)), tls })
    }

    /// Returns the record of a call without its first `bytes`; None if nothing remains.
    pub(crate) fn behind(&self, record: &[u8], bytes: u32) -> Option<Vec<u8>> {
        let total = u32::from_le_bytes(array(record, self.total));
        let left = total.checked_sub(bytes).filter(|left| *left > 0)?;
        let sequence = u32::from_le_bytes(array(record, self.sequence)).wrapping_add(bytes);
        let mut rest = record.get(..self.size)?.to_vec();
        rest.get_mut(self.total..self.total + 4)?.copy_from_slice(&left.to_le_bytes());
        rest.get_mut(self.sequence..self.sequence + 4)?.copy_from_slice(&sequence.to_le_bytes());
        rest.extend_from_slice(self.payload(record).get(bytes as usize..).unwrap_or_default());
        Some(rest)
    }

    /// Whether two records are equal, except for the members that the router writes.
    pub(crate) fn same(&self, one: &[u8], other: &[u8]) -> bool {
        let written = |at: &usize| *at == self.role || *at == self.flags;
        let is_same = |(at, (one, other)): (usize, (&u8, &u8))| one == other || written(&at);
        one.len() == other.len() && one.iter().zip(other).enumerate().all(is_same)
    }

    /// Returns a record that the router itself writes.
    pub(crate) fn note(&self, kind: u8, time_ns: u64) -> Vec<u8> {
        let mut record = vec![0; self.size];
        if let Some(time) = record.get_mut(self.time..self.time + 8) {
            time.copy_from_slice(&time_ns.to_le_bytes());
        }
        if let Some(place) = record.get_mut(self.kind) {
            *place = kind;
        }
        record
    }
}

// === impl Head ===

impl Head {
    /// Whether this is plaintext of a TLS library: a conversation of its own.
    pub(crate) const fn tls(&self) -> bool {
        self.flags & TLS != 0
    }

    /// Returns the port of the server, if it is known which end that is.
    pub(crate) const fn server_port(&self, role: u8) -> Option<u16> {
        match role {
            CLIENT => Some(self.remote_port),
            SERVER => Some(self.local_port),
            _ => None,
        }
    }

    /// Returns the port of the server or a guess: ports of clients are drawn from the upper half.
    pub(crate) fn likely_server_port(&self, role: u8) -> u16 {
        self.server_port(role).unwrap_or_else(|| self.local_port.min(self.remote_port))
    }
}

/// Iterates over the records of a run that are not discarded, each with the position of its bytes.
pub(crate) fn walk(run: Run<'_>) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let (header, _) = run.bytes.get(at..)?.split_first_chunk::<4>()?;
            let header = u32::from_le_bytes(*header);
            let place = at + HEADER;
            let record = run.bytes.get(place..place + payload_len(header))?;
            at += slot_len(header);
            if header & DISCARDED == 0 {
                return Some((place, record));
            }
        }
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

#[cfg(test)]
pub(crate) mod tests {
    use host_model::{Member, MemberKind};

    use super::*;

    /// `struct l7_record` of bpf/l7/record.h.
    pub(crate) fn layout() -> Layout {
        let members = [
            ("time_ns", 0, 8),
            ("connection", 8, 8),
            ("cgroup_id", 16, 8),
            ("sequence", 24, 4),
            ("total", 28, 4),
            ("pid", 32, 4),
            ("uid", 36, 4),
            ("family", 40, 2),
            ("local_port", 42, 2),
            ("remote_port", 44, 2),
            ("kind", 46, 1),
            ("direction", 47, 1),
            ("role", 48, 1),
            ("transport", 49, 1),
            ("flags", 50, 1),
            ("local_address", 56, 16),
            ("remote_address", 72, 16),
            ("comm", 88, 16),
            ("payload", 104, 0),
        ];
        let member = |&(name, offset, size): &(&str, u32, u32)| Member {
            name: name.into(),
            offset,
            size,
            kind: if size > 8 || size == 0 { MemberKind::Bytes } else { MemberKind::Unsigned },
        };
        Layout { name: TRUNK_RECORD.into(), size: 104, members: members.iter().map(member).collect() }
    }

    #[test]
    fn a_layout_without_a_member_is_refused_by_the_members_name() {
        assert!(Shape::of(&layout()).is_ok());
        let mut without = layout();
        without.members.retain(|member| member.name != "role");
        assert!(matches!(Shape::of(&without), Err(RouteError::Member { name: "role", size: 1 })));
        let mut wide = layout();
        wide.members.iter_mut().filter(|member| member.name == "total").for_each(|member| member.size = 8);
        assert!(matches!(Shape::of(&wide), Err(RouteError::Member { name: "total", .. })));
        let other = Layout { name: "file_record".into(), ..layout() };
        assert!(matches!(Shape::of(&other), Err(RouteError::Record { found, .. }) if found == "file_record"));
    }

    #[test]
    fn a_record_that_ends_early_says_nothing() {
        let shape = Shape::of(&layout()).unwrap();
        assert_eq!(shape.head(&[0; 103]), None);
        let note = shape.note(TICK, 7);
        let head = shape.head(&note).unwrap();
        assert_eq!((head.kind, head.time_ns, head.connection), (TICK, 7, 0));
        assert_eq!(shape.ends(&note), None, "no family, no addresses");
    }
}
