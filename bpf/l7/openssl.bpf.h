/* Plaintext of OpenSSL. Included by tls.bpf.h.
 *
 * A call is stored in its thread from its entry to its return, and may have nested calls. Offsets of the uprobes:
 * host/kernel/src/uprobe/code.rs. */
#pragma once

/* Whether the buffer begins with a TLS record: TLS within TLS. The header of a record is read and written first. */
static __always_inline bool tls_is_cipher(__u64 buffer)
{
	__u8 head[3] = {};

	if (bpf_probe_read_user(head, sizeof(head), (void *)buffer))
		return false;
	return head[0] >= 0x14 && head[0] <= 0x17 && head[1] == 3 && head[2] <= 4;
}

static __always_inline bool tls_reads(__u32 site)
{
	return site == TLS_READ || site == TLS_READ_EX;
}

static __always_inline bool tls_writes(__u32 site)
{
	return site == TLS_WRITE || site == TLS_WRITE_EX;
}

/* Whether this call is made by the library to implement the outer one: LibreSSL's SSL_read_ex calls SSL_read, BoringSSL's SSL_read
 * calls SSL_do_handshake. */
static __always_inline bool tls_is_part(const struct tls_frame *outer, const struct tls_frame *frame)
{
	if (outer->ssl != frame->ssl)
		return false;
	if (frame->site == TLS_HANDSHAKE)
		return true;
	return outer->buffer == frame->buffer && ((tls_reads(outer->site) && tls_reads(frame->site)) ||
						  (tls_writes(outer->site) && tls_writes(frame->site)));
}

/* Returns a free frame for a call that begins at this stack address, or TLS_FRAMES. Also frees calls that were left by a jump. */
static __always_inline __u32 tls_free_frame(struct tls_thread *thread, __u64 stack)
{
	__u32 found = TLS_FRAMES, elsewhere = TLS_FRAMES;

	for (__u32 i = 0; i < TLS_FRAMES; i++) {
		struct tls_frame *frame = &thread->frames[i];

		if (frame->ssl && stack - frame->stack < TLS_STACK_BYTES)
			frame->ssl = 0;
		if (!frame->ssl)
			found = i;
		else if (frame->stack - stack >= TLS_STACK_BYTES)
			elsewhere = i;
	}
	return found < TLS_FRAMES ? found : elsewhere;
}

SEC("uprobe.multi")
int tls_enter(struct pt_regs *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 site = bpf_get_attach_cookie(ctx);
	struct tls_frame frame = {
		.ssl = PT_REGS_PARM1(ctx),
		.stack = TLS_STACK(ctx),
		.buffer = PT_REGS_PARM2(ctx),
		.bytes = PT_REGS_PARM4(ctx),
		.site = site,
	};
	struct tls_session *session;
	struct tls_thread *thread;
	struct tls_key key = {};
	__u32 index;

	if (!l7_passes(task, false))
		return 0;
	key.owner = tls_owner(task);
	key.object = frame.ssl;
	if (site == TLS_FORGET) {
		tls_forget(&key);
		return 0;
	}
	thread = bpf_task_storage_get(&tls_threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		ring_count(untracked);
		return 0;
	}
	thread->owner = key.owner;
	session = bpf_map_lookup_elem(&tls_sessions, &key);
	index = tls_innermost(thread, frame.stack);
	if (index < TLS_FRAMES) {
		struct tls_frame *outer = &thread->frames[index];

		if (tls_is_part(outer, &frame))
			return 0;
		frame.within = outer->within || outer->ssl != frame.ssl;
		if (frame.within) {
			frame.carrier = session && session->carrier;
			if (!frame.carrier && tls_writes(site))
				frame.carrier = tls_is_cipher(frame.buffer);
		}
	}
	index = tls_free_frame(thread, frame.stack);
	if (index >= TLS_FRAMES) {
		if (site != TLS_HANDSHAKE)
			ring_count(untracked);
		return 0;
	}
	thread->frames[index] = frame;
	if (!session || !session->bound)
		__sync_fetch_and_add(&tls_epoch, 1);
	return 0;
}

/* Programs that move the ciphertext themselves (memory BIOs: Python's asyncio, Node.js) read it and pass it to OpenSSL next. So a call that
 * used no socket, by a thread that has just read from one whose session is not known, belongs to that socket. */
static __always_inline void tls_claim(struct tls_thread *thread, struct tls_key *key)
{
	struct tls_key by_socket = {.object = thread->read};
	struct tls_session *session = tls_session(key);

	thread->read = 0;
	if (!session || session->bound || session->named)
		return;
	tls_identify(session, &thread->read_identity);
	/* The socket finds the session by this entry. */
	tls_session(&by_socket);
	tls_by_socket = 1;
}

SEC("uretprobe.multi")
int tls_return(struct pt_regs *ctx)
{
	struct tls_thread *thread = bpf_task_storage_get(&tls_threads, bpf_get_current_task_btf(), 0, 0);
	__u64 stack = TLS_STACK_AT_RETURN(ctx), total;
	int returned = TLS_RETURNED(ctx);
	struct tls_session *session;
	__u32 index = TLS_FRAMES;
	struct tls_frame frame;
	struct tls_key key;

	if (!thread)
		return 0;
	for (__u32 i = 0; i < TLS_FRAMES; i++)
		if (thread->frames[i].ssl && thread->frames[i].stack == stack)
			index = i;
	if (index >= TLS_FRAMES)
		return 0;
	frame = thread->frames[index];
	thread->frames[index].ssl = 0;
	key.owner = thread->owner;
	key.object = frame.ssl;
	if (thread->read && !frame.bound && !frame.within)
		tls_claim(thread, &key);
	if (returned <= 0 || frame.site == TLS_HANDSHAKE)
		return 0;
	total = returned;
	if ((frame.site == TLS_READ_EX || frame.site == TLS_WRITE_EX) &&
	    bpf_probe_read_user(&total, sizeof(total), (void *)frame.bytes)) {
		ring_count(faults);
		return 0;
	}
	session = total ? tls_session(&key) : 0;
	if (!session)
		return 0;
	if (frame.within && (frame.carrier || tls_is_cipher(frame.buffer))) {
		/* The session whose ciphertext this is writes the records. */
		session->carrier = 1;
		session->sequence[tls_reads(frame.site) ? L7_RECEIVED : L7_SENT] += total;
		return 0;
	}
	if (!session->bound && !session->named)
		tls_name(session, &key);
	return tls_emit(session, tls_reads(frame.site) ? L7_RECEIVED : L7_SENT, total, (void *)frame.buffer);
}
