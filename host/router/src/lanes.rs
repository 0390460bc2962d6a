//! The lanes, and the descriptions of their decoders: the lane of a port and of first bytes, and the order in which decoders are asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use host_model::{Description, Recogniser, Sender, Transport};

use crate::allowance::Allowance;
use crate::error::RouteError;
use crate::inbox::{Inbox, Ticket};
use crate::lane::{Lane, Leaving, Outlet, lane};
use crate::record::{CLIENT, Head, SENT, SERVER, Shape, UDP, UNKNOWN};

/// Maximum number of lanes: each has a bit.
pub(crate) const MOST: usize = 64;

/// A lane and its decoder.
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    pub(crate) outlet: Outlet,
    pub(crate) recogniser: Box<dyn Recogniser>,
    /// Number of connections that are routed here.
    pub(crate) connections: u64,
    /// Whether records were delivered since the last tick.
    pub(crate) touched: bool,
    /// Whether a conversation was stopped without the reader knowing yet.
    pub(crate) is_stopping: bool,
    /// The allowance for asking its decoder.
    pub(crate) allowance: Allowance,
    pub(crate) ticket: Ticket,
}

/// All lanes. The number of a lane that ended is reused.
pub(crate) struct Lanes {
    entries: Vec<Option<Entry>>,
    /// Ports and the protocols that they are pinned to.
    pins: BTreeMap<u16, String>,
    trunk: Arc<str>,
    pub(crate) inbox: Arc<Inbox>,
    shape: Shape,
    serial: u32,
}

/// The lanes whose signatures match.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    /// The lane of a certain signature, and who sent what matched.
    pub(crate) certain: Option<(usize, Option<Sender>)>,
    /// The lanes of uncertain signatures, as bits.
    pub(crate) likely: u64,
}

// === impl Lanes ===

impl Lanes {
    pub(crate) fn new(trunk: Arc<str>, pins: BTreeMap<u16, String>, shape: Shape, inbox: Arc<Inbox>) -> Self {
        Self { entries: Vec::new(), pins, trunk, inbox, shape, serial: 0 }
    }

    /// A new lane for the protocol of this recogniser.
    pub(crate) fn enlist(&mut self, recogniser: Box<dyn Recogniser>) -> Result<Lane, RouteError> {
        let name: Arc<str> = recogniser.description().name.as_str().into();
        if self.find(&name).is_some() {
            return Err(RouteError::Twice(name.to_string()));
        }
        let free = self.entries.iter().position(Option::is_none);
        let index = free.unwrap_or(self.entries.len());
        if index >= MOST {
            return Err(RouteError::TooMany { max: MOST });
        }
        self.serial += 1;
        let ticket = Ticket { lane: index, serial: self.serial };
        let leaving = Leaving::new(ticket, self.shape, Arc::clone(&self.inbox));
        let (outlet, lane) = lane(Arc::clone(&name), Arc::clone(&self.trunk), leaving);
        let allowance = Allowance::new(Instant::now());
        let entry = Entry { name, outlet, recogniser, connections: 0, touched: false, is_stopping: false, allowance, ticket };
        match self.entries.get_mut(index) {
            Some(place) => *place = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        Ok(lane)
    }

    /// Takes a lane out.
    pub(crate) fn take(&mut self, index: usize) -> Option<Entry> {
        self.entries.get_mut(index)?.take()
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.as_ref().is_some_and(|entry| *entry.name == *name))
    }

    pub(crate) fn at(&mut self, index: usize) -> Option<&mut Entry> {
        self.entries.get_mut(index)?.as_mut()
    }

    /// Returns the existing lanes with their numbers.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Entry)> {
        self.entries.iter_mut().enumerate().filter_map(|(index, entry)| Some((index, entry.as_mut()?)))
    }

    /// Returns one more than the last number.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the lane that a port is pinned to; never one of `not`.
    pub(crate) fn pinned(&self, head: &Head, role: u8, not: u64) -> Option<usize> {
        if self.pins.is_empty() {
            return None;
        }
        let pinned = |port: u16| self.pins.get(&port).and_then(|name| self.find(name)).filter(|lane| not & bit(*lane) == 0);
        match head.server_port(role) {
            Some(port) => pinned(port),
            None => pinned(head.local_port).or_else(|| pinned(head.remote_port)),
        }
    }

    /// Returns the lanes whose signatures match these first bytes. Of several certain ones the lane whose usual port it is, else the first.
    pub(crate) fn matching(&self, head: &Head, role: u8, payloads: [&[u8]; 2], not: u64) -> Match {
        let mut found = Match::default();
        let mut at_home = false;
        for (lane, description) in self.described().filter(|(lane, _)| not & bit(*lane) == 0) {
            for signature in &description.signatures {
                if !payloads.iter().any(|payload| signature.matches(payload)) || !suits(signature, head, role) {
                    continue;
                }
                if !signature.certain {
                    found.likely |= bit(lane);
                    continue;
                }
                let home = usual(description, head, role);
                if found.certain.is_none() || (home && !at_home) {
                    let sender = (signature.sender != Sender::Either).then_some(signature.sender);
                    found.certain = Some((lane, sender));
                    at_home = home;
                }
                break;
            }
        }
        found
    }

    /// Returns the lane to ask next about a connection: first those whose signatures match, then those whose usual port it is, then the
    /// rest. Never one of `not`.
    pub(crate) fn candidate(&self, head: &Head, role: u8, likely: u64, not: u64) -> Option<usize> {
        let rank = |lane: usize, description: &Description| match () {
            () if likely & bit(lane) != 0 => 0,
            () if usual(description, head, role) => 1,
            () => 2,
        };
        let left = self.described().filter(|(lane, _)| not & bit(*lane) == 0);
        left.min_by_key(|(lane, description)| (rank(*lane, description), *lane)).map(|(lane, _)| lane)
    }

    /// Returns the lane of a ticket, if it still exists.
    pub(crate) fn of(&mut self, ticket: Ticket) -> Option<&mut Entry> {
        self.at(ticket.lane).filter(|entry| entry.ticket == ticket)
    }

    /// Returns the lanes whose decoders must not be asked for a while, as bits.
    pub(crate) fn resting(&mut self, now: Instant) -> u64 {
        let resting = self.iter_mut().filter_map(|(lane, entry)| (!entry.allowance.lets(now)).then_some(bit(lane)));
        resting.fold(0, |all, one| all | one)
    }

    fn described(&self) -> impl Iterator<Item = (usize, &Description)> {
        self.entries.iter().enumerate().filter_map(|(lane, entry)| Some((lane, entry.as_ref()?.recogniser.description())))
    }
}

/// The sender of a record.
pub(crate) const fn sender(role: u8, direction: u8) -> Sender {
    match (role, direction == SENT) {
        (UNKNOWN, _) => Sender::Either,
        (SERVER, true) | (CLIENT, false) => Sender::Server,
        _ => Sender::Client,
    }
}

/// The bit of a lane.
pub(crate) const fn bit(lane: usize) -> u64 {
    if lane < MOST { 1 << lane } else { 0 }
}

/// Whether a signature may be searched for in this record.
fn suits(signature: &host_model::Signature, head: &Head, role: u8) -> bool {
    let carried = match signature.transport {
        Transport::Either => true,
        Transport::Udp => head.transport == UDP,
        Transport::Tcp => head.transport != UDP,
    };
    let from = sender(role, head.direction);
    let sent = signature.sender == Sender::Either || from == Sender::Either || from == signature.sender;
    carried && sent && (signature.port == 0 || at_port(head, role, |port| port == signature.port))
}

/// Whether the connection is on a usual port of this protocol.
fn usual(description: &Description, head: &Head, role: u8) -> bool {
    at_port(head, role, |port| description.ports.contains(&port))
}

fn at_port(head: &Head, role: u8, is: impl Fn(u16) -> bool) -> bool {
    match head.server_port(role) {
        Some(port) => is(port),
        None => is(head.local_port) || is(head.remote_port),
    }
}
