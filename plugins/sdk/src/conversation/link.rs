//! The two ends of a connection, which every row of it has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::record::{CLIENT, IPV4, IPV6, L7Record, PEER_LOCAL, SENT, SERVER, TLS, UDP};
use super::{Kind, Sender, Service, Transport};
use crate::hash::mix;

/// A connection, and the end of it that the records are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub client: End,
    pub server: End,
    pub kind: Kind,
    pub transport: Transport,
    pub is_tls: bool,
    /// Whether the other end is on this node, and its records are captured as well.
    pub is_peer_local: bool,
    /// Thread group of the last call.
    pub pid: u32,
    /// Its name.
    pub comm: [u8; 16],
    /// Its cgroup.
    pub cgroup: u64,
    /// The hash of both ends; 0 if one has no address.
    tuple: u64,
}

/// One end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub address: Option<IpAddr>,
    pub port: u16,
}

// === impl Link ===

impl Link {
    /// The connection of this record.
    pub(crate) fn new(record: L7Record<'_>) -> Self {
        let local = End::new(record.family(), record.local_address(), record.local_port());
        let remote = End::new(record.family(), record.remote_address(), record.remote_port());
        let is_server = match record.role() {
            SERVER => true,
            CLIENT => false,
            // Not known: ports of clients are mostly the higher ones.
            _ => local.port < remote.port,
        };
        let (client, server) = if is_server { (remote, local) } else { (local, remote) };
        let transport = if record.transport() == UDP { Transport::Udp } else { Transport::Tcp };
        Self {
            client,
            server,
            kind: if is_server { Kind::Server } else { Kind::Client },
            transport,
            is_tls: record.flags() & TLS != 0,
            is_peer_local: record.flags() & PEER_LOCAL != 0,
            pid: record.pid(),
            comm: *record.comm(),
            cgroup: record.cgroup_id(),
            tuple: tuple(client, server, transport),
        }
    }

    /// Updates it from a later record; returns whether it changed.
    #[inline]
    pub(crate) fn renew(&mut self, record: L7Record<'_>) -> bool {
        let is_peer_local = self.is_peer_local || record.flags() & PEER_LOCAL != 0;
        if self.pid == record.pid() && self.is_peer_local == is_peer_local {
            return false;
        }
        self.is_peer_local = is_peer_local;
        self.pid = record.pid();
        self.comm = *record.comm();
        self.cgroup = record.cgroup_id();
        true
    }

    /// Returns the service: the server's end, and its cgroup if it is on this node, because two containers may have the same address.
    pub(crate) fn service(&self) -> Service {
        let end = self.server.hash(u64::from(self.server.port)).unwrap_or(u64::from(self.server.port));
        Service(if self.kind == Kind::Server { mix(end, self.cgroup) } else { end })
    }

    /// Returns the end that sent the bytes of a record.
    #[inline]
    pub(crate) fn sender(&self, record: L7Record<'_>) -> Sender {
        match (self.kind, record.direction() == SENT) {
            (Kind::Server, true) | (Kind::Client, false) => Sender::Server,
            _ => Sender::Client,
        }
    }

    /// Returns the number that a request has at both ends; 0 if it has none. `sequence` is its beginning.
    #[inline]
    pub(crate) fn correlation(&self, sequence: u32) -> u64 {
        let is_due = self.kind == Kind::Client || self.is_peer_local;
        // Datagrams have no position in a stream; a protocol may give them a number of its own.
        let is_told_apart = self.transport == Transport::Tcp || sequence != 0;
        if is_due && is_told_apart && self.tuple != 0 { mix(self.tuple, u64::from(sequence)).max(1) } else { 0 }
    }
}

// === impl End ===

impl End {
    fn new(family: u16, address: &[u8; 16], port: u16) -> Self {
        let address = match (family, address) {
            (_, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) => None,
            (IPV4, &[a, b, c, d, ..]) => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
            // A socket of both families has IPv4 peers in this form, and the peer itself does not.
            (IPV6, &address) => Some(Ipv6Addr::from(address).to_canonical()),
            _ => None,
        };
        Self { address, port }
    }

    fn hash(self, seed: u64) -> Option<u64> {
        let bits = match self.address? {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let hash = mix(mix(seed, bits as u64), (bits >> 64) as u64);
        Some(mix(hash, u64::from(self.port)))
    }
}

/// Returns a number for the other end's address, as in this record; 0 if it has none.
pub(crate) fn peer(record: L7Record<'_>) -> u64 {
    End::new(record.family(), record.remote_address(), record.remote_port()).hash(1).map_or(0, |hash| hash.max(1))
}

/// Returns a number that is the same at both ends of a connection, in every version; 0 if an end has no address.
fn tuple(client: End, server: End, transport: Transport) -> u64 {
    client.hash(transport as u64).and_then(|hash| server.hash(hash)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Link;
    use crate::conversation::record::L7Record;
    use crate::testing::Talk;

    fn links(talk: Talk) -> Vec<Link> {
        talk.client(b"x").records().iter().map(|record| Link::new(L7Record::new(record).unwrap())).collect()
    }

    #[test]
    fn both_ends_of_a_connection_agree_on_the_number_of_a_request() {
        for (client, server) in [("10.0.0.7:40000", "10.0.0.1:80"), ("[fd00::7]:40000", "[fd00::1]:80")] {
            let talk = Talk::between(client, server);
            let (server, client) = (links(talk.clone().peer_local())[0], links(talk.at_client())[0]);
            assert_eq!(server.correlation(77), client.correlation(77));
            assert_ne!(server.correlation(77), server.correlation(78));
        }
    }

    #[test]
    fn an_ipv4_peer_of_an_ipv6_socket_is_the_same_peer() {
        let mapped = links(Talk::between("[::ffff:10.0.0.7]:40000", "[::ffff:10.0.0.1]:80").peer_local())[0];
        let plain = links(Talk::between("10.0.0.7:40000", "10.0.0.1:80").at_client())[0];
        assert_eq!(mapped.correlation(1), plain.correlation(1));
    }

    #[test]
    fn a_server_whose_peer_is_elsewhere_has_no_correlation_and_neither_has_a_datagram() {
        assert_eq!(links(Talk::tcp("10.0.0.7:40000", 80))[0].correlation(1), 0);
        let datagram = links(Talk::udp("10.0.0.7:40000", 53).at_client())[0];
        assert_eq!(datagram.correlation(0), 0);
        assert_ne!(datagram.correlation(4711), 0, "unless its protocol numbers it");
    }
}
