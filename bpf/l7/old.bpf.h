/* The same records from the return of every system call, for kernels that have neither the hooks nor fexit: before 5.15, or before 6.3 on
 * arm64; and for those without BTF of their own. The socket is found by its descriptor, and identified by the address of its struct and
 * its network addresses instead of storage in it. These programs cost time in every system call of every task. Included by probe.bpf.c
 * at its end. */
#pragma once

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define OLD_MESSAGES_MAX 8 /* maximum of messages of a sendmmsg or recvmmsg; further ones are counted as missed */

/* State by address of the struct sock; deleted when the connection closes or another has the same address. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct l7_socket);
} fallback2_sockets SEC(".maps");

const struct l7_socket old_none;

static __always_inline struct l7_socket *old_socket(struct sock *sk, bool create)
{
	__u64 key = (__u64)sk;
	struct l7_socket *socket = bpf_map_lookup_elem(&fallback2_sockets, &key);

	if (socket || !create)
		return socket;
	bpf_map_update_elem(&fallback2_sockets, &key, &old_none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&fallback2_sockets, &key);
}

/* Creates a connection id from the time, as these programs have no cookies: no two sockets of one CPU have the same time. */
static __always_inline void old_name(struct l7_socket *socket)
{
	socket->identity.connection = (bpf_ktime_get_ns() << 8 | (bpf_get_smp_processor_id() & 255)) & ~(3ULL << 62);
}

static __always_inline struct sock *old_sock(struct task_struct *task, __u32 fd)
{
	struct file **files = BPF_CORE_READ(task, files, fdt, fd);
	struct socket *socket;
	struct file *file = 0;

	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

static __always_inline __u32 old_sequence(struct sock *sk, __u8 direction, __u32 bytes)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u32 copied;

	if (direction == L7_SENT)
		return BPF_CORE_READ(tcp, write_seq) - bytes;
	copied = BPF_CORE_READ(tcp, copied_seq);
	if (copied == BPF_CORE_READ(tcp, rcv_nxt) && BPF_CORE_READ(sk, __sk_common.skc_flags) & (1 << SOCK_DONE))
		copied--;
	return copied - bytes;
}

static __always_inline __u32 old_opposite(struct sock *sk, __u8 role)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;

	return role != L7_ROLE_SERVER && BPF_CORE_READ(tcp, bytes_sent) ? BPF_CORE_READ(tcp, write_seq) : 0;
}

/* One message, or all that a call moved. */
struct old_call {
	struct sock *sk;
	__u64 from; /* by `shape` */
	__u64 length;
	__u32 bytes;
	__u32 shape;
	__u32 direction;
	__u64 name;
};

/* Compares two addresses of 16 bytes. BPF has no memcmp, and clang turns a loop into one. */
static __always_inline bool old_is_same(const __u8 *one, const __u8 *other)
{
	const volatile __u32 *a = (const volatile __u32 *)one, *b = (const volatile __u32 *)other;

	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

static __noinline int old_meet(struct l7_socket *socket, struct sock *sk, __u32 direction)
{
	struct l7_identity now = {};
	bool known;

	if (!socket)
		return 0;
	l7_read_identity(&now, sk);
	known = socket->marks & L7_KNOWN && now.transport == socket->identity.transport &&
		now.local_port == socket->identity.local_port;
	if (known && now.transport == IPPROTO_TCP)
		known = now.remote_port == socket->identity.remote_port &&
			old_is_same(now.remote_address, socket->identity.remote_address);
	if (!known) {
		now.role = socket->marks & L7_KNOWN ? L7_ROLE_UNKNOWN : socket->identity.role;
		if (now.transport == IPPROTO_UDP)
			now.role = direction == L7_SENT || now.remote_port ? L7_ROLE_CLIENT : L7_ROLE_SERVER;
		/* Without L7_KNOWN the state is new, and `first` may be filled in already. */
		if (socket->marks & L7_KNOWN)
			__builtin_memset(socket, 0, sizeof(*socket));
		old_name(socket);
	} else {
		now.role = socket->identity.role;
	}
	now.connection = socket->identity.connection;
	socket->identity = now;
	socket->marks |= L7_KNOWN;
	if (now.transport == IPPROTO_TCP && !port_passes(now.local_port, now.remote_port))
		socket->marks |= L7_UNWANTED;
	return 0;
}

/* Replaces a message by its vector; returns false if it cannot be read. */
static __noinline bool old_open(struct old_call *call)
{
	struct user_message message;

	if (bpf_probe_read_user(&message, sizeof(message), (const void *)call->from)) {
		ring_count(faults);
		return false;
	}
	call->name = (__u64)message.name;
	call->from = (__u64)message.segments;
	call->length = message.count;
	return true;
}

/* Same as l7_payload(). */
static __noinline int old_payload(struct l7_scratch *scratch, const struct old_call *call, __u32 wanted)
{
	if (!scratch || !call)
		return -1;
	if (wanted > call->bytes)
		wanted = call->bytes;
	if (call->shape != L7_FLAT)
		return l7_gather(scratch->place, call->from, call->length, wanted);
	return l7_copy(scratch, (const void *)call->from, wanted > call->length ? call->length : wanted);
}

static __always_inline int old_write(struct old_call *call, const bool plain)
{
	struct task_struct *task = current_task(plain);
	struct l7_scratch *scratch;
	struct l7_caller caller;
	struct l7_socket *socket;
	int capture, payload = -1;
	__u32 number = 0;
	bool tcp;

	socket = old_socket(call->sk, true);
	if (!socket) {
		ring_count(untracked);
		return 0;
	}
	old_meet(socket, call->sk, call->direction);
	tcp = socket->identity.transport == IPPROTO_TCP;
	if (socket->marks & (L7_UNWANTED | L7_CIPHER))
		goto filtered;
	capture = l7_decide(&socket->opinion, socket->identity.connection);
	if (capture < 0) {
		socket->later[call->direction & 1] = 1;
		goto filtered;
	}
	scratch = l7_owned(L7_PLACE_SEND);
	if (!scratch)
		return 0;
	caller = l7_caller(task, plain);
	if (tcp)
		number = old_sequence(call->sk, call->direction, call->bytes);
	l7_fill(&scratch->record, &socket->identity, &caller, call->direction,
		tcp ? l7_later(socket, call->direction & 1, number) : 0, number, call->bytes, plain);
	if (tcp && call->direction == L7_RECEIVED)
		scratch->record.opposite = old_opposite(call->sk, socket->identity.role);
	if (call->shape != L7_MESSAGE || old_open(call))
		payload = old_payload(scratch, call, capture);
	if (tcp && payload > 0) {
		struct l7_head *head = &socket->heads[call->direction & 1];
		int more;

		scratch->head = *head;
		more = l7_follow(L7_PLACE_SEND, call->bytes, payload, 0);
		if (more > payload) {
			more = old_payload(scratch, call, L7_HEAD_MAX);
			payload = more > 0 ? l7_follow(L7_PLACE_SEND, call->bytes, more, payload) : more;
		}
		*head = scratch->head;
	}
	payload = l7_number(payload);
	if (tcp && begins_tls((__u8 *)scratch->bytes + sizeof(struct l7_record), payload, call->bytes, !(socket->marks & L7_CALLED)))
		socket->marks |= L7_CIPHER;
	socket->marks |= L7_CALLED;
	if (!tcp && !complete_datagram(&scratch->record, socket, (const void *)call->name))
		goto filtered;
	remember(socket, &scratch->record);
	l7_write(scratch, payload);
	return 0;
filtered:
	ring_count(filtered);
	return 0;
}

static __always_inline __u32 old_flags(const struct l7_syscall *call)
{
	switch (call->number) {
	case NR_RECVFROM:
	case NR_RECVMMSG:
		return call->argument[3];
	case NR_RECVMSG:
		return call->argument[2];
	}
	return 0;
}

/* Two functions, so that each variant of the program has its own. */
static __noinline int old_record(struct old_call *call)
{
	return old_write(call, false);
}

static __noinline int plain_record(struct old_call *call)
{
	return old_write(call, true);
}

static __always_inline int old_exit(struct pt_regs *regs, long ret, const bool plain)
{
	struct task_struct *task = current_task(plain);
	struct old_call call = {};
	struct l7_syscall syscall;
	__u16 family, protocol;
	struct sock *sk;
	long number;

	if (ret <= 0)
		return 0;
	number = l7_call_number(regs, plain);
	call.direction = L7_SENT;
	call.shape = l7_shape(number, L7_SENT);
	if (call.shape == L7_NOWHERE) {
		call.direction = L7_RECEIVED;
		call.shape = l7_shape(number, L7_RECEIVED);
	}
	if (call.shape == L7_NOWHERE || l7_is_32_bit(task, plain))
		return 0;
	l7_read_registers(&syscall, regs, plain);
	if (old_flags(&syscall) & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB))
		return 0;
	sk = old_sock(task, syscall.argument[0]);
	if (!sk)
		return 0;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	protocol = BPF_CORE_READ(sk, sk_protocol);
	if ((family != AF_INET && family != AF_INET6) || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
		return 0;
	if (!l7_passes(task, plain)) {
		ring_count(filtered);
		return 0;
	}
	call.sk = sk;
	call.from = syscall.argument[1];
	call.length = syscall.argument[2];
	call.bytes = ret;
	if (syscall.number == NR_SENDTO)
		call.name = syscall.argument[4];
	if (call.shape != L7_MESSAGES)
		return plain ? plain_record(&call) : old_record(&call);
	if (ret > OLD_MESSAGES_MAX)
		__sync_fetch_and_add(&ring_counters()->untracked, ret - OLD_MESSAGES_MAX);
	for (__u32 i = 0; i < OLD_MESSAGES_MAX && i < ret; i++) {
		const struct user_messages *message = (const struct user_messages *)syscall.argument[1] + i;

		call.shape = L7_MESSAGE;
		call.from = (__u64)&message->message;
		if (bpf_probe_read_user(&call.bytes, sizeof(call.bytes), &message->length))
			ring_count(faults);
		else if (call.bytes)
			plain ? plain_record(&call) : old_record(&call);
	}
	return 0;
}

static __always_inline int old_state(struct sock *sk, int oldstate, int newstate, const bool plain)
{
	struct l7_socket *socket;
	__u64 key = (__u64)sk;

	if (KERNEL_READ(plain, sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	switch (newstate) {
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		if (newstate == TCP_SYN_RECV && oldstate == TCP_SYN_SENT)
			return 0;
		bpf_map_delete_elem(&fallback2_sockets, &key);
		socket = old_socket(sk, true);
		if (!socket) {
			ring_count(untracked);
			return 0;
		}
		socket->identity.role = newstate == TCP_SYN_SENT ? L7_ROLE_CLIENT : L7_ROLE_SERVER;
		return 0;
	case TCP_ESTABLISHED:
		socket = old_socket(sk, false);
		if (socket) {
			struct tcp_sock *tcp = (struct tcp_sock *)sk;

			socket->first[L7_SENT] = BPF_CORE_READ(tcp, write_seq);
			socket->first[L7_RECEIVED] = BPF_CORE_READ(tcp, copied_seq);
			socket->numbered = 1;
		}
		return 0;
	case TCP_CLOSE:
		socket = old_socket(sk, false);
		if (socket)
			end(socket);
		bpf_map_delete_elem(&fallback2_sockets, &key);
		return 0;
	}
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(fallback2_exit, struct pt_regs *regs, long ret)
{
	return old_exit(regs, ret, false);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(fallback2_state, struct sock *sk, int oldstate, int newstate)
{
	return old_state(sk, oldstate, newstate, false);
}

SEC("raw_tp/sys_exit")
int BPF_PROG(plain_exit, struct pt_regs *regs, long ret)
{
	return old_exit(regs, ret, true);
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(plain_state, struct sock *sk, int oldstate, int newstate)
{
	return old_state(sk, oldstate, newstate, true);
}
