//! The records of probe `tcp`: `struct tcp_record` of `bpf/tcp/record.h`.

use plugin_sdk::{Bytes, Chars};

/// `TCP_ROLE_CLIENT`
pub const CLIENT: u8 = 1;
/// `TCP_ROLE_SERVER`
pub const SERVER: u8 = 2;
/// `AF_INET`
pub const IPV4: u16 = 2;
/// `AF_INET6`
pub const IPV6: u16 = 10;

plugin_sdk::record! {
    /// One end of a connection that closed.
    pub struct TcpRecord = "tcp_record" {
        /// CLOCK_MONOTONIC of the first SYN; of the close if the connection is older than the probe.
        time_ns: u64,
        /// Until the close.
        duration_ns: u64,
        /// cgroup v2 of the socket.
        cgroup_id: u64,
        /// Of the kernel plan that let it through.
        threshold: u64,
        /// Acknowledged by the peer.
        bytes_sent: u64,
        /// Received from the peer.
        bytes_received: u64,
        /// Thread group that connected, or that listened.
        pid: u32,
        /// Its user.
        uid: u32,
        /// Smoothed round trip at the close, microseconds.
        srtt_us: u32,
        /// Segments sent again.
        retransmits: u32,
        /// From SYN to established, microseconds; 0 if it never was.
        connect_us: u32,
        /// errno of the socket, 0 for none.
        error: i32,
        /// [`IPV4`] or [`IPV6`].
        family: u16,
        /// In host order.
        local_port: u16,
        /// In host order.
        remote_port: u16,
        /// [`CLIENT`], [`SERVER`], or 0 if the connection is older than the probe.
        role: u8,
        /// TCP state before the close.
        last_state: u8,
        /// IPv4 in the first 4 bytes.
        local_address: Bytes<16>,
        /// IPv4 in the first 4 bytes.
        remote_address: Bytes<16>,
        /// Name of the thread that connected or listened.
        comm: Chars<16>,
    }
}
