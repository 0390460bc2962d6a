/* Two variants of each program. From Linux 5.13 on programs can have pointers whose types the verifier knows, and storage in tasks and
 * sockets. *Plain* programs need neither, nor the kernel's own BTF: they copy what they read, and keep state in hash maps.
 *
 * `plain` is always a compile-time constant, so each program has one of the variants and no branch at run time. The host loads
 * `plain_...` programs, and creates `plain_...` maps, only if the kernel lacks support for the others (host/kernel/src/choice.rs). */
#pragma once

#include <bpf/bpf_core_read.h>

/* For every pointer that is read from such a task, the verifier of Linux 6.2 and later searches the names of all types of the
 * kernel, several times, in each state in which it gets there. This is most of the time for loading: read pointers before the code
 * branches, and put rare work into a global function. */
static __always_inline struct task_struct *current_task(const bool plain)
{
	return plain ? (struct task_struct *)bpf_get_current_task() : bpf_get_current_task_btf();
}

/* Reads the value at the end of a chain of pointers: KERNEL_READ(plain, task, cred, uid.val). */
#define KERNEL_READ(plain, from, ...)                                                                                          \
	({                                                                                                                     \
		__typeof__(___arrow(from, __VA_ARGS__)) kernel_read;                                                           \
		if (plain)                                                                                                     \
			BPF_CORE_READ_INTO(&kernel_read, from, __VA_ARGS__);                                                   \
		else                                                                                                           \
			kernel_read = ___arrow(from, __VA_ARGS__);                                                             \
		kernel_read;                                                                                                   \
	})

/* Reads the 16 bytes of a task's name. */
static __always_inline void read_comm(__u64 *comm, struct task_struct *task, const bool plain)
{
	if (plain) {
		bpf_core_read(comm, 16, &task->comm);
		return;
	}
	comm[0] = ((__u64 *)task->comm)[0];
	comm[1] = ((__u64 *)task->comm)[1];
}
