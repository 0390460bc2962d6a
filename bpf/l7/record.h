/* Records of probe `l7`: one per call that moved bytes through a socket (or through a TLS library), and one when a connection ends. The
 * host routes the records of one connection to one decoder; see wit/v0.1/protocol.wit. */
#pragma once

enum l7_kind {
	L7_DATA = 0,  /* bytes were sent or received */
	L7_END = 1,   /* the connection is closed; no payload */
	L7_TICK = 2,  /* written by the host about once a second, as a clock; connection 0 */
	L7_FLUSH = 3, /* written by the host at its end: no record follows; connection 0 */
};

enum l7_direction {
	L7_RECEIVED = 0,
	L7_SENT = 1,
};

enum l7_role {
	L7_ROLE_UNKNOWN = 0, /* the connection is older than the probe; the host sets the role before a decoder sees the record */
	L7_ROLE_CLIENT = 1,
	L7_ROLE_SERVER = 2,
};

enum l7_flags {
	L7_TLS = 1,	   /* plaintext of a TLS library, encrypted on the wire */
	L7_NO_PAYLOAD = 2, /* the bytes could not be read: sendfile, io_uring, MSG_TRUNC, a page not in memory */
	L7_PEER_LOCAL = 4, /* set by the host: the other end of the connection is on this node and traced as well */
	L7_LATER = 8,	   /* not the first bytes of its direction; never set where the connection is older than the probe */
};

struct l7_record {
	__u64 time_ns;	  /* CLOCK_MONOTONIC when the call returned */
	__u64 connection; /* id, the same in all records of one socket and unique to it */
	__u64 cgroup_id;
	__u32 sequence;	  /* TCP: sequence number of the first byte mod 2^32, the same at both ends; TLS: offset in the plaintext; UDP: 0 */
	__u32 total;	  /* bytes of the call, of which the payload has the first */
	__u32 pid;	  /* thread group that made the call */
	__u32 uid;
	__u16 family;	  /* AF_INET or AF_INET6 */
	__u16 local_port;
	__u16 remote_port;
	__u8 kind;	  /* enum l7_kind */
	__u8 direction;	  /* enum l7_direction */
	__u8 role;	  /* of the local end: enum l7_role */
	__u8 transport;	  /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 flags;	  /* enum l7_flags */
	__u8 spare;
	__u32 opposite; /* TCP, received by a possible client: sequence number after the last byte sent by this end until then; 0: none */
	__u8 local_address[16]; /* IPv4 in the first 4 bytes */
	__u8 remote_address[16];
	char comm[16];	  /* name of the process, which is that of its first thread */
	__u8 payload[];
};
