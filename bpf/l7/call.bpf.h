/* Locates the bytes of a call: the hook has the socket and the number of bytes moved, the registers of the task have its system call and
 * the arguments. Include after l7.bpf.h. */
#pragma once

#if defined(__TARGET_ARCH_x86)
#define NR_READ 0
#define NR_WRITE 1
#define NR_READV 19
#define NR_WRITEV 20
#define NR_SENDTO 44
#define NR_RECVFROM 45
#define NR_SENDMSG 46
#define NR_RECVMSG 47
#define NR_RECVMMSG 299
#define NR_SENDMMSG 307
#define NR_PREADV2 327
#define NR_PWRITEV2 328
#elif defined(__TARGET_ARCH_arm64)
#define NR_READ 63
#define NR_WRITE 64
#define NR_READV 65
#define NR_WRITEV 66
#define NR_SENDTO 206
#define NR_RECVFROM 207
#define NR_SENDMSG 211
#define NR_RECVMSG 212
#define NR_RECVMMSG 243
#define NR_SENDMMSG 269
#define NR_PREADV2 286
#define NR_PWRITEV2 287
#endif

#define ENOSYS 38

/* struct msghdr and struct mmsghdr, as 64-bit programs have them */
struct user_message {
	const void *name;
	__u32 name_length;
	__u32 padding;
	const struct l7_segment *segments;
	__u64 count;
	const void *control;
	__u64 control_length;
	__u64 flags;
};

struct user_messages {
	struct user_message message;
	__u64 length; /* the kernel writes its lower half once the message is done */
};

/* A system call and the first five of its arguments. */
struct l7_syscall {
	long number; /* -1 if its arguments must not be used */
	__u64 argument[5];
};

enum l7_shape {
	L7_NOWHERE = 0, /* not in user memory, or in memory that is not in the arguments: sendfile, io_uring */
	L7_FLAT,
	L7_VECTOR,  /* an array of struct iovec */
	L7_MESSAGE, /* a struct msghdr */
	L7_MESSAGES /* an array of struct mmsghdr, of which this call is one */
};

/* Position of a task in the vector of its sendmmsg or recvmmsg: the hook is called for each message, without its index. */
struct l7_progress {
	__u64 vector;
	__u64 sk;
	__u32 next;
	__u32 last; /* bytes of the message before `next` */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct l7_progress);
} l7_progresses SEC(".maps");

/* Whether the task is 32-bit, which has other system call numbers and structs. */
static __always_inline bool l7_is_32_bit(struct task_struct *task, const bool plain)
{
#if defined(__TARGET_ARCH_x86)
	return KERNEL_READ(plain, task, thread_info.status) & 2; /* TS_COMPAT */
#elif defined(__TARGET_ARCH_arm64)
	return KERNEL_READ(plain, task, thread_info.flags) & (1 << 22); /* TIF_32BIT */
#endif
}

static __always_inline long l7_call_number(struct pt_regs *regs, const bool plain)
{
#if defined(__TARGET_ARCH_x86)
	return KERNEL_READ(plain, regs, orig_ax);
#elif defined(__TARGET_ARCH_arm64)
	return KERNEL_READ(plain, regs, syscallno);
#endif
}

static __always_inline void l7_read_registers(struct l7_syscall *call, struct pt_regs *regs, const bool plain)
{
	call->number = l7_call_number(regs, plain);
#if defined(__TARGET_ARCH_x86)
	call->argument[0] = KERNEL_READ(plain, regs, di);
	call->argument[1] = KERNEL_READ(plain, regs, si);
	call->argument[2] = KERNEL_READ(plain, regs, dx);
	call->argument[3] = KERNEL_READ(plain, regs, r10);
	call->argument[4] = KERNEL_READ(plain, regs, r8);
#elif defined(__TARGET_ARCH_arm64)
	call->argument[0] = KERNEL_READ(plain, regs, orig_x0);
	call->argument[1] = KERNEL_READ(plain, regs, regs[1]);
	call->argument[2] = KERNEL_READ(plain, regs, regs[2]);
	call->argument[3] = KERNEL_READ(plain, regs, regs[3]);
	call->argument[4] = KERNEL_READ(plain, regs, regs[4]);
#endif
}

/* Reads the system call of a task, which must have no result yet: work done at the end of a call, as by io_uring, is not that call's. */
static __always_inline void l7_read_syscall(struct l7_syscall *call, struct pt_regs *regs)
{
	l7_read_registers(call, regs, false);
#if defined(__TARGET_ARCH_x86)
	if ((long)regs->ax != -ENOSYS)
		call->number = -1;
#elif defined(__TARGET_ARCH_arm64)
	if (regs->regs[0] != regs->orig_x0)
		call->number = -1;
#endif
}

static __always_inline enum l7_shape l7_shape(long number, __u8 direction)
{
	if (direction == L7_SENT) {
		switch (number) {
		case NR_WRITE:
		case NR_SENDTO:
			return L7_FLAT;
		case NR_WRITEV:
		case NR_PWRITEV2:
			return L7_VECTOR;
		case NR_SENDMSG:
			return L7_MESSAGE;
		case NR_SENDMMSG:
			return L7_MESSAGES;
		}
		return L7_NOWHERE;
	}
	switch (number) {
	case NR_READ:
	case NR_RECVFROM:
		return L7_FLAT;
	case NR_READV:
	case NR_PREADV2:
		return L7_VECTOR;
	case NR_RECVMSG:
		return L7_MESSAGE;
	case NR_RECVMMSG:
		return L7_MESSAGES;
	}
	return L7_NOWHERE;
}

/* Whether the system call is on this socket. It may not be: io_uring finishes its work at the end of any call, and a write to a network
 * block device leads to another socket. The result for the last call on this descriptor is assumed to hold: a table of files changes,
 * but a descriptor of a socket with this very address does not become such a device. */
static __always_inline bool l7_is_about(const struct l7_syscall *call, struct task_struct *task, struct sock *sk,
					struct l7_socket *socket)
{
	struct files_struct *files = task->files;
	struct file *file = 0;

	if (socket->files == (__u64)files && socket->fd == (__u32)call->argument[0])
		return true;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(files, fdt, fd) + (__u32)call->argument[0]);
	if (!file || file != BPF_CORE_READ(sk, sk_socket, file))
		return false;
	socket->files = (__u64)files;
	socket->fd = call->argument[0];
	return true;
}

/* === several messages in one call === */

/* Handles a message that moved no bytes: the vector goes on after an empty datagram, and ends with an error. */
static __noinline int l7_message_without_bytes(struct task_struct *task, struct sock *sk, int ret)
{
	struct l7_progress *progress;
	struct l7_syscall call;

	l7_read_syscall(&call, (struct pt_regs *)bpf_task_pt_regs(task));
	if (call.number != NR_SENDMMSG && call.number != NR_RECVMMSG)
		return 0;
	progress = bpf_task_storage_get(&l7_progresses, task, 0, ret ? 0 : BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!progress)
		return 0;
	if (ret || progress->vector != call.argument[1] || progress->sk != (__u64)sk) {
		progress->vector = call.argument[1];
		progress->sk = (__u64)sk;
		progress->next = 0;
	}
	if (!ret) {
		progress->next++;
		progress->last = 0;
	}
	return 0;
}

/* Returns the message of the vector to which this call of the hook belongs, or NULL if that is uncertain. Datagrams only: a stream may
 * end a vector without a call of the hook. */
static __noinline const struct user_message *l7_message(const struct l7_syscall *call, struct task_struct *task,
							struct sock *sk, __u32 bytes)
{
	const struct user_messages *messages = (const struct user_messages *)call->argument[1];
	struct l7_progress *progress;
	__u32 before = 0, index;

	if (sk->sk_protocol != IPPROTO_UDP)
		return 0;
	progress = bpf_task_storage_get(&l7_progresses, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!progress)
		return 0;
	index = progress->next;
	if (index && progress->vector == call->argument[1] && progress->sk == (__u64)sk) {
		/* The kernel writes the length of each message before it starts the next. */
		if (bpf_probe_read_user(&before, sizeof(before), &messages[index - 1].length) || before != progress->last)
			index = 0;
	} else {
		index = 0;
	}
	progress->vector = call->argument[1];
	progress->sk = (__u64)sk;
	progress->last = bytes;
	progress->next = index + 1 < (__u32)call->argument[2] ? index + 1 : 0;
	if (index && call->number == NR_RECVMMSG && call->argument[4]) {
		/* A timeout may have ended the previous call. */
		return 0;
	}
	return &messages[index].message;
}

/* === the bytes === */

/* Location of the bytes of a call. */
struct l7_bytes_at {
	enum l7_shape shape; /* L7_NOWHERE, L7_FLAT or L7_VECTOR */
	__u64 from;
	__u64 count; /* number of bytes, or of segments */
};

/* Appends bytes of one segment until `wanted` are in the buffer; returns the same as l7_append(). */
__noinline int l7_take(__u32 place, __u32 segment, __u32 there, __u32 wanted)
{
	struct l7_scratch *scratch = l7_scratch(place);
	struct l7_segment *this;
	__u64 length;
	int at = there;

	if (!scratch || there >= wanted)
		return there;
	this = &scratch->segments[segment & (L7_SEGMENTS_MAX - 1)];
	length = this->length;
	wanted = length < wanted - there ? there + length : wanted;
	for (__u32 i = 0; i < L7_HEAD_MAX / L7_CAPTURE_MAX; i++) {
		if (at < 0 || (__u32)at >= wanted)
			break;
		at = l7_append(scratch, at, this->base + ((__u32)at - there), wanted - at);
	}
	return at;
}

/* Copies from an array of struct iovec; returns the same as l7_append(). Global, so that the verifier checks it once and not at every
 * call; so is each step, so that it knows nothing of the number of bytes. Parameters are numbers: pointers may be passed from Linux 5.12
 * on. */
__noinline int l7_gather(__u32 place, __u64 from, __u64 count, __u32 wanted)
{
	struct l7_scratch *scratch = l7_scratch(place);
	int there = 0;

	if (!scratch)
		return -1;
	if (count > L7_SEGMENTS_MAX)
		count = L7_SEGMENTS_MAX;
	if (bpf_probe_read_user(scratch->segments, count * sizeof(scratch->segments[0]), (const void *)from)) {
		ring_count(faults);
		return -1;
	}
	for (__u32 i = 0; i < L7_SEGMENTS_MAX; i++) {
		if (i >= count || there < 0 || (__u32)there >= wanted)
			break;
		there = l7_take(place, i, there, wanted);
	}
	return there;
}

/* Replaces a struct msghdr by its vector. Not inlined: stacks of programs are 512 bytes in all. */
static __noinline int l7_open_message(struct l7_bytes_at *at, const struct user_message *from, const void **name)
{
	struct user_message message;

	if (!from || !at || !name)
		return 0;
	if (bpf_probe_read_user(&message, sizeof(message), from)) {
		ring_count(faults);
		return 0;
	}
	*name = message.name;
	at->shape = L7_VECTOR;
	at->from = (__u64)message.segments;
	at->count = message.count;
	return 0;
}

/* Locates the `bytes` that a call moved. `name` is set to the destination address of a datagram, if the call has one. */
static __always_inline void l7_locate(struct l7_bytes_at *at, struct task_struct *task, struct sock *sk, struct l7_socket *socket,
				      __u8 direction, __u32 bytes, const void **name)
{
	struct l7_syscall call;
	enum l7_shape shape;

	l7_read_syscall(&call, (struct pt_regs *)bpf_task_pt_regs(task));
	shape = l7_shape(call.number, direction);
	if (shape == L7_NOWHERE || l7_is_32_bit(task, false) || !l7_is_about(&call, task, sk, socket))
		return;
	if (shape == L7_MESSAGES) {
		l7_open_message(at, l7_message(&call, task, sk, bytes), name);
		return;
	}
	if (shape == L7_MESSAGE) {
		l7_open_message(at, (const struct user_message *)call.argument[1], name);
		return;
	}
	if (call.number == NR_SENDTO)
		*name = (const void *)call.argument[4];
	at->shape = shape;
	at->from = call.argument[1];
	at->count = call.argument[2];
}

/* Copies the first `wanted` bytes into the scratch; returns the same as l7_append(). */
static __noinline int l7_payload(struct l7_scratch *scratch, const struct l7_bytes_at *at, __u32 wanted)
{
	if (!scratch || !at || at->shape == L7_NOWHERE)
		return -1;
	if (at->shape == L7_VECTOR)
		return l7_gather(scratch->place, at->from, at->count, wanted);
	return l7_copy(scratch, (const void *)at->from, wanted > at->count ? at->count : wanted);
}

/* Copies more than the bytes `there` if they are an unfinished head of a message; returns the same as l7_append(). */
static __noinline int l7_whole_head(struct l7_scratch *scratch, const struct l7_bytes_at *at, struct l7_head *head, __u32 bytes, int there)
{
	int more;

	if (!scratch || !at || !head || there <= 0)
		return there;
	scratch->head = *head;
	more = l7_follow(scratch->place, bytes, there, 0);
	if (more > there) {
		more = l7_payload(scratch, at, bytes < L7_HEAD_MAX ? bytes : L7_HEAD_MAX);
		there = more > 0 ? l7_follow(scratch->place, bytes, more, there) : more;
	}
	*head = scratch->head;
	return there;
}
