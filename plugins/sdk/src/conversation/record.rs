//! The records of probe `l7`: `struct l7_record` of `bpf/l7/record.h`.

use crate::record::{Bytes, Chars, Tail};

/// `L7_DATA`
pub const DATA: u8 = 0;
/// `L7_END`
pub const END: u8 = 1;
/// `L7_TICK`
pub const TICK: u8 = 2;
/// `L7_FLUSH`
pub const FLUSH: u8 = 3;

/// `L7_SENT`
pub const SENT: u8 = 1;

/// `L7_ROLE_CLIENT`
pub const CLIENT: u8 = 1;
/// `L7_ROLE_SERVER`
pub const SERVER: u8 = 2;

/// `L7_TLS`
pub const TLS: u8 = 1;
/// `L7_NO_PAYLOAD`
pub const NO_PAYLOAD: u8 = 2;
/// `L7_PEER_LOCAL`
pub const PEER_LOCAL: u8 = 4;
/// `L7_LATER`
pub const LATER: u8 = 8;

/// `AF_INET`
pub const IPV4: u16 = 2;
/// `AF_INET6`
pub const IPV6: u16 = 10;

/// `IPPROTO_UDP`
pub const UDP: u8 = 17;

crate::record! {
    /// One call that moved bytes, or the end of a connection.
    pub struct L7Record = "l7_record" {
        /// CLOCK_MONOTONIC when the call returned.
        time_ns: u64,
        /// The same in all records of one socket, never that of another.
        connection: u64,
        /// cgroup v2 of the process.
        cgroup_id: u64,
        /// TCP: sequence number of the first byte, the same at both ends; TLS: place in the plaintext; UDP: 0.
        sequence: u32,
        /// Bytes of the call; the payload is the first of them.
        total: u32,
        /// Thread group that made the call.
        pid: u32,
        /// Its user.
        uid: u32,
        /// [`IPV4`] or [`IPV6`].
        family: u16,
        /// In host order.
        local_port: u16,
        /// In host order.
        remote_port: u16,
        /// [`DATA`], [`END`], [`TICK`] or [`FLUSH`].
        kind: u8,
        /// [`SENT`], or 0 for received.
        direction: u8,
        /// [`CLIENT`], [`SERVER`], or 0 where nobody knows.
        role: u8,
        /// 6 for TCP, [`UDP`].
        transport: u8,
        /// [`TLS`], [`NO_PAYLOAD`], [`PEER_LOCAL`], [`LATER`].
        flags: u8,
        /// Nothing.
        spare: u8,
        /// TCP, received by what may be a client: sequence number behind all that this end had sent by then; 0: it had sent nothing.
        opposite: u32,
        /// IPv4 in the first 4 bytes.
        local_address: Bytes<16>,
        /// IPv4 in the first 4 bytes.
        remote_address: Bytes<16>,
        /// Name of the process: of its first thread.
        comm: Chars<16>,
        /// The first bytes of the call.
        payload: Tail,
    }
}

#[cfg(test)]
mod tests {
    use super::L7Record;
    use crate::record::Record;
    use crate::testing::header_layout;

    #[test]
    fn the_record_is_the_one_that_the_probe_writes() {
        let header = include_str!("../../../../bpf/l7/record.h");
        assert_eq!(<L7Record<'static> as Record>::layout(), header_layout(header, "l7_record"));
    }
}
