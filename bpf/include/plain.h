/* Two ways to the same. From Linux 5.13 on programs can have pointers whose types the verifier knows, and storage in tasks and sockets.
 * *Plain* programs do without either, and without the kernel's own BTF: they copy what they read, and remember in hash maps.
 *
 * `plain` is a constant wherever it stands, so each program has one of the two and asks nothing while it runs. The host loads
 * `plain_...` programs, and makes `plain_...` maps, only where the others cannot be had (host/kernel/src/choice.rs). */
#pragma once

#include <bpf/bpf_core_read.h>

/* For every pointer that is read from such a task, the verifier of Linux 6.2 and later goes through the names of all types of the
 * kernel, several times, in each state in which it comes there. It is most of what loading takes: read pointers before the ways
 * part, and leave to a global function what is rarely done. */
static __always_inline struct task_struct *current_task(const bool plain)
{
	return plain ? (struct task_struct *)bpf_get_current_task() : bpf_get_current_task_btf();
}

/* What is at the end of a chain of pointers: KERNEL_READ(plain, task, cred, uid.val). */
#define KERNEL_READ(plain, from, ...)                                                                                          \
	({                                                                                                                     \
		__typeof__(___arrow(from, __VA_ARGS__)) kernel_read;                                                           \
		if (plain)                                                                                                     \
			BPF_CORE_READ_INTO(&kernel_read, from, __VA_ARGS__);                                                   \
		else                                                                                                           \
			kernel_read = ___arrow(from, __VA_ARGS__);                                                             \
		kernel_read;                                                                                                   \
	})

/* The 16 bytes of a name. */
static __always_inline void read_comm(__u64 *comm, struct task_struct *task, const bool plain)
{
	if (plain) {
		bpf_core_read(comm, 16, &task->comm);
		return;
	}
	comm[0] = ((__u64 *)task->comm)[0];
	comm[1] = ((__u64 *)task->comm)[1];
}
