/* Probe `l7`: what a socket remembers, what the host thinks of it, and how a record is written. The programs at the sockets
 * (probe.bpf.c) and at TLS libraries (tls.bpf.h) are built on this. Include after vmlinux.h, ring.h, filter.h and record.h. */
#pragma once

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

#define L7_CAPTURE_MAX 4096 /* bytes of a call that can be asked for, and copied at once */
#define L7_HEAD_MAX 16384   /* bytes that are captured at most, of a call that is the head of a message: a power of two */
#define L7_PORTS_MAX 64
#define L7_SEGMENTS_MAX 32 /* of a vector that are looked at */

/* === what the host says === */

/* May change at any time. */
struct l7_settings {
	__u32 capture_bytes; /* of each call, where the verdict does not say */
	__u32 epoch;	     /* another number makes every socket look for its verdict again */
};

struct l7_settings l7_settings SEC(".data.l7") = {.capture_bytes = 256};

/* Only connections with one of these ports at either end; constant once loaded, all of them if `count` is 0. */
struct l7_ports {
	__u32 count;
	__u16 ports[L7_PORTS_MAX];
};

const volatile struct l7_ports l7_ports SEC(".rodata.l7");

enum l7_verdict_word {
	L7_UNDECIDED = 0,
	L7_IGNORE = 1, /* nobody wants it: no more records */
	L7_WANTED = 2,
	L7_RAW = 3, /* wanted, also if it looks like TLS: its ciphertext */
};

struct l7_verdict {
	__u32 verdict;	     /* enum l7_verdict_word */
	__u32 capture_bytes; /* of each call, 0 for those of the settings */
};

/* Verdicts about ciphertext (or what was never encrypted) and about plaintext of one connection are two. */
#define L7_PLAINTEXT (1ULL << 63)

/* By connection, for plaintext of a TLS library with L7_PLAINTEXT. Read until there is one, then remembered in the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct l7_verdict);
} l7_verdicts SEC(".maps");

/* A verdict, remembered. All zero: none yet. */
struct l7_opinion {
	__u32 epoch;
	__u16 capture_bytes;
	__u8 verdict;
	__u8 spare;
};

/* === what a socket remembers === */

/* Who talks to whom. From `family` on as in struct l7_record, so that it is copied at once. */
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
	__u8 spare[5]; /* stays 0: `opposite` of the record, unless it is set after */
	__u8 local_address[16];
	__u8 remote_address[16];
};

enum l7_marks {
	L7_KNOWN = 1,	 /* `identity` is filled in */
	L7_UNWANTED = 2, /* the kernel's own, or of a port that was not asked for: never a record */
	L7_CIPHER = 4,	 /* speaks TLS: no more records of its raw bytes */
	L7_SPOKEN = 8,	 /* has had a record, so it gets an end */
	L7_CLEAR = 16,	 /* has had a record of plaintext of a TLS library, so it gets an end of that as well */
	L7_ENDING = 32,	 /* closed, but there is something to read yet */
	L7_BOUND = 64,	 /* tls.bpf.h has saved the identity */
	L7_CALLED = 128, /* its first call is over */
};

/* What heads look like. */
enum l7_head_kind {
	L7_LINES = 0,  /* HTTP/1: lines, the last one empty */
	L7_FRAMES = 1, /* HTTP/2: frames, whose lengths are known */
};

/* The head that one direction is in: see head.bpf.h. */
struct l7_head {
	__u32 last; /* the last three bytes of lines, the first of them lowest */
	__u16 left; /* bytes that may still belong to it; 0: it is in none */
	__u8 kind;  /* enum l7_head_kind */
	__u8 spare;
};

struct l7_socket {
	struct l7_identity identity;
	struct l7_opinion opinion; /* about the raw bytes */
	__u16 generation;	   /* times that the socket was connected again */
	__u8 marks;		   /* enum l7_marks */
	__u8 spare;
	__u32 fd;		   /* by which it was last called, in this table of files */
	__u64 files;
	__u32 pid; /* of the last record, for the end */
	__u32 uid;
	__u64 cgroup_id;
	__u64 comm[2];
	__u32 tls_epoch; /* when it last looked whether it carries TLS: tls.bpf.h */
	__u8 numbered;	 /* its beginning was seen, so `first` is filled in */
	__u8 later[2];	 /* whether the first bytes of a direction are past */
	__u8 unused;
	__u32 first[2];	 /* sequence numbers that the directions began with */
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

/* All but the connection and the role. `sk` may come from anywhere. */
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

/* === where a record is built === */

/* Programs that cannot interrupt themselves on one CPU have a place of their own; others claim one. */
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

/* More room than is used, because the verifier does not see that what is left shrinks as more is there. */
struct l7_scratch {
	__u64 busy;
	__u32 place; /* its own */
	__u32 spare;
	struct l7_head head; /* of the direction that the record is of */
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

/* That of a program that has one of its own. */
static __always_inline struct l7_scratch *l7_owned(__u32 place)
{
	struct l7_scratch *scratch = l7_scratch(place);

	if (scratch)
		scratch->place = place;
	return scratch;
}

/* For programs that another task may interrupt within them (uprobes): a place that nobody uses, or NULL, which is counted. Give it
 * back with l7_release(). */
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

/* How many bytes of a call to capture, or -1 for no record. `key` is a connection, with L7_PLAINTEXT or without. */
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

/* Global, as l7_gather() is: the verifier goes on with one state instead of one for each way through here. Plain programs cannot: a
 * global function takes pointers from Linux 5.12 on. */
__noinline int l7_capture(struct l7_opinion *opinion, __u64 key)
{
	return l7_decide(opinion, key);
}

/* === whose call it is === */

/* By name and by plan. A plan can only deny as a whole here: half of a conversation tells nothing, so thresholds below the highest are
 * not obeyed. */
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

/* The same for the current task. Global, as l7_capture() is: see current_task(). */
__noinline int l7_admits_current(void)
{
	return l7_admits(current_task(false), false);
}

/* Filters and plan, for the current task. */
static __always_inline bool l7_passes(struct task_struct *task, const bool plain)
{
	if (!filter_pid(KERNEL_READ(plain, task, tgid)) || !filter_task_cgroup(plain))
		return false;
	if (!filter.by_comm && !*(volatile __u32 *)&filter_plans.active)
		return true;
	return plain ? l7_admits(task, true) : l7_admits_current();
}

/* === records === */

/* L7_LATER, if bytes of this direction came before those at `sequence`; those behind them are later than they. */
static __always_inline __u8 l7_later(struct l7_socket *socket, __u8 direction, __u32 sequence)
{
	bool later = socket->later[direction] || (__s32)(sequence - socket->first[direction]) > 0;

	socket->later[direction] = 1;
	return later && socket->numbered ? L7_LATER : 0;
}

/* Both are aligned to 8 from `family` on; clang does not see it and would copy by two. */
static __always_inline void l7_identify(struct l7_record *record, const struct l7_identity *identity)
{
	record->connection = identity->connection;
	__builtin_memcpy(__builtin_assume_aligned(&record->family, 8), __builtin_assume_aligned(&identity->family, 8),
			 sizeof(*identity) - __builtin_offsetof(struct l7_identity, family));
}

/* Where the kernel keeps whose call it is. */
struct l7_caller {
	struct kernfs_node *cgroup;
	struct cred *cred;
	struct task_struct *leader;
};

/* Of a task. To be asked for before the ways part: see current_task(). The barriers keep clang from asking later. */
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

/* Appends up to L7_CAPTURE_MAX bytes of user memory to the `at` that are there already; returns how many are there then, or -1. */
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

/* Copies so many bytes of user memory, up to L7_HEAD_MAX; as l7_append(). */
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

/* The same number, of which the verifier knows nothing any more: it goes on with one state instead of one for each way to it. */
__noinline int l7_number(int number)
{
	barrier_var(number);
	return number;
}

/* Hands the record and `payload` bytes behind it to the host; less than nothing: they could not be read. */
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

