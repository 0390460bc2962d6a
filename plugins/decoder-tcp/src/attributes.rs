//! The attributes of one end of a connection, and its metrics.

use plugin_sdk::{FieldUse, Sensitivity, Signal, Table, errno};

use crate::endpoint;
use crate::record::{IPV4, IPV6, TcpRecord};

/// The attributes and metrics of a row.
// Inlined into its only caller: as a separate function it makes the component half a KiB larger.
#[inline(always)]
pub(crate) fn table() -> Table<TcpRecord<'static>> {
    let table = Table::<TcpRecord<'static>>::new("tcp.connection", Signal::Span)
        .valid_if(|tcp| matches!(tcp.family(), IPV4 | IPV6))
        .u64("time", |tcp| tcp.time_ns())
        .used(FieldUse::Time)
        .u64("duration", |tcp| tcp.duration_ns())
        .unit("ns")
        .used(FieldUse::Duration)
        .label("error.type", |tcp| errno::name(tcp.error()))
        .used(FieldUse::Error)
        .u32("kind", endpoint::span_kind)
        .used(FieldUse::Kind)
        .label("tcp.role", endpoint::role_name)
        .used(FieldUse::Dimension)
        .u32("server.port", |tcp| u32::from(endpoint::server(tcp).map_or(0, |server| server.port)))
        .used(FieldUse::Dimension)
        .omit_zero()
        .u64("kernel.threshold", |tcp| tcp.threshold())
        .used(FieldUse::Threshold);
    measures(addresses(table))
        .u32("process.pid", |tcp| tcp.pid())
        .omit_zero()
        .chars("thread.name", |tcp| tcp.comm())
        .omit_zero()
        .u32("process.real_user.id", |tcp| tcp.uid())
        .u64("linux.cgroup.id", |tcp| tcp.cgroup_id())
        .omit_zero()
}

/// Adds the addresses of both ends. Addresses that may be a person's are marked as such: those of a client, and of a peer.
fn addresses(table: Table<TcpRecord<'static>>) -> Table<TcpRecord<'static>> {
    table
        .text("server.address", |tcp, text| endpoint::server(tcp).into_iter().for_each(|server| server.write(text)))
        .omit_zero()
        .text("client.address", |tcp, text| endpoint::client(tcp).into_iter().for_each(|client| client.write(text)))
        .reveals(Sensitivity::Identity)
        .omit_zero()
        .u32("client.port", |tcp| u32::from(endpoint::client(tcp).map_or(0, |client| client.port)))
        .omit_zero()
        .label("network.transport", |_| "tcp")
        .label("network.type", |tcp| if tcp.family() == IPV4 { "ipv4" } else { "ipv6" })
        .text("network.local.address", |tcp, text| endpoint::local(tcp).write(text))
        .u32("network.local.port", |tcp| u32::from(tcp.local_port()))
        .text("network.peer.address", |tcp, text| endpoint::remote(tcp).write(text))
        .reveals(Sensitivity::Identity)
        .u32("network.peer.port", |tcp| u32::from(tcp.remote_port()))
        .label("network.connection.state", |tcp| endpoint::state_name(tcp.last_state()))
        .omit_zero()
}

/// Adds the measures of the connection.
fn measures(table: Table<TcpRecord<'static>>) -> Table<TcpRecord<'static>> {
    table
        .u64("tcp.sent", |tcp| tcp.bytes_sent())
        .unit("By")
        .u64("tcp.received", |tcp| tcp.bytes_received())
        .unit("By")
        .u32("tcp.retransmits", |tcp| tcp.retransmits())
        .unit("{segment}")
        .u32("tcp.round_trip", |tcp| tcp.srtt_us())
        .unit("us")
        .omit_zero()
        .u32("tcp.connect.duration", |tcp| tcp.connect_us())
        .unit("us")
        .omit_zero()
        .histogram("tcp.connection.duration", "From the first SYN to the close.", "duration")
        .sum("tcp.sent", "Bytes that peers acknowledged.", "tcp.sent")
        .sum("tcp.received", "Bytes received.", "tcp.received")
        .sum("tcp.retransmits", "Segments sent again.", "tcp.retransmits")
}
