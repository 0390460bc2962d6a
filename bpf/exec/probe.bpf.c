/* Executions and exits of processes. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#define RING_BYTES (2 << 20) /* 2,000 commands with all their arguments between two wake-ups of the reader */
#include "ring.h"
#include "filter.h"
#include "record.h"

char LICENSE[] SEC("license") = "GPL";

RING_RECORD(exec_record);

#define SIGNAL_GROUP_EXIT 4

/* Buffer for the record of an exec, which is too large for the stack. The bytes beyond the largest record are never used: with them the
 * verifier can bound an offset and a length without knowing their sum. */
union scratch {
	struct exec_record record;
	char bytes[sizeof(struct exec_record) + 2 * EXEC_ARGS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, union scratch);
} scratch SEC(".maps");

/* Processes that have ended, so that threads that end at the same moment report the end of their process once. */
struct ended {
	__u64 start_time;
	__u32 pid;
	__u32 spare;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct ended);
	__type(value, __u8);
} ended SEC(".maps");

/* Fills the fields that both kinds share. Returns false if the event is dropped, which is counted. */
static __always_inline bool begin(struct exec_record *record, struct task_struct *leader, const bool plain)
{
	struct filter_owner owner = {};

	owner.pid = bpf_get_current_pid_tgid() >> 32;
	owner.cgroup_id = bpf_get_current_cgroup_id();
	BPF_CORE_READ_INTO(&owner.comm, leader, comm);
	if (!filter_pid(owner.pid) || !filter_task_cgroup(plain) || !filter_comm(owner.comm) ||
	    !filter_draw(&owner, &record->threshold)) {
		ring_count(filtered);
		return false;
	}
	record->time_ns = bpf_ktime_get_ns();
	record->lifetime_ns = 0;
	record->cgroup_id = owner.cgroup_id;
	record->pid = owner.pid;
	record->parent_pid = BPF_CORE_READ(leader, real_parent, tgid);
	record->uid = bpf_get_current_uid_gid();
	record->exit_code = 0;
	record->exit_signal = 0;
	record->filename_len = 0;
	record->args_len = 0;
	__builtin_memcpy(record->comm, owner.comm, sizeof(record->comm));
	return true;
}

static __always_inline int on_exec(struct task_struct *task, struct linux_binprm *bprm, const bool plain)
{
	struct mm_struct *mm = KERNEL_READ(plain, task, mm);
	__u64 arguments, from, taken;
	struct exec_record *record;
	__u32 zero = 0;
	long length;

	record = bpf_map_lookup_elem(&scratch, &zero);
	if (!record || !begin(record, task, plain))
		return 0;
	record->kind = EXEC_KIND_EXEC;
	length = bpf_probe_read_kernel_str(record->data, EXEC_FILENAME_MAX, KERNEL_READ(plain, bprm, filename));
	if (length <= 0 || length > EXEC_FILENAME_MAX) {
		ring_count(faults);
		record->data[0] = 0;
		length = 1;
	}
	record->filename_len = length;
	from = KERNEL_READ(plain, mm, arg_start);
	arguments = KERNEL_READ(plain, mm, arg_end) - from;
	record->args_len = arguments;
	taken = arguments > EXEC_ARGS_MAX ? EXEC_ARGS_MAX : arguments;
	if (bpf_probe_read_user(record->data + length, taken, (void *)from)) {
		ring_count(faults);
		taken = 0;
	}
	ring_output(record, sizeof(*record) + length + taken);
	return 0;
}

static __always_inline int on_exit(struct task_struct *task, const bool plain)
{
	struct task_struct *leader = KERNEL_READ(plain, task, group_leader);
	struct signal_struct *signal = KERNEL_READ(plain, task, signal);
	struct exec_record record;
	struct ended process = {};
	__u8 yes = 1;
	int code;

	/* The process ends with its last thread. */
	if (KERNEL_READ(plain, signal, live.counter))
		return 0;
	process.start_time = KERNEL_READ(plain, leader, start_time);
	process.pid = KERNEL_READ(plain, task, tgid);
	if (bpf_map_update_elem(&ended, &process, &yes, BPF_NOEXIST))
		return 0;
	if (!begin(&record, leader, plain))
		return 0;
	if (KERNEL_READ(plain, signal, flags) & SIGNAL_GROUP_EXIT)
		code = KERNEL_READ(plain, signal, group_exit_code);
	else
		code = KERNEL_READ(plain, leader, exit_code);
	record.kind = EXEC_KIND_EXIT;
	record.lifetime_ns = record.time_ns - process.start_time;
	record.exit_code = (code >> 8) & 0xff;
	record.exit_signal = code & 0x7f;
	if (!code && !filter_duration(record.lifetime_ns)) {
		ring_count(filtered);
		return 0;
	}
	ring_output(&record, sizeof(record));
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	return on_exec(task, bprm, false);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(exec_exit, struct task_struct *task)
{
	return on_exit(task, false);
}

SEC("raw_tp/sched_process_exec")
int BPF_PROG(plain_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	return on_exec(task, bprm, true);
}

SEC("raw_tp/sched_process_exit")
int BPF_PROG(plain_exit, struct task_struct *task)
{
	return on_exit(task, true);
}
