/* Opens: openat and openat2, from call to return.
 *
 * The tracepoints of the two system calls fire for nothing else. If they cannot be attached (no tracefs), the fallback programs
 * run at every system call of every task, at about 80 ns each. Both exist a second time, for old kernels. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "ring.h"
#include "filter.h"
#include "record.h"

char LICENSE[] SEC("license") = "GPL";

RING_RECORD(file_record);

/* A call that has begun. Stored in the task, which needs neither a lock nor an allocation per call; time_ns is 0 between calls. */
struct call {
	__u64 time_ns;
	__u64 threshold;
	const char *path;
	__u32 flags;
	__u32 mode;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct call);
} calls SEC(".maps");

#define PLAIN_CALLS_MAX 8192 /* maximum number of tasks in such a call at the same moment */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PLAIN_CALLS_MAX);
	__type(key, __u64); /* process and thread */
	__type(value, struct call);
} plain_calls SEC(".maps");

/* struct open_how, user memory of openat2 */
struct open_how_head {
	__u64 flags;
	__u64 mode;
};

/* Members of the task are loaded directly where possible: five helper calls would add a quarter to the cost of a record. */
static __always_inline bool passes(struct task_struct *task, __u64 *threshold, const bool plain)
{
	struct filter_owner owner = {.pid = KERNEL_READ(plain, task, tgid)};

	if (!filter_pid(owner.pid) || !filter_task_cgroup(plain))
		return false;
	if (filter.by_comm || filter_plans.active) {
		read_comm(owner.comm, task, plain);
		if (!filter_comm(owner.comm))
			return false;
		owner.cgroup_id = KERNEL_READ(plain, task, cgroups, dfl_cgrp, kn, id);
	}
	return filter_draw(&owner, threshold);
}

static __always_inline struct call *plain_call_of(__u64 flags)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call none = {};

	if (flags)
		bpf_map_update_elem(&plain_calls, &thread, &none, BPF_ANY);
	return bpf_map_lookup_elem(&plain_calls, &thread);
}

static __always_inline void plain_forget(void)
{
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&plain_calls, &thread);
}

static __always_inline struct call *call_of(struct task_struct *task, __u64 flags, const bool plain)
{
	return plain ? plain_call_of(flags) : bpf_task_storage_get(&calls, task, 0, flags);
}

static __always_inline int begin(const char *path, __u32 flags, __u32 mode, const bool plain)
{
	struct task_struct *task = current_task(plain);
	struct call *call;
	__u64 threshold;

	if (!passes(task, &threshold, plain)) {
		ring_count(filtered);
		return 0;
	}
	call = call_of(task, BPF_LOCAL_STORAGE_GET_F_CREATE, plain);
	if (!call) {
		ring_count(untracked);
		return 0;
	}
	call->threshold = threshold;
	call->path = path;
	call->flags = flags;
	call->mode = mode;
	call->time_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int begin_openat2(const char *path, const void *how, const bool plain)
{
	struct open_how_head head = {};

	if (bpf_probe_read_user(&head, sizeof(head), how))
		ring_count(faults);
	return begin(path, head.flags, head.mode, plain);
}

/* The path is read at the return: the kernel has just read it, so its page is in memory. The record is built on the stack, which is
 * in the CPU's cache and not shared by programs that interrupt each other, and only its used bytes are copied into the ring. */
static __always_inline int end(__s32 ret, const bool plain)
{
	union {
		struct file_record record;
		char bytes[sizeof(struct file_record) + FILE_PATH_MAX];
	} on_stack;
	struct task_struct *task = current_task(plain);
	struct file_record *record = &on_stack.record;
	struct call *call;
	__u64 now;
	long length;

	if (!filter_pid(KERNEL_READ(plain, task, tgid)))
		return 0;
	call = call_of(task, 0, plain);
	if (!call || !call->time_ns)
		return 0;
	now = bpf_ktime_get_ns();
	record->time_ns = call->time_ns;
	record->duration_ns = now - call->time_ns;
	call->time_ns = 0;
	if (ret >= 0 && !filter_duration(record->duration_ns)) {
		ring_count(filtered);
		if (plain)
			plain_forget();
		return 0;
	}
	record->cgroup_id = KERNEL_READ(plain, task, cgroups, dfl_cgrp, kn, id);
	record->threshold = call->threshold;
	record->pid = KERNEL_READ(plain, task, tgid);
	record->tid = KERNEL_READ(plain, task, pid);
	record->uid = KERNEL_READ(plain, task, cred, uid.val);
	record->ret = ret;
	record->flags = call->flags;
	record->mode = call->mode;
	read_comm((__u64 *)record->comm, task, plain);
	length = bpf_probe_read_user_str(record->path, FILE_PATH_MAX, call->path);
	if (length <= 0 || length > FILE_PATH_MAX) {
		ring_count(faults);
		record->path[0] = 0;
		length = 1;
	}
	ring_output(record, sizeof(*record) + length);
	if (plain)
		plain_forget();
	return 0;
}

/* === the two system calls === */

SEC("tp/syscalls/sys_enter_openat")
int file_enter_openat(struct trace_event_raw_sys_enter *ctx)
{
	return begin((const char *)ctx->args[1], ctx->args[2], (__u16)ctx->args[3], false);
}

SEC("tp/syscalls/sys_exit_openat")
int file_exit_openat(struct trace_event_raw_sys_exit *ctx)
{
	return end(ctx->ret, false);
}

SEC("tp/syscalls/sys_enter_openat2")
int file_enter_openat2(struct trace_event_raw_sys_enter *ctx)
{
	return begin_openat2((const char *)ctx->args[1], (const void *)ctx->args[2], false);
}

SEC("tp/syscalls/sys_exit_openat2")
int file_exit_openat2(struct trace_event_raw_sys_exit *ctx)
{
	return end(ctx->ret, false);
}

SEC("tp/syscalls/sys_enter_openat")
int plain_enter_openat(struct trace_event_raw_sys_enter *ctx)
{
	return begin((const char *)ctx->args[1], ctx->args[2], (__u16)ctx->args[3], true);
}

SEC("tp/syscalls/sys_exit_openat")
int plain_exit_openat(struct trace_event_raw_sys_exit *ctx)
{
	return end(ctx->ret, true);
}

SEC("tp/syscalls/sys_enter_openat2")
int plain_enter_openat2(struct trace_event_raw_sys_enter *ctx)
{
	return begin_openat2((const char *)ctx->args[1], (const void *)ctx->args[2], true);
}

SEC("tp/syscalls/sys_exit_openat2")
int plain_exit_openat2(struct trace_event_raw_sys_exit *ctx)
{
	return end(ctx->ret, true);
}

/* === all system calls, if those cannot be attached === */

#define NR_OPENAT2 437
#if defined(__TARGET_ARCH_x86)
#define NR_OPENAT 257
#elif defined(__TARGET_ARCH_arm64)
#define NR_OPENAT 56
#endif

/* Whether the task is 32-bit, which has other system call numbers. */
static __always_inline bool is_32_bit(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(task, thread_info.status) & 2; /* TS_COMPAT */
#elif defined(__TARGET_ARCH_arm64)
	return BPF_CORE_READ(task, thread_info.flags) & (1 << 22); /* TIF_32BIT */
#endif
}

static __always_inline int enter(struct pt_regs *regs, long id, const bool plain)
{
	const char *path;

	if ((id != NR_OPENAT && id != NR_OPENAT2) || is_32_bit())
		return 0;
	path = (const char *)PT_REGS_PARM2_CORE_SYSCALL(regs);
	if (id == NR_OPENAT2)
		return begin_openat2(path, (const void *)PT_REGS_PARM3_CORE_SYSCALL(regs), plain);
	return begin(path, PT_REGS_PARM3_CORE_SYSCALL(regs), (__u16)PT_REGS_PARM4_CORE_SYSCALL(regs), plain);
}

SEC("raw_tp/sys_enter")
int BPF_PROG(fallback_enter, struct pt_regs *regs, long id)
{
	return enter(regs, id, false);
}

/* Also runs at the return of other system calls, for which end() finds no call. */
SEC("raw_tp/sys_exit")
int BPF_PROG(fallback_exit, struct pt_regs *regs, long ret)
{
	return end(ret, false);
}

SEC("raw_tp/sys_enter")
int BPF_PROG(plain2_enter, struct pt_regs *regs, long id)
{
	return enter(regs, id, true);
}

SEC("raw_tp/sys_exit")
int BPF_PROG(plain2_exit, struct pt_regs *regs, long ret)
{
	return end(ret, true);
}
