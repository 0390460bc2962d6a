/* A probe of your own: signals, who sent them to whom. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <ring.h>
#include <filter.h>

char LICENSE[] SEC("license") = "GPL";

/* What it writes. The host finds it by its name, `<probe>_record`, and reads the members from BTF: each becomes a column. */
struct signal_record {
	__u64 time_ns;
	__u64 cgroup_id;
	__u64 threshold;
	__u32 pid; /* who sent it */
	__u32 uid;
	__u32 target_pid; /* to whom */
	__s32 signal;
	__s32 result; /* 0: delivered; see enum trace_signal_generate in the kernel */
	char comm[16];
	char target_comm[16];
};

RING_RECORD(signal_record);

SEC("tp_btf/signal_generate")
int BPF_PROG(signal_sent, int signal, void *info, struct task_struct *target, int group, int result)
{
	struct filter_owner owner = {};
	struct signal_record *record;
	__u64 threshold;

	owner.pid = bpf_get_current_pid_tgid() >> 32;
	owner.cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(owner.comm, sizeof(owner.comm));
	if (!filter_pid(owner.pid) || !filter_comm(owner.comm) || !filter_current_cgroup() || !filter_draw(&owner, &threshold)) {
		ring_count(filtered);
		return 0;
	}
	record = ring_reserve(sizeof(*record));
	if (!record)
		return 0;
	record->time_ns = bpf_ktime_get_ns();
	record->cgroup_id = owner.cgroup_id;
	record->threshold = threshold;
	record->pid = owner.pid;
	record->uid = bpf_get_current_uid_gid();
	record->target_pid = target->tgid;
	record->signal = signal;
	record->result = result;
	__builtin_memcpy(record->comm, owner.comm, sizeof(record->comm));
	bpf_core_read(record->target_comm, sizeof(record->target_comm), target->comm);
	ring_submit(record);
	return 0;
}
