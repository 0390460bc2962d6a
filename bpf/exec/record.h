/* Records of probe `exec`: one when a process executes a program, one when a process exits.
 * Its decoder: plugins/decoder-exec. */
#pragma once

#define EXEC_FILENAME_MAX 256
#define EXEC_ARGS_MAX 1024

enum exec_kind {
	EXEC_KIND_EXEC = 1,
	EXEC_KIND_EXIT = 2,
};

struct exec_record {
	__u64 time_ns;	    /* CLOCK_MONOTONIC of the exec or the exit */
	__u64 lifetime_ns;  /* exit: time since the process started; exec: 0 */
	__u64 cgroup_id;    /* cgroup v2 of the task */
	__u64 threshold;    /* of the kernel plan that let it through, 0 to 2^56; 0 for none */
	__u32 pid;	    /* thread group */
	__u32 parent_pid;   /* thread group of the real parent */
	__u32 uid;
	__u32 kind;	    /* enum exec_kind */
	__s32 exit_code;    /* exit: 0 to 255 */
	__u32 exit_signal;  /* exit: the signal that ended it, or 0 */
	__u32 filename_len; /* length of the file name in data, its NUL included */
	__u32 args_len;	    /* length of all arguments; if data has fewer bytes, they were cut */
	char comm[16];
	char data[];	    /* file name, NUL, then the arguments, each ended by a NUL */
};
