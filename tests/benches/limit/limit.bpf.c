/* The limit: what the kernel half of "openat with path and latency" costs when it is written as one writes it today. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "record.h"

/* Wake the reader when this much waits; else it looks by itself. */
#define WAKE_BYTES (256 * 1024)

struct call {
	__u64 time_ns;
	const char *path;
	__u32 flags;
};

struct enter {
	__u64 common;
	long number;
	unsigned long arguments[6];
};

struct leave {
	__u64 common;
	long number;
	long ret;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u32);
	__type(value, struct call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

const volatile __u32 only_pid = 0;

SEC("tp/syscalls/sys_enter_openat")
int open_enter(struct enter *context)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = id;
	struct call call = {};

	if (only_pid && id >> 32 != only_pid)
		return 0;
	call.time_ns = bpf_ktime_get_ns();
	call.path = (const char *)context->arguments[1];
	call.flags = context->arguments[2];
	bpf_map_update_elem(&calls, &tid, &call, BPF_ANY);
	return 0;
}

SEC("tp/syscalls/sys_exit_openat")
int open_exit(struct leave *context)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = id, zero = 0;
	struct call *call = bpf_map_lookup_elem(&calls, &tid);
	struct limit_record *record;

	if (!call)
		return 0;
	record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	if (!record) {
		__u64 *count = bpf_map_lookup_elem(&lost, &zero);

		if (count)
			*count += 1;
		goto out;
	}
	record->time_ns = call->time_ns;
	record->duration_ns = bpf_ktime_get_ns() - call->time_ns;
	record->cgroup_id = bpf_get_current_cgroup_id();
	record->pid = id >> 32;
	record->tid = tid;
	record->ret = context->ret;
	record->flags = call->flags;
	bpf_get_current_comm(record->comm, sizeof(record->comm));
	bpf_probe_read_user_str(record->path, sizeof(record->path), call->path);
	bpf_ringbuf_submit(record, bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= WAKE_BYTES ? BPF_RB_FORCE_WAKEUP
											     : BPF_RB_NO_WAKEUP);
out:
	bpf_map_delete_elem(&calls, &tid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
