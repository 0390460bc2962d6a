/* Plaintext of TLS libraries. Included by probe.bpf.c after l7.bpf.h. */
#pragma once

/* Called with every call on a socket that speaks TLS, and with the first calls on any other: the place to learn which socket belongs
 * to the TLS session that the current task is in. `socket->identity` may be saved; the pointer itself ends with the program. */
static __always_inline void tls_on_call(struct task_struct *task, struct sock *sk, struct l7_socket *socket, __u8 direction)
{
}
