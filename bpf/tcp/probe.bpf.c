/* TCP connections: one record for each end, when it closes. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#define RING_BYTES (2 << 20) /* 15,000 connections between two wake-ups of the reader */
#include "ring.h"
#include "filter.h"
#include "record.h"

char LICENSE[] SEC("license") = "GPL";

RING_RECORD(tcp_record);

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define SOCK_DONE 1 /* bit of sk_flags: the peer's FIN was received */
#define S_IFMT 0170000
#define S_IFSOCK 0140000

enum tcp_state {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_LISTEN,
	TCP_CLOSING,
};

/* State of a socket, freed with the socket. A listener's is cloned into each connection that it accepts, so that a server's connection
 * has its process although packets, not the process, create it. */
struct end {
	__u64 time_ns;	      /* 0 if the connection is older than the probe */
	__u64 established_ns; /* 0 if never */
	__u64 acked_before;   /* bytes_acked when established: the SYN */
	__u32 pid;	      /* 0 while unknown */
	__u32 role;
	__u64 comm[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct end);
} ends SEC(".maps");

#define PLAIN_ENDS_MAX 32768 /* maximum number of connections and listeners at the same moment; 4 MiB */

/* State by address of the socket; deleted when the socket closes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PLAIN_ENDS_MAX);
	__type(key, __u64);
	__type(value, struct end);
} plain_ends SEC(".maps");

const struct end plain_none;

/* Returns the listener of a socket that is being created: it is still a copy of the listener, so an empty list in it points there. */
static __always_inline struct sock *plain_listener(struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u64 list = (__u64)BPF_CORE_READ(tcp, tsorted_sent_queue.next);

	return (struct sock *)(list - bpf_core_field_offset(tcp->tsorted_sent_queue));
}

static __always_inline struct end *plain_end_of(struct sock *sk, __u64 flags)
{
	__u64 key = (__u64)sk;
	struct end *end = bpf_map_lookup_elem(&plain_ends, &key);

	if (end || !flags)
		return end;
	bpf_map_update_elem(&plain_ends, &key, &plain_none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&plain_ends, &key);
}

static __always_inline struct end *end_of(struct sock *sk, __u64 flags, const bool plain)
{
	struct end *end = plain ? plain_end_of(sk, flags) : bpf_sk_storage_get(&ends, sk, 0, flags);

	if (!end && flags)
		ring_count(untracked);
	return end;
}

/* Copies the listener's state to a new connection, as cloned storage does by itself. */
static __always_inline void plain_inherit(struct sock *sk)
{
	__u64 key = (__u64)sk, listener = (__u64)plain_listener(sk);
	struct end *end = bpf_map_lookup_elem(&plain_ends, &listener);

	bpf_map_update_elem(&plain_ends, &key, end ?: &plain_none, BPF_ANY);
}

static __always_inline void plain_forget(struct sock *sk)
{
	__u64 key = (__u64)sk;

	bpf_map_delete_elem(&plain_ends, &key);
}

static __always_inline void own(struct end *end)
{
	end->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(end->comm, sizeof(end->comm));
}

static __always_inline struct cgroup *cgroup_of(struct sock *sk)
{
	struct sock_cgroup_data___before_5_15 *old = (void *)&sk->sk_cgrp_data;

	if (bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
	if (bpf_core_field_exists(old->val)) {
		__u64 val = BPF_CORE_READ(old, val);

		return val & 3 ? 0 : (struct cgroup *)val;
	}
	return 0;
}

static __always_inline bool is_mapped(const __be32 *address)
{
	return !address[0] && !address[1] && address[2] == bpf_htonl(0xffff);
}

static __always_inline void read_addresses(struct tcp_record *record, struct sock *sk, const bool plain)
{
	struct in6_addr local, remote;

	__builtin_memset(record->local_address, 0, 2 * sizeof(record->local_address));
	if (KERNEL_READ(plain, sk, __sk_common.skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO(&local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&remote, sk, __sk_common.skc_v6_daddr);
		if (!is_mapped(remote.in6_u.u6_addr32)) {
			record->family = AF_INET6;
			__builtin_memcpy(record->local_address, &local, sizeof(local));
			__builtin_memcpy(record->remote_address, &remote, sizeof(remote));
			return;
		}
	}
	record->family = AF_INET;
	*(__be32 *)record->local_address = KERNEL_READ(plain, sk, __sk_common.skc_rcv_saddr);
	*(__be32 *)record->remote_address = KERNEL_READ(plain, sk, __sk_common.skc_daddr);
}

/* The kernel counts the SYN and the FIN as a byte each; they are subtracted here. */
static __always_inline void read_account(struct tcp_record *record, struct tcp_sock *tcp, __u64 acked_before, int last_state,
					 const bool plain)
{
	bool fin_sent = last_state == TCP_FIN_WAIT1 || last_state == TCP_FIN_WAIT2 || last_state == TCP_TIME_WAIT ||
			last_state == TCP_LAST_ACK || last_state == TCP_CLOSING;
	bool fin_acked = fin_sent && KERNEL_READ(plain, tcp, snd_una) == KERNEL_READ(plain, tcp, write_seq);
	bool fin_received = KERNEL_READ(plain, tcp, inet_conn.icsk_inet.sk.__sk_common.skc_flags) & (1 << SOCK_DONE);
	__u64 received = KERNEL_READ(plain, tcp, bytes_received);
	__u64 acked = KERNEL_READ(plain, tcp, bytes_acked);
	__u64 not_sent = acked_before + fin_acked;

	record->bytes_sent = acked > not_sent ? acked - not_sent : 0;
	record->bytes_received = received > fin_received ? received - fin_received : 0;
	record->srtt_us = KERNEL_READ(plain, tcp, srtt_us) >> 3;
	record->retransmits = KERNEL_READ(plain, tcp, total_retrans);
}

static __always_inline struct tcp_sock *tcp_of(struct sock *sk, const bool plain)
{
	return plain ? (struct tcp_sock *)sk : bpf_skc_to_tcp_sock(sk);
}

/* Handles the close of one end: the only place that writes a record, as only here the owner is certain. */
static __always_inline int closed(struct sock *sk, int last_state, const bool plain)
{
	struct cgroup *cgroup = cgroup_of(sk);
	struct filter_owner owner = {};
	struct tcp_record *record;
	__u64 now, time_ns, threshold;
	struct tcp_sock *tcp;
	struct end none = {};
	struct end *end;

	end = end_of(sk, 0, plain);
	if (!end)
		end = &none;
	owner.pid = end->pid;
	owner.comm[0] = end->comm[0];
	owner.comm[1] = end->comm[1];
	owner.cgroup_id = BPF_CORE_READ(cgroup, kn, id);
	now = bpf_ktime_get_ns();
	time_ns = end->time_ns ?: now;
	if (!filter_pid(owner.pid) || !filter_comm(owner.comm) || !filter_cgroup(cgroup) || !filter_draw(&owner, &threshold) ||
	    (!KERNEL_READ(plain, sk, sk_err) && !filter_duration(now - time_ns))) {
		ring_count(filtered);
		goto forget;
	}
	tcp = tcp_of(sk, plain);
	if (!tcp)
		goto forget;
	record = ring_reserve(sizeof(*record));
	if (!record)
		goto forget;
	record->time_ns = time_ns;
	record->duration_ns = now - time_ns;
	record->cgroup_id = owner.cgroup_id;
	record->threshold = threshold;
	read_account(record, tcp, end->acked_before, last_state, plain);
	record->pid = owner.pid;
	record->uid = KERNEL_READ(plain, sk, sk_uid.val);
	record->connect_us = 0;
	if (end->established_ns) {
		__u64 connect_us = (end->established_ns - end->time_ns) / 1000;

		record->connect_us = connect_us ?: 1;
	}
	record->error = KERNEL_READ(plain, sk, sk_err);
	/* skc_num is already 0 here. */
	record->local_port = bpf_ntohs(KERNEL_READ(plain, tcp, inet_conn.icsk_inet.inet_sport));
	record->remote_port = bpf_ntohs(KERNEL_READ(plain, sk, __sk_common.skc_dport));
	record->role = end->role;
	record->last_state = last_state;
	read_addresses(record, sk, plain);
	__builtin_memcpy(record->comm, owner.comm, sizeof(record->comm));
	ring_submit(record);
forget:
	/* The process may connect the same socket again. */
	if (plain)
		plain_forget(sk);
	else if (end != &none)
		__builtin_memset(end, 0, sizeof(*end));
	return 0;
}

static __always_inline int on_state(struct sock *sk, int oldstate, int newstate, const bool plain)
{
	struct end *end;

	if (KERNEL_READ(plain, sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	switch (newstate) {
	case TCP_LISTEN: /* the process listens */
		end = end_of(sk, BPF_LOCAL_STORAGE_GET_F_CREATE, plain);
		if (end) {
			__builtin_memset(end, 0, sizeof(*end));
			end->role = TCP_ROLE_SERVER;
			own(end);
		}
		return 0;
	case TCP_SYN_SENT: /* the process connects */
		end = end_of(sk, BPF_LOCAL_STORAGE_GET_F_CREATE, plain);
		if (end) {
			__builtin_memset(end, 0, sizeof(*end));
			end->role = TCP_ROLE_CLIENT;
			own(end);
			end->time_ns = bpf_ktime_get_ns();
		}
		return 0;
	case TCP_SYN_RECV: /* a packet created this socket, from the listener; or both ends connect at once */
		if (plain && oldstate == TCP_LISTEN)
			plain_inherit(sk);
		end = end_of(sk, BPF_LOCAL_STORAGE_GET_F_CREATE, plain);
		if (end && !end->time_ns) {
			end->role = TCP_ROLE_SERVER;
			end->time_ns = bpf_ktime_get_ns();
		}
		return 0;
	case TCP_ESTABLISHED:
		end = end_of(sk, 0, plain);
		if (end && end->time_ns) {
			struct tcp_sock *tcp = tcp_of(sk, plain);

			end->established_ns = bpf_ktime_get_ns();
			end->acked_before = tcp ? KERNEL_READ(plain, tcp, bytes_acked) : 0;
		}
		return 0;
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK: /* the process closes: it is the owner if no listen or connect was seen */
		end = end_of(sk, BPF_LOCAL_STORAGE_GET_F_CREATE, plain);
		if (end && !end->pid)
			own(end);
		return 0;
	case TCP_CLOSE:
		if (oldstate != TCP_CLOSE && oldstate != TCP_LISTEN)
			return closed(sk, oldstate, plain);
		if (plain)
			plain_forget(sk);
		return 0;
	}
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int oldstate, int newstate)
{
	return on_state(sk, oldstate, newstate, false);
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(plain_state, struct sock *sk, int oldstate, int newstate)
{
	return on_state(sk, oldstate, newstate, true);
}

/* === sockets that are older than the probe: once after attaching, a task that has one open is its owner === */

static __always_inline void adopt(struct end *end, struct task_struct *task, __u8 state)
{
	if (!end || end->pid)
		return;
	end->pid = task->tgid;
	BPF_CORE_READ_INTO(&end->comm, task, comm);
	if (state == TCP_LISTEN)
		end->role = TCP_ROLE_SERVER;
}

SEC("iter/task_file")
int tcp_adopt(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || sk->sk_protocol != IPPROTO_TCP || sk->__sk_common.skc_state == TCP_CLOSE)
		return 0;
	adopt(end_of(sk, BPF_LOCAL_STORAGE_GET_F_CREATE, false), task, sk->__sk_common.skc_state);
	return 0;
}

SEC("iter/task_file")
int plain_adopt(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;
	__u16 family;
	__u8 state;

	if (!task || !file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if ((family != AF_INET && family != AF_INET6) || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP || state == TCP_CLOSE)
		return 0;
	adopt(end_of(sk, BPF_LOCAL_STORAGE_GET_F_CREATE, true), task, state);
	/* The socket may have closed meanwhile. */
	if (BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_CLOSE)
		plain_forget(sk);
	return 0;
}
