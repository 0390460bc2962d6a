/* Plaintext of TLS libraries: OpenSSL, and crypto/tls of Go. Included by probe.bpf.c after l7.bpf.h.
 *
 * A library's functions have the plaintext but not the socket; the hooks of sockets have the socket but not the plaintext. OpenSSL's are
 * matched by thread: bytes that it sends or receives inside SSL_read or SSL_write belong to that SSL, the innermost if there are several.
 * Goroutines move between threads, but a few pointers lead from the receiver of (*tls.Conn).Read to the socket.
 * Host: host/kernel/src/uprobe. */
#pragma once

/* Cookies of the places to which the host attaches. */
enum tls_site {
	TLS_READ = 1,	   /* SSL_read(ssl, buffer, size) */
	TLS_WRITE = 2,	   /* SSL_write(ssl, buffer, size) */
	TLS_READ_EX = 3,   /* SSL_read_ex(ssl, buffer, size, &bytes) */
	TLS_WRITE_EX = 4,  /* SSL_write_ex(ssl, buffer, size, &bytes) */
	TLS_HANDSHAKE = 5, /* SSL_do_handshake(ssl): no plaintext, but it leads to the socket */
	TLS_FORGET = 6,	   /* SSL_free(ssl), SSL_clear(ssl) */
	TLS_GO_READ = 16,  /* (*Conn).Read(buffer) */
	TLS_GO_READ_DONE = 17,
	TLS_GO_WRITE = 18, /* (*Conn).Write(buffer): writes all or fails, so its entry suffices */
	TLS_GO_HANDSHAKE = 19,
};

/* Maximum number of nested calls of a thread: of one SSL* within itself (OpenSSL calls back when a handshake is done, and Node.js writes
 * in the callback), of another SSL* within that, and TLS within TLS. */
#define TLS_FRAMES 4

/* Maximum distance of nested calls on one stack, JavaScript in between included; calls farther apart are on different stacks. */
#define TLS_STACK_BYTES (256 << 10)

/* Bit of the ids that are generated for connections whose socket is not known. */
#define TLS_NAMELESS (1ULL << 62)

#define TLS_SESSIONS_MAX 16384

/* An OpenSSL call that the thread is in. */
struct tls_frame {
	__u64 ssl; /* 0: none */
	__u64 stack;
	__u64 buffer;
	__u64 bytes; /* where the _ex functions write the number of bytes */
	__u32 site;
	__u8 bound;   /* whether the socket of its session is known */
	__u8 within;  /* whether it is within a call of another SSL* */
	__u8 carrier; /* whether its plaintext is the ciphertext of that other one */
	__u8 spare;
};

struct tls_thread {
	struct tls_frame frames[TLS_FRAMES];
	__u64 owner;
	/* Cookie of the socket from which the thread read ciphertext last, while its session is not known; 0 for none. */
	__u64 read;
	struct l7_identity read_identity;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tls_thread);
} tls_threads SEC(".maps");

/* Key of a session. OpenSSL: a process and its SSL*. Go: 0 and the socket's cookie; without a socket a process and its *tls.Conn. */
struct tls_key {
	__u64 owner;
	__u64 object;
};

/* One TLS connection. */
struct tls_session {
	struct l7_identity identity;
	struct l7_opinion opinion;
	__u64 pending; /* buffer of a Go write whose socket gets its id with its first use */
	__u32 pending_bytes;
	__u32 sequence[2]; /* number of bytes of plaintext so far, by direction */
	__u8 bound;	   /* whether the addresses of the socket are known */
	__u8 named;	   /* whether `identity.connection` was used, so that it must not change */
	__u8 carrier;	   /* whether its plaintext is the ciphertext of another SSL*, within whose calls it is called */
	struct l7_head heads[2]; /* by direction */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TLS_SESSIONS_MAX);
	__type(key, struct tls_key);
	__type(value, struct tls_session);
} tls_sessions SEC(".maps");

/* Initial state of a session; too large for the stack. */
const volatile struct tls_session tls_no_session SEC(".rodata.tls");

/* Whether any session has the cookie of a socket as its key: if not, sockets need not look one up. */
__u32 tls_by_socket SEC(".data.tls");

/* Counts calls of sessions whose socket is not known yet. A socket that is not known to carry TLS checks whether it belongs to one when
 * this has changed since its last check: so TLS may begin after any number of calls. */
__u32 tls_epoch SEC(".data.tls");

/* === registers === */

#if defined(__TARGET_ARCH_x86)
#define TLS_RETURNED(ctx) ((ctx)->ax)
#define TLS_STACK(ctx) ((ctx)->sp)
#define TLS_STACK_AT_RETURN(ctx) (TLS_STACK(ctx) - 8) /* the return address was popped */
#define TLS_GO_RECEIVER(ctx) ((ctx)->ax)
#define TLS_GO_BUFFER(ctx) ((ctx)->bx)
#define TLS_GO_LENGTH(ctx) ((ctx)->cx)
#define TLS_GOROUTINE(ctx) ((ctx)->r14)
#elif defined(__TARGET_ARCH_arm64)
#define TLS_RETURNED(ctx) (((struct user_pt_regs *)(ctx))->regs[0])
#define TLS_STACK(ctx) PT_REGS_SP(ctx)
#define TLS_STACK_AT_RETURN(ctx) TLS_STACK(ctx)
#define TLS_GO_RECEIVER(ctx) (((struct user_pt_regs *)(ctx))->regs[0])
#define TLS_GO_BUFFER(ctx) (((struct user_pt_regs *)(ctx))->regs[1])
#define TLS_GO_LENGTH(ctx) (((struct user_pt_regs *)(ctx))->regs[2])
#define TLS_GOROUTINE(ctx) (((struct user_pt_regs *)(ctx))->regs[28])
#endif

/* === impl tls_session === */

/* Returns an id of a process: its pid may be reused, but not with the same start time. */
static __always_inline __u64 tls_owner(struct task_struct *task)
{
	return (__u64)task->tgid << 32 | (__u32)(task->group_leader->start_time >> 10);
}

static __always_inline struct tls_session *tls_session(struct tls_key *key)
{
	struct tls_session *session = bpf_map_lookup_elem(&tls_sessions, key);

	if (session)
		return session;
	bpf_map_update_elem(&tls_sessions, key, (void *)&tls_no_session, BPF_NOEXIST);
	session = bpf_map_lookup_elem(&tls_sessions, key);
	if (!session)
		ring_count(untracked);
	return session;
}

/* Generates an id for a connection whose socket is not known: it stays the same even if the socket becomes known later. */
static __always_inline void tls_name(struct tls_session *session, const struct tls_key *key)
{
	__u64 hash = key->owner * 0x9e3779b97f4a7c15ULL ^ key->object;

	hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9ULL;
	hash = (hash ^ hash >> 32) + bpf_ktime_get_ns();
	session->identity.connection = (hash & (TLS_NAMELESS - 1)) | TLS_NAMELESS;
	session->identity.transport = IPPROTO_TCP;
	session->named = 1;
}

static __noinline int tls_emit(struct tls_session *session, __u8 direction, __u32 total, const void *from)
{
	struct l7_scratch *scratch;
	__u32 sequence;
	int capture;

	if (!session)
		return 0;
	direction &= 1;
	session->named = 1;
	sequence = session->sequence[direction];
	session->sequence[direction] = sequence + total;
	capture = l7_capture(&session->opinion, session->identity.connection | L7_PLAINTEXT);
	/* Without a socket the ports are not known. */
	if (capture < 0 || (l7_ports.count && !session->bound)) {
		ring_count(filtered);
		return 0;
	}
	scratch = l7_claim();
	if (!scratch)
		return 0;
	l7_emit(scratch, &session->identity, &session->heads[direction], direction, L7_TLS | (sequence ? L7_LATER : 0), sequence,
		total, from, capture);
	l7_release(scratch);
	return 0;
}

/* Deletes a session; writes its end if no socket will do so. */
static __always_inline void tls_forget(struct tls_key *key)
{
	struct tls_session *session = bpf_map_lookup_elem(&tls_sessions, key);
	struct l7_scratch *scratch;

	if (!session)
		return;
	if (session->identity.connection & TLS_NAMELESS && session->opinion.verdict != L7_IGNORE) {
		scratch = l7_claim();
		if (scratch) {
			struct l7_caller caller = l7_caller(current_task(false), false);

			l7_fill(&scratch->record, &session->identity, &caller, L7_RECEIVED, L7_TLS, 0, 0, false);
			scratch->record.kind = L7_END;
			l7_write(scratch, 0);
			l7_release(scratch);
		}
	}
	bpf_map_delete_elem(&tls_sessions, key);
}

/* === sockets === */

static __always_inline void tls_identify(struct tls_session *session, const struct l7_identity *identity)
{
	__u64 connection = session->named ? session->identity.connection : identity->connection;

	__builtin_memcpy(&session->identity, identity, sizeof(session->identity));
	session->identity.connection = connection;
	session->bound = 1;
}

/* Binds a session to the socket that carries it. */
static __always_inline void tls_bind(struct tls_session *session, struct l7_socket *socket, struct task_struct *task)
{
	tls_identify(session, &socket->identity);
	socket->marks |= L7_CIPHER | L7_BOUND;
	if (session->identity.connection == socket->identity.connection)
		socket->marks |= L7_CLEAR;
	if (!socket->pid) {
		socket->pid = task->tgid;
		socket->uid = BPF_CORE_READ(task, cred, uid.val);
		socket->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
		BPF_CORE_READ_INTO(&socket->comm, task, group_leader, comm);
	}
}

/* Returns the innermost frame that encloses this stack address, or TLS_FRAMES. One that was left by a jump never returns. */
static __always_inline __u32 tls_innermost(struct tls_thread *thread, __u64 stack)
{
	__u64 nearest = TLS_STACK_BYTES;
	__u32 found = TLS_FRAMES;

	for (__u32 i = 0; i < TLS_FRAMES; i++) {
		__u64 above = thread->frames[i].stack - stack;

		/* The subtraction wraps: frames below have large values. */
		if (thread->frames[i].ssl && above && above < nearest) {
			nearest = above;
			found = i;
		}
	}
	return found;
}

/* Whether the thread, which moves ciphertext itself and has read some for a session without a socket, calls another socket from a
 * callback: JavaScript that runs when a handshake is done may write to any. */
static __always_inline bool tls_is_aside(struct tls_thread *thread, struct sock *sk, struct l7_socket *socket)
{
	bool taken = !(socket->marks & L7_CIPHER) || socket->marks & L7_BOUND;

	return thread->read && taken && bpf_get_socket_cookie(sk) != thread->read;
}

/* Binds the session of a frame to the socket that was called within it. */
static __noinline int tls_bind_frame(struct task_struct *task, struct tls_thread *thread, __u32 index, struct l7_socket *socket)
{
	struct tls_session *session;
	struct tls_frame *frame;
	struct tls_key key = {};

	if (!thread || !socket || index >= TLS_FRAMES)
		return 0;
	frame = &thread->frames[index];
	/* Callbacks of a handshake may query a cache or a directory, on another socket. */
	if (frame->bound || (frame->site == TLS_HANDSHAKE && !(socket->marks & L7_CIPHER)))
		return 0;
	key.owner = thread->owner;
	key.object = frame->ssl;
	session = tls_session(&key);
	/* The socket may have carried another session: of the process before a fork, or before a second handshake. */
	if (session && !session->bound)
		tls_bind(session, socket, task);
	frame->bound = 1;
	return 0;
}

/* Identifies a frame's session whose ciphertext is the plaintext of another session, which has the socket: both have the same addresses,
 * and this one an id of its own. */
static __noinline int tls_carry_frame(struct tls_thread *thread, __u32 index, struct l7_socket *socket)
{
	struct tls_session *session;
	struct tls_frame *frame;
	struct tls_key key = {};

	if (!thread || !socket || index >= TLS_FRAMES)
		return 0;
	frame = &thread->frames[index];
	if (frame->bound)
		return 0;
	key.owner = thread->owner;
	key.object = frame->ssl;
	session = tls_session(&key);
	if (session && !session->bound) {
		if (!session->named)
			tls_name(session, &key);
		tls_identify(session, &socket->identity);
	}
	frame->bound = 1;
	return 0;
}

static __noinline int tls_learn(struct task_struct *task, struct sock *sk, struct l7_socket *socket, __u8 direction)
{
	struct tls_session *session;
	struct tls_thread *thread;
	struct tls_key key = {};

	if (!socket)
		return 0;
	thread = bpf_task_storage_get(&tls_threads, task, 0, 0);
	if (thread) {
		__u64 stack = TLS_STACK((struct pt_regs *)bpf_task_pt_regs(task));
		__u32 index = tls_innermost(thread, stack);

		if (index < TLS_FRAMES) {
			struct tls_frame *frame = &thread->frames[index];
			__u64 innermost = frame->stack;

			if (tls_is_aside(thread, sk, socket))
				return 0;
			tls_bind_frame(task, thread, index, socket);
			if (!frame->carrier)
				return 0;
			index = tls_innermost(thread, innermost);
			if (index < TLS_FRAMES)
				tls_carry_frame(thread, index, socket);
			return 0;
		}
		thread->read = 0;
	}
	if (socket->marks & L7_BOUND)
		return 0;
	key.object = bpf_get_socket_cookie(sk);
	session = *(volatile __u32 *)&tls_by_socket ? bpf_map_lookup_elem(&tls_sessions, &key) : 0;
	if (!session) {
		if (thread && direction == L7_RECEIVED && socket->marks & L7_CIPHER) {
			thread->read = key.object;
			__builtin_memcpy(&thread->read_identity, &socket->identity, sizeof(thread->read_identity));
		}
		return 0;
	}
	tls_bind(session, socket, task);
	if (direction == L7_SENT && session->pending) {
		const void *from = (void *)session->pending;

		session->pending = 0;
		tls_emit(session, L7_SENT, session->pending_bytes, from);
	}
	return 0;
}

/* Whether the socket should check, because a session without a socket made calls since its last check. */
static __always_inline bool tls_news(struct l7_socket *socket)
{
	__u32 epoch = *(volatile __u32 *)&tls_epoch;

	if (socket->tls_epoch == epoch)
		return false;
	socket->tls_epoch = epoch;
	return true;
}

/* Called at every call on a socket that carries TLS, and on others if tls_news(): finds out whether the socket belongs to the TLS session
 * that the current task is in. `socket->identity` may be saved; the pointer itself is invalid after the program. */
static __always_inline void tls_on_call(struct task_struct *task, struct sock *sk, struct l7_socket *socket, __u8 direction)
{
	if (socket->identity.transport == IPPROTO_TCP)
		tls_learn(task, sk, socket, direction);
}

#include "openssl.bpf.h"
#include "go.bpf.h"
