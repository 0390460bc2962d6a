/* The ring of a probe, its counters, and the wake-up of its reader.
 *
 * Include once per object, after vmlinux.h and bpf/bpf_helpers.h. Write records with ring_output(), or with ring_reserve() and
 * ring_submit(); name the record's type once with RING_RECORD(). */
#pragma once

#ifndef RING_BYTES
#define RING_BYTES (8 << 20) /* default; the loader may set another size */
#endif

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} ring SEC(".maps");

/* Puts the BTF of `struct NAME_record` into the object, from which the host reads its layout. */
#define RING_RECORD(type) struct type *ring_record_type SEC(".data.record")

/* Number of counter slots. CPUs that are equal modulo this share a slot; atomic additions keep it exact. */
#define RING_SLOTS 256

/* One cache line per CPU. A record is counted as begun before it enters the ring, and as produced once it is in the ring or lost. So
 * `produced` never counts ahead, and a reader that finds fewer produced than begun knows that it has to wait a moment. */
struct ring_counters {
	__u64 begun;
	__u64 produced;	 /* records that passed the filters, lost ones included */
	__u64 lost;	 /* no room in the ring */
	__u64 filtered;	 /* hits that a filter or the plan dropped */
	__u64 faults;	 /* reads of user memory that failed; the record has no text */
	__u64 untracked; /* hits whose state could not be stored for lack of memory */
	__u64 spare[2];
};

/* A reader that is about to sleep sets `wake_at` to the number of bytes worth a wake-up, then `waiting`. The first record with which
 * the ring has that many clears `waiting` and wakes it: one wake-up per sleep, none while it works. If a record on another CPU
 * misses `waiting`, the next record sees it. */
struct ring_reader {
	__u64 wake_at;
	__u64 waiting;
	__u64 version; /* of the structs in ring.h and filter.h; the host refuses any other */
	__u64 spare[5];
};

#define RING_VERSION 1

/* Mapped into the host: counters are read without a system call. */
struct ring_state {
	struct ring_reader reader;
	struct ring_counters counters[RING_SLOTS];
};

struct ring_state ring_state SEC(".data.ring") __attribute__((aligned(64))) = {.reader.version = RING_VERSION};

static __always_inline struct ring_counters *ring_counters(void)
{
	return &ring_state.counters[bpf_get_smp_processor_id() & (RING_SLOTS - 1)];
}

/* Counts one hit: ring_count(filtered). */
#define ring_count(member) ((void)__sync_fetch_and_add(&ring_counters()->member, 1))

static __always_inline __u64 ring_wakeup(__u64 arriving)
{
	volatile struct ring_reader *reader = &ring_state.reader;

	if (!reader->waiting || bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) + arriving < reader->wake_at)
		return BPF_RB_NO_WAKEUP;
	reader->waiting = 0;
	return BPF_RB_FORCE_WAKEUP;
}

/* Copies a record of `size` bytes into the ring, or counts it as lost. */
static __always_inline void ring_output(void *record, __u64 size)
{
	ring_count(begun);
	if (bpf_ringbuf_output(&ring, record, size, ring_wakeup(size + 8)))
		ring_count(lost);
	ring_count(produced);
}

/* Reserves a record of constant size; NULL if the ring is full, which is counted as lost. */
static __always_inline void *ring_reserve(__u64 size)
{
	void *record = bpf_ringbuf_reserve(&ring, size, 0);

	if (!record) {
		ring_count(begun);
		ring_count(lost);
		ring_count(produced);
	}
	return record;
}

/* Submits a reserved record. */
static __always_inline void ring_submit(void *record)
{
	ring_count(begun);
	bpf_ringbuf_submit(record, ring_wakeup(0));
	ring_count(produced);
}
