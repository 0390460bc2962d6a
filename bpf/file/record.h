/* Records of probe `file`: one per openat or openat2 that returned. Its decoder: plugins/decoder-file. */
#pragma once

#define FILE_PATH_MAX 256

struct file_record {
	__u64 time_ns;	   /* CLOCK_MONOTONIC when the call began */
	__u64 duration_ns; /* until it returned */
	__u64 cgroup_id;   /* cgroup v2 of the task */
	__u64 threshold;   /* of the kernel plan that let it through, 0 to 2^56; 0 for none */
	__u32 pid;	   /* thread group */
	__u32 tid;
	__u32 uid;
	__s32 ret;	   /* file descriptor, or -errno */
	__u32 flags;	   /* O_* as given */
	__u32 mode;	   /* as given */
	char comm[16];
	char path[];	   /* as given, NUL-terminated, at most FILE_PATH_MAX; empty if it could not be read */
};
