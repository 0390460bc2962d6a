/* What `limit` moves per event: the same facts as probe `file`, in a record of fixed size. */
#pragma once

struct limit_record {
	__u64 time_ns;
	__u64 duration_ns;
	__u64 cgroup_id;
	__u32 pid;
	__u32 tid;
	__s32 ret;
	__u32 flags;
	char comm[16];
	char path[256];
};

_Static_assert(sizeof(struct limit_record) == 312, "the record that is compared with");
