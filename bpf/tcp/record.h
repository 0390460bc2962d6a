/* Records of probe `tcp`: one per end of a TCP connection, when it closes. A connection with both ends on this node has two: one
 * client, one server. Its decoder: plugins/decoder-tcp. */
#pragma once

enum tcp_role {
	TCP_ROLE_UNKNOWN = 0, /* the connection is older than the probe */
	TCP_ROLE_CLIENT = 1,
	TCP_ROLE_SERVER = 2,
};

struct tcp_record {
	__u64 time_ns;		/* CLOCK_MONOTONIC of the first SYN; of the close if the connection is older than the probe */
	__u64 duration_ns;	/* until the close */
	__u64 cgroup_id;	/* cgroup v2 of the socket */
	__u64 threshold;	/* of the kernel plan that let it through, 0 to 2^56; 0 for none */
	__u64 bytes_sent;	/* acknowledged by the peer */
	__u64 bytes_received;
	__u32 pid;		/* thread group that connected or listened */
	__u32 uid;
	__u32 srtt_us;		/* smoothed round trip at the close, microseconds */
	__u32 retransmits;	/* segments sent again */
	__u32 connect_us;	/* from SYN to established, microseconds; 0 if it was never established */
	__s32 error;		/* errno of the socket (ECONNREFUSED, ETIMEDOUT, ECONNRESET), 0 for none */
	__u16 family;		/* AF_INET or AF_INET6 */
	__u16 local_port;
	__u16 remote_port;
	__u8 role;		/* enum tcp_role */
	__u8 last_state;	/* TCP state before the close */
	__u8 local_address[16]; /* IPv4 in the first 4 bytes */
	__u8 remote_address[16];
	char comm[16];
};
