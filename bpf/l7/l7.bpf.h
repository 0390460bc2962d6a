/* Probe `l7`: the state of a socket, the host's verdict on it, and the writing of records. The programs at sockets (probe.bpf.c)
 * and at TLS libraries (tls.bpf.h) use this. Include after vmlinux.h, ring.h, filter.h and record.h. */
#pragma once

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

#define L7_CAPTURE_MAX 4096 /* maximum of capture_bytes, and of bytes copied at once */
#define L7_HEAD_MAX 16384   /* maximum of bytes captured of a call that is the head of a message: a power of two */
#define L7_PORTS_MAX 64
#define L7_SEGMENTS_MAX 32 /* maximum number of segments of a vector that are read */

/* === settings and verdicts, written by the host === */

/* The host may change them at any time. */
struct l7_settings {
	__u32 capture_bytes; /* bytes to capture of each call if the verdict does not set them */
	__u32 epoch;	     /* a new value makes every socket look up its verdict again */
};

struct l7_settings l7_settings SEC(".data.l7") = {.capture_bytes = 256};

/* Ports of which a connection must have one, at either end; constant once loaded. Any port passes if `count` is 0. */
struct l7_ports {
	__u32 count;
	__u16 ports[L7_PORTS_MAX];
};

const volatile struct l7_ports l7_ports SEC(".rodata.l7");

enum l7_verdict_word {
	L7_UNDECIDED = 0,
	L7_IGNORE = 1, /* unwanted: no more records */
	L7_WANTED = 2,
	L7_RAW = 3, /* wanted even if it looks like TLS: then records have its ciphertext */
};

struct l7_verdict {
	__u32 verdict;	     /* enum l7_verdict_word */
	__u32 capture_bytes; /* bytes to capture of each call, 0 for those of the settings */
};

/* Bit in the key of verdicts about plaintext of a TLS library. A connection has two verdicts: that one, and one about its bytes on the
 * wire. */
#define L7_PLAINTEXT (1ULL << 63)

/* Verdicts by connection, for plaintext of a TLS library with L7_PLAINTEXT. Looked up until there is one, then stored in the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct l7_verdict);
} l7_verdicts SEC(".maps");

/* A stored verdict. All zero: none yet. */
struct l7_opinion {
	__u32 epoch;
	__u16 capture_bytes;
	__u8 verdict;
	__u8 spare;
};

/* === the state of a socket === */

/* The ends of a connection. From `family` on as in struct l7_record, so that it is copied at once. */
struct l7_identity {
	__u64 connection;
	__u16 family;
	__u16 local_port;
	__u16 remote_port;
	__u8 kind; /* unused here, as direction and flags are */
	__u8 direction;
	__u8 role;
	__u8 transport;
	__u8 flags;
	__u8 spare[5]; /* stays 0: copied to `opposite` of the record, which may be set later */
	__u8 local_address[16];
	__u8 remote_address[16];
};

enum l7_marks {
	L7_KNOWN = 1,	 /* `identity` is filled in */
	L7_UNWANTED = 2, /* a socket of the kernel, or of another port than `l7_ports`: never a record */
	L7_CIPHER = 4,	 /* speaks TLS: no more records of its raw bytes */
	L7_SPOKEN = 8,	 /* has had a record, so it also gets a record of its end */
	L7_CLEAR = 16,	 /* has had a record of plaintext of a TLS library, so it also gets one of that end */
	L7_ENDING = 32,	 /* closed, but with bytes left to read */
	L7_BOUND = 64,	 /* tls.bpf.h has saved the identity */
	L7_CALLED = 128, /* its first call was handled */
};

/* Formats of heads. */
enum l7_head_kind {
	L7_LINES = 0,  /* HTTP/1: lines, the last one empty */
	L7_FRAMES = 1, /* HTTP/2: frames, which state their lengths */
};

/* The unfinished head of one direction: see head.bpf.h. */
struct l7_head {
	__u32 last; /* L7_LINES: the last three bytes, the first of them lowest */
	__u16 left; /* maximum of bytes that still belong to it; 0: no unfinished head */
	__u8 kind;  /* enum l7_head_kind */
	__u8 spare;
};

struct l7_socket {
	struct l7_identity identity;
	struct l7_opinion opinion; /* about the raw bytes */
	__u16 generation;	   /* number of times that the socket was connected again */
	__u8 marks;		   /* enum l7_marks */
	__u8 spare;
	__u32 fd;		   /* its descriptor at the last call, in the table `files` */
	__u64 files;
	__u32 pid; /* this and the next three: of the last record, for the record of the end */
	__u32 uid;
	__u64 cgroup_id;
	__u64 comm[2];
	__u32 tls_epoch; /* tls_epoch when it last checked whether it carries TLS: tls.bpf.h */
	__u8 numbered;	 /* whether its beginning was seen, so that `first` is filled in */
	__u8 later[2];	 /* by direction: whether its first bytes have passed */
	__u8 unused;
	__u32 first[2];	 /* by direction: its first sequence number */
	struct l7_head heads[2]; /* by direction */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct l7_socket);
} l7_sockets SEC(".maps");

static __always_inline bool l7_is_mapped(const __be32 *address)
{
	return !address[0] && !address[1] && address[2] == bpf_htonl(0xffff);
}

/* Reads all but the connection and the role. `sk` need not be a pointer that the verifier trusts. */
static __noinline int l7_read_identity(struct l7_identity *identity, struct sock *sk)
{
	__u16 protocol = BPF_CORE_READ(sk, sk_protocol);
	struct in6_addr local, remote;

	if (!identity)
		return 0;
	identity->transport = protocol;
	identity->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	identity->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	__builtin_memset(identity->local_address, 0, 2 * sizeof(identity->local_address));
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO(&local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&remote, sk, __sk_common.skc_v6_daddr);
		if (!l7_is_mapped(remote.in6_u.u6_addr32)) {
			identity->family = AF_INET6;
			__builtin_memcpy(identity->local_address, &local, sizeof(local));
			__builtin_memcpy(identity->remote_address, &remote, sizeof(remote));
			return 0;
		}
	}
	identity->family = AF_INET;
	*(__be32 *)identity->local_address = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	*(__be32 *)identity->remote_address = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	return 0;
}

/* === buffers in which records are built === */

/* Index of a buffer. Programs that cannot interrupt themselves on one CPU have a buffer of their own; others claim one. */
enum l7_place {
	L7_PLACE_SEND,
	L7_PLACE_RECEIVE,
	L7_PLACE_SEND6,
	L7_PLACE_SENDPAGE,
	L7_PLACE_RECEIVE6,
	L7_PLACES_OWNED,
	L7_PLACES = L7_PLACES_OWNED + 3,
};

struct l7_segment { /* struct iovec */
	const void *base;
	__u64 length;
};

/* A buffer, larger than is ever used: the verifier does not see that the room shrinks as bytes are appended. */
struct l7_scratch {
	__u64 busy;
	__u32 place; /* its own index */
	__u32 spare;
	struct l7_head head; /* of the direction of the record */
	struct l7_segment segments[L7_SEGMENTS_MAX];
	union {
		struct l7_record record;
		char bytes[sizeof(struct l7_record) + L7_HEAD_MAX + L7_CAPTURE_MAX];
	};
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, L7_PLACES);
	__type(key, __u32);
	__type(value, struct l7_scratch);
} l7_scratches SEC(".maps");

static __always_inline struct l7_scratch *l7_scratch(__u32 place)
{
	return bpf_map_lookup_elem(&l7_scratches, &place);
}

/* Returns the buffer of a program that has one of its own. */
static __always_inline struct l7_scratch *l7_owned(__u32 place)
{
	struct l7_scratch *scratch = l7_scratch(place);

	if (scratch)
		scratch->place = place;
	return scratch;
}

/* Returns an unused buffer, or NULL, which is counted: for programs that another task may interrupt (uprobes). Return it with
 * l7_release(). */
static __always_inline struct l7_scratch *l7_claim(void)
{
	struct l7_scratch *scratch;

	for (__u32 place = L7_PLACES_OWNED; place < L7_PLACES; place++) {
		scratch = l7_owned(place);
		if (scratch && !__sync_val_compare_and_swap(&scratch->busy, 0, 1))
			return scratch;
	}
	ring_count(untracked);
	return 0;
}

static __always_inline void l7_release(struct l7_scratch *scratch)
{
	__sync_lock_test_and_set(&scratch->busy, 0);
}

/* === impl l7_opinion === */

/* Returns the number of bytes of a call to capture, or -1 for no record. `key` is a connection, with L7_PLAINTEXT or without. */
static __always_inline int l7_decide(struct l7_opinion *opinion, __u64 key)
{
	volatile struct l7_settings *settings = &l7_settings;
	struct l7_verdict *verdict;
	__u32 capture;

	if (!opinion)
		return -1;
	if (!opinion->verdict || opinion->epoch != settings->epoch) {
		opinion->epoch = settings->epoch;
		verdict = bpf_map_lookup_elem(&l7_verdicts, &key);
		if (verdict) {
			opinion->verdict = verdict->verdict;
			opinion->capture_bytes = verdict->capture_bytes;
		}
	}
	if (opinion->verdict == L7_IGNORE)
		return -1;
	capture = opinion->capture_bytes ?: settings->capture_bytes;
	return capture > L7_CAPTURE_MAX ? L7_CAPTURE_MAX : capture;
}

/* Global, as l7_gather() is: after it the verifier has one state instead of one for each path through here. Plain programs cannot call
 * it: global functions accept pointers from Linux 5.12 on. */
__noinline int l7_capture(struct l7_opinion *opinion, __u64 key)
{
	return l7_decide(opinion, key);
}

/* === the task that makes the call === */

/* Whether a task passes by name and by plan. A plan can only drop all of its calls here: half of a conversation is useless, so thresholds
 * below the highest have no effect. */
static __always_inline bool l7_admits(struct task_struct *task, const bool plain)
{
	struct filter_owner owner = {.pid = KERNEL_READ(plain, task, tgid)};

	read_comm(owner.comm, KERNEL_READ(plain, task, group_leader), plain);
	if (!filter_comm(owner.comm))
		return false;
	if (!*(volatile __u32 *)&filter_plans.active)
		return true;
	owner.cgroup_id = KERNEL_READ(plain, task, cgroups, dfl_cgrp, kn, id);
	return filter_planned_threshold(&owner) < 1ULL << 56;
}

/* Same for the current task. Global, as l7_capture() is: see current_task(). */
__noinline int l7_admits_current(void)
{
	return l7_admits(current_task(false), false);
}

/* Whether the current task passes the filters and the plan. */
static __always_inline bool l7_passes(struct task_struct *task, const bool plain)
{
	if (!filter_pid(KERNEL_READ(plain, task, tgid)) || !filter_task_cgroup(plain))
		return false;
	if (!filter.by_comm && !*(volatile __u32 *)&filter_plans.active)
		return true;
	return plain ? l7_admits(task, true) : l7_admits_current();
}

/* === records === */

/* Returns L7_LATER if bytes of this direction came before those at `sequence`; marks all that follow as later. */
static __always_inline __u8 l7_later(struct l7_socket *socket, __u8 direction, __u32 sequence)
{
	bool later = socket->later[direction] || (__s32)(sequence - socket->first[direction]) > 0;

	socket->later[direction] = 1;
	return later && socket->numbered ? L7_LATER : 0;
}

/* Copies the identity. Both structs are aligned to 8 from `family` on; clang does not see it and would copy by two. */
static __always_inline void l7_identify(struct l7_record *record, const struct l7_identity *identity)
{
	record->connection = identity->connection;
	__builtin_memcpy(__builtin_assume_aligned(&record->family, 8), __builtin_assume_aligned(&identity->family, 8),
			 sizeof(*identity) - __builtin_offsetof(struct l7_identity, family));
}

/* The kernel's objects that identify the caller. */
struct l7_caller {
	struct kernfs_node *cgroup;
	struct cred *cred;
	struct task_struct *leader;
};

/* Returns the caller of a task. Call it before the code branches: see current_task(). The barriers keep clang from reading later. */
static __always_inline struct l7_caller l7_caller(struct task_struct *task, const bool plain)
{
	struct l7_caller caller = {
		.cgroup = KERNEL_READ(plain, task, cgroups, dfl_cgrp, kn),
		.cred = (struct cred *)KERNEL_READ(plain, task, cred),
		.leader = KERNEL_READ(plain, task, group_leader),
	};

	barrier_var(caller.cgroup);
	barrier_var(caller.cred);
	barrier_var(caller.leader);
	return caller;
}

/* Fills in all but the payload. */
static __always_inline void l7_fill(struct l7_record *record, const struct l7_identity *identity, const struct l7_caller *caller,
				    __u8 direction, __u8 flags, __u32 sequence, __u32 total, const bool plain)
{
	struct kernfs_node *cgroup = caller->cgroup;
	struct task_struct *leader = caller->leader;
	struct cred *cred = caller->cred;

	record->time_ns = bpf_ktime_get_ns();
	record->cgroup_id = KERNEL_READ(plain, cgroup, id);
	record->sequence = sequence;
	record->total = total;
	record->pid = KERNEL_READ(plain, leader, tgid);
	record->uid = KERNEL_READ(plain, cred, uid.val);
	l7_identify(record, identity);
	record->kind = L7_DATA;
	record->direction = direction;
	record->flags = flags;
	read_comm((__u64 *)record->comm, leader, plain);
}

/* Appends up to L7_CAPTURE_MAX bytes of user memory to the `at` bytes in the buffer; returns the new number of bytes, or -1. */
static __always_inline int l7_append(struct l7_scratch *scratch, __u32 at, const void *from, __u32 length)
{
	/* The masks are for the verifier, the barriers keep clang from proving them redundant. */
	barrier_var(at);
	at &= L7_HEAD_MAX - 1;
	barrier_var(length);
	if (length > L7_CAPTURE_MAX)
		length = L7_CAPTURE_MAX;
	if (bpf_probe_read_user(scratch->bytes + sizeof(struct l7_record) + at, length, from)) {
		ring_count(faults);
		return -1;
	}
	return at + length;
}

/* Copies `wanted` bytes of user memory, up to L7_HEAD_MAX; returns the same as l7_append(). */
static __always_inline int l7_copy(struct l7_scratch *scratch, const void *from, __u32 wanted)
{
	int there = 0;

	for (__u32 i = 0; i < L7_HEAD_MAX / L7_CAPTURE_MAX; i++) {
		if (there < 0 || (__u32)there >= wanted)
			break;
		there = l7_append(scratch, there, from + there, wanted - there);
	}
	return there;
}

/* Returns the same number, of which the verifier then knows nothing: it has one state instead of one for each path to here. */
__noinline int l7_number(int number)
{
	barrier_var(number);
	return number;
}

/* Writes the record and `payload` bytes after it into the ring; if negative, the bytes could not be read. */
static __always_inline void l7_write(struct l7_scratch *scratch, int payload)
{
	if (payload < 0) {
		scratch->record.flags |= L7_NO_PAYLOAD;
		payload = 0;
	}
	barrier_var(payload);
	if (payload > L7_HEAD_MAX)
		payload = L7_HEAD_MAX;
	ring_output(scratch->bytes, sizeof(struct l7_record) + (__u32)payload);
}

