/* Plaintext of crypto/tls of Go. Included by tls.bpf.h.
 *
 * Goroutines move between threads, so the state between entry and return of a call is stored by goroutine. Offsets of the uprobes, and
 * why uretprobes are not used: host/kernel/src/uprobe/code.rs. */
#pragma once

#define TLS_CALLS_MAX 32768 /* maximum number of goroutines that wait in a read: idle connections of servers; 3 MiB */

/* The read that a goroutine is in. */
struct tls_call {
	__u64 connection; /* struct tls.Conn */
	__u64 buffer;
	__u64 cookie;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TLS_CALLS_MAX);
	__type(key, struct tls_key); /* a process and a goroutine */
	__type(value, struct tls_call);
} tls_calls SEC(".maps");

#define S_IFMT 0170000
#define S_IFSOCK 0140000

static __always_inline struct sock *tls_socket_of(struct task_struct *task, __u64 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = 0;
	struct socket *socket;
	struct sock *sk;
	__u16 family;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	return family == AF_INET || family == AF_INET6 ? sk : 0;
}

/* tls.Conn begins with a net.Conn, an interface: type and data. If the data is a *net.TCPConn it points to a netFD, whose descriptor
 * is at 16. If it is a program's own struct around a connection, that usually begins with the net.Conn; its type has a hash at 16, which
 * equals a socket's descriptor with a chance of one in millions. */
static __always_inline struct sock *tls_go_socket(struct task_struct *task, __u64 connection)
{
	__u64 data = 0, first = 0, fd = 0;
	struct sock *sk;

	bpf_probe_read_user(&data, sizeof(data), (void *)connection + 8);
	for (int depth = 0; depth < 3 && data; depth++) {
		bpf_probe_read_user(&first, sizeof(first), (void *)data);
		if (!bpf_probe_read_user(&fd, sizeof(fd), (void *)first + 16)) {
			sk = tls_socket_of(task, fd);
			if (sk)
				return sk;
		}
		if (bpf_probe_read_user(&data, sizeof(data), (void *)data + 8))
			return 0;
	}
	return 0;
}

/* Returns the session of a connection; sets `sk` to its socket, if found, and `key` to the session's key. */
static __always_inline struct tls_session *tls_go_session(struct task_struct *task, __u64 connection, struct sock **sk, struct tls_key *key)
{
	*sk = tls_go_socket(task, connection);
	key->owner = 0;
	key->object = *sk ? BPF_CORE_READ(*sk, __sk_common.skc_cookie.counter) : 0;
	if (!key->object) {
		key->owner = tls_owner(task);
		key->object = connection;
		/* The socket gets a cookie with its first use. */
		if (*sk)
			return 0;
	}
	return tls_session(key);
}

/* Sets the identity of a session that has none yet. */
static __always_inline void tls_go_name(struct tls_session *session, const struct tls_key *key, struct sock *sk)
{
	if (session->bound || session->named)
		return;
	if (!sk) {
		tls_name(session, key);
		return;
	}
	l7_read_identity(&session->identity, sk);
	session->identity.connection = key->object;
	session->named = 1;
}

static __always_inline int tls_go_read_done(struct task_struct *task, struct tls_key *goroutine, __s64 total)
{
	struct tls_call *found = bpf_map_lookup_elem(&tls_calls, goroutine);
	struct tls_key key = {};
	struct tls_session *session;
	struct tls_call call;
	struct sock *sk = 0;

	if (!found)
		return 0;
	call = *found;
	bpf_map_delete_elem(&tls_calls, goroutine);
	if (total <= 0)
		return 0;
	key.object = call.cookie;
	session = call.cookie ? bpf_map_lookup_elem(&tls_sessions, &key) : 0;
	if (!session || !session->bound)
		session = tls_go_session(task, call.connection, &sk, &key);
	if (!session) {
		ring_count(untracked);
		return 0;
	}
	tls_go_name(session, &key, sk);
	return tls_emit(session, L7_RECEIVED, total, (void *)call.buffer);
}

static __always_inline int tls_go_write(struct tls_session *session, const struct tls_key *key, struct sock *sk, __u64 buffer, __u64 length)
{
	if (!length)
		return 0;
	if (!session) {
		ring_count(untracked);
		return 0;
	}
	if (sk && !session->bound && !session->named) {
		session->pending = buffer;
		session->pending_bytes = length;
		return 0;
	}
	tls_go_name(session, key, sk);
	return tls_emit(session, L7_SENT, length, (void *)buffer);
}

SEC("uprobe.multi")
int tls_go(struct pt_regs *ctx)
{
	__u64 receiver = TLS_GO_RECEIVER(ctx), buffer = TLS_GO_BUFFER(ctx), length = TLS_GO_LENGTH(ctx);
	struct tls_key goroutine = {.object = TLS_GOROUTINE(ctx)}, key;
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 site = bpf_get_attach_cookie(ctx);
	struct tls_session *session;
	struct tls_call call = {};
	struct sock *sk;

	/* The verifier requires constant offsets where registers are read; clang would else share the address arithmetic. */
	barrier_var(receiver);
	barrier_var(buffer);
	barrier_var(length);
	if (!l7_passes(task, false))
		return 0;
	goroutine.owner = tls_owner(task);
	if (site == TLS_GO_READ_DONE)
		return tls_go_read_done(task, &goroutine, receiver); /* the first result is where the receiver was */
	if (!tls_by_socket)
		tls_by_socket = 1;
	session = tls_go_session(task, receiver, &sk, &key);
	if (!session || !session->bound)
		__sync_fetch_and_add(&tls_epoch, 1);
	if (site == TLS_GO_WRITE)
		return tls_go_write(session, &key, sk, buffer, length);
	if (site == TLS_GO_READ) {
		call.connection = receiver;
		call.buffer = buffer;
		call.cookie = key.owner ? 0 : key.object;
		bpf_map_update_elem(&tls_calls, &goroutine, &call, BPF_ANY);
	}
	return 0;
}
