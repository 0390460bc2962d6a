/* Payload of TCP and UDP sockets: one record for each call that moved bytes, and one when a connection ends.
 *
 * The hooks are called for socket calls only, after they succeeded or failed, with the socket. The bytes are read from the addresses in
 * the arguments of the task's system call, so no state has to be kept from its entry. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#define RING_BYTES (16 << 20) /* 20 ms of 2 million records a second */
#include "ring.h"
#include "filter.h"
#include "record.h"
#include "l7.bpf.h"
#include "head.bpf.h"
#include "call.bpf.h"
#include "tls.bpf.h"

char LICENSE[] SEC("license") = "GPL";

RING_RECORD(l7_record);

#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define PF_IO_WORKER 0x10
#define PF_KTHREAD 0x200000
#define SOCK_DONE 1 /* bit of sk_flags: the peer's FIN was received */
#define SHUTDOWN_MASK 3
#define TLS_HEAD 8 /* number of bytes that suffice to recognise the start of TLS */

enum tcp_state {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_CLOSE = 7,
};

/* === sockets === */

static __always_inline bool port_passes(__u16 local, __u16 remote)
{
	if (!l7_ports.count)
		return true;
	for (__u32 i = 0; i < L7_PORTS_MAX; i++) {
		if (i >= l7_ports.count)
			break;
		if (l7_ports.ports[i] == local || l7_ports.ports[i] == remote)
			return true;
	}
	return false;
}

static __always_inline void name(struct l7_socket *socket, struct sock *sk)
{
	/* A socket that is connected again keeps its cookie; the generation makes the id unique. */
	socket->identity.connection = bpf_get_socket_cookie(sk) + ((__u64)socket->generation << 48);
}

/* Sets the identity of a socket at its first call. */
static __noinline int meet(struct l7_socket *socket, struct sock *sk, __u8 direction)
{
	struct l7_identity *identity;

	if (!socket || !sk)
		return 0;
	identity = &socket->identity;
	name(socket, sk);
	l7_read_identity(identity, sk);
	socket->marks |= L7_KNOWN;
	if (identity->transport == IPPROTO_UDP)
		identity->role = direction == L7_SENT || identity->remote_port ? L7_ROLE_CLIENT : L7_ROLE_SERVER;
	else if (!port_passes(identity->local_port, identity->remote_port))
		socket->marks |= L7_UNWANTED;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock))
		socket->marks |= L7_UNWANTED;
	return 0;
}

/* Whether everything before the FIN has been read; the FIN itself counts as a byte. */
static __always_inline bool is_drained(struct tcp_sock *tcp)
{
	bool fin_received = tcp->inet_conn.icsk_inet.sk.__sk_common.skc_flags & (1 << SOCK_DONE);

	return tcp->copied_seq == tcp->rcv_nxt || (fin_received && tcp->copied_seq + 1 == tcp->rcv_nxt);
}

/* Returns the sequence number of the first of `bytes` that were just moved. */
static __always_inline __u32 sequence(struct sock *sk, __u8 direction, __u32 bytes)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	bool fin_read;

	if (!tcp)
		return 0;
	if (direction == L7_SENT)
		return tcp->write_seq - bytes;
	fin_read = tcp->copied_seq == tcp->rcv_nxt && sk->__sk_common.skc_flags & (1 << SOCK_DONE);
	return tcp->copied_seq - fin_read - bytes;
}

/* Returns the position of the other direction when bytes are received. On a fast path (loopback) one thread can read the response before
 * the call of another, which sent the request, has returned and was traced: this shows it. Servers read a request before they respond. */
static __always_inline __u32 opposite(struct sock *sk, __u8 role)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	return tcp && tcp->bytes_sent && role != L7_ROLE_SERVER ? tcp->write_seq : 0;
}

static __always_inline void remember(struct l7_socket *socket, const struct l7_record *record)
{
	socket->marks |= L7_SPOKEN;
	if (socket->pid == record->pid)
		return;
	socket->pid = record->pid;
	socket->uid = record->uid;
	socket->cgroup_id = record->cgroup_id;
	__builtin_memcpy(socket->comm, record->comm, sizeof(socket->comm));
}

static __noinline int write_end(struct l7_socket *socket, __u8 flags)
{
	struct l7_record record;

	record.time_ns = bpf_ktime_get_ns();
	record.cgroup_id = socket->cgroup_id;
	record.sequence = 0;
	record.total = 0;
	record.pid = socket->pid;
	record.uid = socket->uid;
	l7_identify(&record, &socket->identity);
	record.kind = L7_END;
	record.flags = flags;
	__builtin_memcpy(record.comm, socket->comm, sizeof(record.comm));
	ring_output(&record, sizeof(record));
	return 0;
}

static __always_inline void end(struct l7_socket *socket)
{
	if (socket->marks & L7_SPOKEN && socket->opinion.verdict != L7_IGNORE)
		write_end(socket, 0);
	if (socket->marks & L7_CLEAR)
		write_end(socket, L7_TLS);
	socket->marks &= ~(L7_SPOKEN | L7_CLEAR | L7_ENDING);
}

/* === calls === */

/* Whether a call begins with the header of a TLS record, which may be all that was read. For the first call of a connection three bytes
 * suffice; later ones (STARTTLS, connections older than the probe) need a plausible length, and a hello or a whole header. */
static __always_inline bool begins_tls(const __u8 *bytes, int there, __u32 total, bool first)
{
	__u16 length = bytes[3] << 8 | bytes[4];

	if (there < 3 || bytes[1] != 3 || bytes[2] > 4)
		return false;
	if (first && bytes[0] == 0x16)
		return true;
	if (there < 5 || length < 16 || length > (1 << 14) + 2048)
		return false;
	if (total == 5)
		return bytes[0] >= 0x14 && bytes[0] <= 0x17;
	return bytes[0] == 0x16 && there > 5 && (bytes[5] == 1 || bytes[5] == 2);
}

/* Reads the destination address of a datagram whose socket is not connected. */
static __noinline int read_name(struct l7_record *record, const void *name)
{
	struct {
		__u16 family;
		__be16 port;
		__be32 v4; /* of IPv6: the flow */
		__be32 v6[4];
	} address = {};

	/* An IPv4 address is 16 bytes long; the bytes after it are not used. */
	if (bpf_probe_read_user(&address, sizeof(address), name) && bpf_probe_read_user(&address, 16, name)) {
		ring_count(faults);
		return 0;
	}
	record->remote_port = bpf_ntohs(address.port);
	__builtin_memset(record->remote_address, 0, sizeof(record->remote_address));
	if (address.family == AF_INET6 && !l7_is_mapped(address.v6)) {
		record->family = AF_INET6;
		__builtin_memcpy(record->remote_address, address.v6, sizeof(address.v6));
		return 0;
	}
	record->family = AF_INET;
	*(__be32 *)record->remote_address = address.family == AF_INET6 ? address.v6[3] : address.v4;
	return 0;
}

/* Sets the destination of a datagram, and returns whether its ports pass. A datagram received on a socket that is not connected has an
 * unknown source: it passes if the socket has had a record before. */
static __noinline bool complete_datagram(struct l7_record *record, const struct l7_socket *socket, const void *name)
{
	if (name && record->direction == L7_SENT)
		read_name(record, name);
	if (port_passes(record->local_port, record->remote_port))
		return true;
	return !record->remote_port && socket->marks & L7_SPOKEN;
}

static __always_inline int on_call(struct sock *sk, int ret, int flags, __u8 direction, __u32 place)
{
	__u16 family = sk->__sk_common.skc_family, protocol = sk->sk_protocol;
	struct task_struct *task = bpf_get_current_task_btf();
	bool tcp = protocol == IPPROTO_TCP;
	struct l7_scratch *scratch;
	struct l7_caller caller;
	struct l7_bytes_at at = {};
	int capture, wanted, payload;
	__u32 number = 0;
	struct l7_socket *socket;
	const void *name = 0;
	bool news;

	if ((family != AF_INET && family != AF_INET6) || (!tcp && protocol != IPPROTO_UDP))
		return 0;
	if (ret <= 0) {
		if (!tcp)
			l7_message_without_bytes(task, sk, ret);
		return 0;
	}
	if (flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB) || task->flags & PF_KTHREAD)
		return 0;
	caller = l7_caller(task, false);
	if (!l7_passes(task, false))
		goto filtered;
	socket = bpf_sk_storage_get(&l7_sockets, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!socket) {
		ring_count(untracked);
		return 0;
	}
	if (!(socket->marks & L7_KNOWN))
		meet(socket, sk, direction);
	else if (!tcp)
		l7_read_identity(&socket->identity, sk);
	if (socket->marks & L7_CIPHER) {
		tls_on_call(task, sk, socket, direction);
		if (socket->opinion.verdict != L7_RAW)
			goto filtered;
	}
	capture = socket->marks & L7_UNWANTED ? -1 : l7_capture(&socket->opinion, socket->identity.connection);
	news = tcp && !(socket->marks & L7_UNWANTED) && tls_news(socket);
	if (capture < 0 && !news) {
		socket->later[direction] = 1;
		goto filtered;
	}
	scratch = l7_owned(place);
	if (!scratch)
		return 0;
	if (tcp)
		number = sequence(sk, direction, ret);
	l7_fill(&scratch->record, &socket->identity, &caller, direction, tcp ? l7_later(socket, direction, number) : 0, number, ret,
		false);
	if (tcp && direction == L7_RECEIVED)
		scratch->record.opposite = opposite(sk, socket->identity.role);
	/* MSG_TRUNC discards bytes of a stream; an io_uring worker is not in a system call. */
	if (!(tcp && flags & MSG_TRUNC) && !(task->flags & PF_IO_WORKER))
		l7_locate(&at, task, sk, socket, direction, ret, &name);
	wanted = capture < 0 ? TLS_HEAD : capture;
	payload = l7_number(l7_payload(scratch, &at, wanted < ret ? wanted : ret));
	if (tcp && capture >= 0)
		payload = l7_number(l7_whole_head(scratch, &at, &socket->heads[direction], ret, payload));
	if (tcp && begins_tls((__u8 *)scratch->bytes + sizeof(struct l7_record), payload, ret, !(socket->marks & L7_CALLED)))
		socket->marks |= L7_CIPHER;
	socket->marks |= L7_CALLED;
	if (news || (tcp && socket->marks & L7_CIPHER))
		tls_on_call(task, sk, socket, direction);
	/* Without a capture the call was read only to detect TLS. */
	if (capture < 0)
		goto filtered;
	if (!tcp && !complete_datagram(&scratch->record, socket, name))
		goto filtered;
	remember(socket, &scratch->record);
	l7_write(scratch, payload);
	if (socket->marks & L7_ENDING) {
		struct tcp_sock *closed = bpf_skc_to_tcp_sock(sk);

		if (closed && is_drained(closed))
			end(socket);
	}
	return 0;
filtered:
	ring_count(filtered);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(l7_send, struct sock *sk, int ret, int flags)
{
	return on_call(sk, ret, 0, L7_SENT, L7_PLACE_SEND);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(l7_receive, struct sock *sk, int ret, int flags)
{
	return on_call(sk, ret, flags, L7_RECEIVED, L7_PLACE_RECEIVE);
}

/* === the same if those hooks do not exist: before Linux 6.3; if these do not exist either, see old.bpf.h === */

SEC("fexit/inet_sendmsg")
int BPF_PROG(fallback_send, struct socket *socket, void *message, __u64 size, int ret)
{
	return on_call(socket->sk, ret, 0, L7_SENT, L7_PLACE_SEND);
}

SEC("fexit/inet6_sendmsg")
int BPF_PROG(fallback_send6, struct socket *socket, void *message, __u64 size, int ret)
{
	return on_call(socket->sk, ret, 0, L7_SENT, L7_PLACE_SEND6);
}

SEC("fexit/inet_sendpage")
int BPF_PROG(fallback_sendpage, struct socket *socket, void *page, int offset, __u64 size, int flags, int ret)
{
	return on_call(socket->sk, ret, 0, L7_SENT, L7_PLACE_SENDPAGE);
}

SEC("fexit/inet_recvmsg")
int BPF_PROG(fallback_receive, struct socket *socket, void *message, __u64 size, int flags, int ret)
{
	return on_call(socket->sk, ret, flags, L7_RECEIVED, L7_PLACE_RECEIVE);
}

SEC("fexit/inet6_recvmsg")
int BPF_PROG(fallback_receive6, struct socket *socket, void *message, __u64 size, int flags, int ret)
{
	return on_call(socket->sk, ret, flags, L7_RECEIVED, L7_PLACE_RECEIVE6);
}

/* === connections === */

static __always_inline void begin(struct sock *sk, __u8 role)
{
	struct l7_socket *socket = bpf_sk_storage_get(&l7_sockets, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!socket) {
		ring_count(untracked);
		return;
	}
	if (socket->marks & L7_KNOWN) {
		__u16 generation = socket->generation + 1;

		__builtin_memset(socket, 0, sizeof(*socket));
		socket->generation = generation;
	}
	if (!socket->identity.role)
		socket->identity.role = role;
	name(socket, sk);
}

/* Stores the first sequence numbers of both directions; with TCP fast open perhaps those after the data of the first packets. */
static __always_inline void number(struct l7_socket *socket, struct sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	if (!tcp)
		return;
	socket->first[L7_SENT] = tcp->write_seq;
	socket->first[L7_RECEIVED] = tcp->copied_seq;
	socket->numbered = 1;
}

static __always_inline int on_state(struct sock *sk, int before, int now)
{
	struct l7_socket *socket;
	struct tcp_sock *tcp;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	switch (now) {
	case TCP_SYN_SENT:
		begin(sk, L7_ROLE_CLIENT);
		return 0;
	case TCP_SYN_RECV: /* a packet created this socket; or both ends connect at once */
		begin(sk, L7_ROLE_SERVER);
		return 0;
	case TCP_ESTABLISHED:
		socket = bpf_sk_storage_get(&l7_sockets, sk, 0, 0);
		if (socket)
			number(socket, sk);
		return 0;
	case TCP_CLOSE:
		socket = bpf_sk_storage_get(&l7_sockets, sk, 0, 0);
		if (!socket || !(socket->marks & (L7_SPOKEN | L7_CLEAR)))
			return 0;
		tcp = bpf_skc_to_tcp_sock(sk);
		/* After a reset the data received before it can still be read, unless the process has closed. */
		if (tcp && !is_drained(tcp) && (sk->sk_shutdown & SHUTDOWN_MASK) != SHUTDOWN_MASK)
			socket->marks |= L7_ENDING;
		else
			end(socket);
		return 0;
	}
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(l7_state, struct sock *sk, int oldstate, int newstate)
{
	return on_state(sk, oldstate, newstate);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(fallback_state, struct sock *sk, int oldstate, int newstate)
{
	return on_state(sk, oldstate, newstate);
}

#include "old.bpf.h"
