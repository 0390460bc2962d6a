//! The two ends of a connection, and the role of this one.

use std::fmt::Write;
use std::net::Ipv6Addr;

use plugin_sdk::Text;

use crate::record::{CLIENT, IPV4, SERVER, TcpRecord};

/// One end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoint<'a> {
    /// Port in host byte order.
    pub port: u16,
    address: &'a [u8; 16],
    is_ipv4: bool,
}

// === impl Endpoint ===

impl Endpoint<'_> {
    /// Adds the address to a row.
    pub(crate) fn write(self, text: &mut Text) {
        if self.is_ipv4 {
            let [a, b, c, d, ..] = *self.address;
            text.number(u64::from(a));
            for byte in [b, c, d] {
                text.str(".").number(u64::from(byte));
            }
        } else {
            // Writing into a column cannot fail.
            let _ = write!(text, "{}", Ipv6Addr::from(*self.address));
        }
    }
}

/// Returns this end.
pub(crate) fn local(tcp: TcpRecord<'_>) -> Endpoint<'_> {
    Endpoint { port: tcp.local_port(), address: tcp.local_address(), is_ipv4: tcp.family() == IPV4 }
}

/// Returns the other end.
pub(crate) fn remote(tcp: TcpRecord<'_>) -> Endpoint<'_> {
    Endpoint { port: tcp.remote_port(), address: tcp.remote_address(), is_ipv4: tcp.family() == IPV4 }
}

/// Returns the end that listened, if it is known.
pub(crate) fn server(tcp: TcpRecord<'_>) -> Option<Endpoint<'_>> {
    match tcp.role() {
        CLIENT => Some(remote(tcp)),
        SERVER => Some(local(tcp)),
        _ => None,
    }
}

/// Returns the end that connected, if it is known.
pub(crate) fn client(tcp: TcpRecord<'_>) -> Option<Endpoint<'_>> {
    match tcp.role() {
        CLIENT => Some(local(tcp)),
        SERVER => Some(remote(tcp)),
        _ => None,
    }
}

/// Returns the name of this end's role.
pub(crate) fn role_name(tcp: TcpRecord<'_>) -> &'static str {
    match tcp.role() {
        CLIENT => "client",
        SERVER => "server",
        _ => "unknown",
    }
}

/// Returns the OpenTelemetry span kind: client, server, or internal if the role is not known.
pub(crate) fn span_kind(tcp: TcpRecord<'_>) -> u32 {
    match tcp.role() {
        CLIENT => 3,
        SERVER => 2,
        _ => 1,
    }
}

/// Returns the name of a TCP state, as defined for `network.connection.state`.
pub(crate) fn state_name(number: u8) -> &'static str {
    match number {
        1 => "established",
        2 => "syn_sent",
        3 => "syn_received",
        4 => "fin_wait_1",
        5 => "fin_wait_2",
        6 => "time_wait",
        7 => "closed",
        8 => "close_wait",
        9 => "last_ack",
        10 => "listen",
        11 => "closing",
        _ => "",
    }
}
