/* Captures heads of messages whole, even if little is captured of each call: the trace, the host and the length of a request are in its
 * head, and a token or a few cookies push them beyond the bytes that suffice of a body. HTTP/1: from a method or `HTTP/1.` to the empty
 * line. HTTP/2: frames of fields. A head may span many calls, and a call may have many heads (pipelines). Include after l7.bpf.h.
 *
 * The functions that read bytes are global and take numbers only, so that kernels before Linux 5.12 verify them only once as well. */
#pragma once

#define L7_BLOCK 512	    /* bytes that l7_find_end() searches */
#define L7_BLOCKS_MAX 64    /* maximum number of blocks and heads of one call that are searched */
#define L7_FRAMES_MAX 64    /* maximum number of frames of one call that are read */
#define L7_BEHIND_HEAD 256  /* bytes captured after a long head: they include the size line of a first chunk */

#define L7_WORD(a, b, c, d) ((__u32)(a) | (__u32)(b) << 8 | (__u32)(c) << 16 | (__u32)(d) << 24)
#define L7_EMPTY_LINE L7_WORD('\r', '\n', '\r', '\n')
#define L7_LINE_FEEDS 0x0a0a0a0a0a0a0a0aULL
#define L7_LOW_BITS 0x0101010101010101ULL
#define L7_HIGH_BITS 0x8080808080808080ULL

enum l7_frame {
	L7_FRAME_HEADER = 9, /* length of the header */
	L7_FRAME_FIELDS = 1,
	L7_FRAME_PROMISE = 5,
	L7_FRAME_FIELDS_ON = 9,
	L7_FRAME_LONGEST = 16384, /* largest frame that is allowed without a setting of the peer */
	L7_PREFACE = 24,
};

/* Whether an HTTP/1 message can begin with these four bytes. */
__noinline int l7_begins_message(__u32 word)
{
	switch (word) {
	case L7_WORD('H', 'T', 'T', 'P'):
	case L7_WORD('G', 'E', 'T', ' '):
	case L7_WORD('P', 'O', 'S', 'T'):
	case L7_WORD('P', 'U', 'T', ' '):
	case L7_WORD('H', 'E', 'A', 'D'):
	case L7_WORD('D', 'E', 'L', 'E'):
	case L7_WORD('P', 'A', 'T', 'C'):
	case L7_WORD('O', 'P', 'T', 'I'):
	case L7_WORD('C', 'O', 'N', 'N'):
	case L7_WORD('T', 'R', 'A', 'C'):
	case L7_WORD('Q', 'U', 'E', 'R'):
	case L7_WORD('P', 'R', 'O', 'P'):
	case L7_WORD('M', 'K', 'C', 'O'):
	case L7_WORD('R', 'E', 'P', 'O'):
	case L7_WORD('S', 'E', 'A', 'R'):
	case L7_WORD('L', 'O', 'C', 'K'):
	case L7_WORD('U', 'N', 'L', 'O'):
	case L7_WORD('C', 'O', 'P', 'Y'):
	case L7_WORD('M', 'O', 'V', 'E'):
	case L7_WORD('P', 'U', 'R', 'G'):
		return 1;
	}
	return 0;
}

static __always_inline char *l7_bytes(struct l7_scratch *scratch)
{
	return scratch->bytes + sizeof(struct l7_record);
}

/* Returns the end of the first empty line in the block that begins at `from`; 0 if it has none. Reads up to seven bytes outside of the
 * block, which are within the buffer. */
__noinline int l7_find_end(__u32 place, __u32 from, __u32 there)
{
	struct l7_scratch *scratch = l7_scratch(place);
	__u64 word, feeds, before, behind;
	__u32 at;

	if (!scratch || from >= L7_HEAD_MAX)
		return 0;
	if (there > L7_HEAD_MAX)
		there = L7_HEAD_MAX;
	for (__u32 i = 0; i < L7_BLOCK / 8; i++) {
		const char *bytes = l7_bytes(scratch);

		at = from + i * 8;
		if (at >= there)
			return 0;
		bytes += at;
		word = *(__u64 *)bytes ^ L7_LINE_FEEDS;
		feeds = (word - L7_LOW_BITS) & ~word & L7_HIGH_BITS;
		if (!feeds)
			continue;
		before = *(__u64 *)(bytes - 3);
		behind = *(__u64 *)(bytes + 1);
		if ((__u32)before == L7_EMPTY_LINE)
			at += 1;
		else if ((__u32)(before >> 8) == L7_EMPTY_LINE)
			at += 2;
		else if ((__u32)(before >> 16) == L7_EMPTY_LINE)
			at += 3;
		else if ((__u32)(before >> 24) == L7_EMPTY_LINE)
			at += 4;
		else if (before >> 32 == L7_EMPTY_LINE)
			at += 5;
		else if ((__u32)(behind >> 8) == L7_EMPTY_LINE)
			at += 6;
		else if ((__u32)(behind >> 16) == L7_EMPTY_LINE)
			at += 7;
		else if ((__u32)(behind >> 24) == L7_EMPTY_LINE)
			at += 8;
		else
			continue;
		return at <= there ? at : 0;
	}
	return 0;
}

/* Returns the end of a frame of fields that begins in these bytes and extends beyond them; 0 if there is none or they are not frames. */
__noinline int l7_find_fields(__u32 place, __u32 from, __u32 there)
{
	struct l7_scratch *scratch = l7_scratch(place);

	if (!scratch)
		return 0;
	for (__u32 i = 0; i < L7_FRAMES_MAX; i++) {
		__u32 length;
		__u8 *frame;

		if (from >= L7_HEAD_MAX || from + L7_FRAME_HEADER > there)
			return 0;
		frame = (__u8 *)l7_bytes(scratch) + from;
		length = frame[0] << 16 | frame[1] << 8 | frame[2];
		if (length > L7_FRAME_LONGEST || frame[3] > 9 || frame[5] & 0x80)
			return 0;
		from += L7_FRAME_HEADER + length;
		if (from > there)
			return frame[3] == L7_FRAME_FIELDS || frame[3] == L7_FRAME_PROMISE || frame[3] == L7_FRAME_FIELDS_ON ? from : 0;
	}
	return 0;
}

/* Returns the last three bytes of a head, the first of them lowest: its end may be split between two calls. */
static __always_inline __u32 l7_last(struct l7_scratch *scratch, __u32 last, __u32 there)
{
	__u64 all = last | (__u64)(*(__u32 *)l7_bytes(scratch) & 0xffffff) << 24;

	if (there < 3)
		return all >> 8 * there & 0xffffff;
	if (there > L7_HEAD_MAX)
		return 0;
	return *(__u32 *)(l7_bytes(scratch) + there - 4) >> 8;
}

/* Whether an end that began in the previous call is completed in this one. */
static __always_inline bool l7_is_parted(struct l7_scratch *scratch, __u32 last, __u32 there)
{
	__u64 all = last | (*(__u64 *)l7_bytes(scratch)) << 24;

	return (__u32)all == L7_EMPTY_LINE || (there > 1 && (__u32)(all >> 8) == L7_EMPTY_LINE) ||
	       (there > 2 && (__u32)(all >> 16) == L7_EMPTY_LINE);
}

/* Makes one step through heads: returns the next offset to search, minus the end if they end, 0 if the last extends beyond `there`. */
__noinline int l7_step(__u32 place, __u32 from, __u32 there)
{
	struct l7_scratch *scratch = l7_scratch(place);
	int end = l7_find_end(place, from, there);

	if (!scratch)
		return 0;
	if (end <= 0)
		return from + L7_BLOCK < there ? from + L7_BLOCK : 0;
	if (end >= L7_HEAD_MAX || end + 4 > there || !l7_begins_message(*(__u32 *)(l7_bytes(scratch) + end)))
		return -end;
	return end;
}

/* Returns the end of the heads of a call, searched from `from` on; 0 if the last extends beyond `there`. Both are global functions, so
 * that the verifier knows nothing of the number that each step returns, and need not follow every value that it may have. */
__noinline int l7_heads_end(__u32 place, __u32 from, __u32 there)
{
	int at = from;

	for (__u32 i = 0; i < L7_BLOCKS_MAX && at >= 0; i++) {
		at = l7_step(place, at, there);
		if (at <= 0)
			return -at;
	}
	return there;
}

/* Follows the heads of the scratch's direction through a call of `total` bytes, of which `there` are captured. Returns the number to
 * capture: if it is larger than `there`, capture them and call it again with the old `there` as `before`, which else is 0. */
__noinline int l7_follow(__u32 place, __u32 total, __u32 there, __u32 before)
{
	struct l7_scratch *scratch = l7_scratch(place);
	__u32 first, end, from = 0;
	struct l7_head *head;
	int step;

	if (!scratch)
		return there;
	head = &scratch->head;
	if (!before) {
		first = *(__u32 *)l7_bytes(scratch);
		if (there >= 4 && l7_begins_message(first)) {
			head->kind = L7_LINES;
			head->left = L7_HEAD_MAX;
			head->last = 0;
		} else if (!head->left) {
			head->kind = L7_FRAMES;
			from = first == L7_WORD('P', 'R', 'I', ' ') ? L7_PREFACE : 0;
		} else if (head->kind == L7_LINES && l7_is_parted(scratch, head->last, there)) {
			head->left = 0;
			return there;
		}
	}
	if (head->kind == L7_FRAMES) {
		end = head->left > there ? head->left : l7_find_fields(place, head->left ?: from, there);
		if (end > there && there < total && !before)
			return L7_HEAD_MAX;
		head->left = end > total ? end - total : 0;
		return there;
	}
	/* The common case: the call ends with its head. */
	end = there - 4;
	barrier_var(end); /* else clang compares another register than it uses, and verifiers before Linux 6.8 do not see the bound */
	if (there == total && end <= L7_HEAD_MAX - 4 && *(__u32 *)(l7_bytes(scratch) + end) == L7_EMPTY_LINE) {
		head->left = 0;
		return there;
	}
	/* Searches the last block again: a head that ended where the capture did may have a successor. */
	from = before > L7_BLOCK ? before - L7_BLOCK : 0;
	step = l7_step(place, from, there);
	end = step > 0 ? l7_heads_end(place, step, there) : -step;
	if (end && (before || end + 4 <= there || there == total)) {
		head->left = 0;
		end += L7_BEHIND_HEAD;
		return !before ? there : end < before ? before : end < there ? end : there;
	}
	if (there < total && !before)
		return L7_HEAD_MAX;
	if (there < total || head->left <= total) {
		/* Longer than the maximum of a head. */
		head->left = 0;
		return there;
	}
	head->left -= total;
	head->last = l7_last(scratch, head->last, there);
	return there;
}

/* Writes a record from one piece of user memory, for callers without the socket that saved its identity: `total` bytes at `from`, of
 * which `capture` (from l7_capture()) are captured, or more if they are a head. */
static __always_inline void l7_emit(struct l7_scratch *scratch, const struct l7_identity *identity, struct l7_head *head,
				    __u8 direction, __u8 flags, __u32 sequence, __u32 total, const void *from, __u32 capture)
{
	struct l7_caller caller = l7_caller(current_task(false), false);
	__u32 wanted = total < capture ? total : capture;
	int payload;

	l7_fill(&scratch->record, identity, &caller, direction, flags, sequence, total, false);
	payload = l7_copy(scratch, from, wanted);
	if (payload > 0) {
		int more;

		scratch->head = *head;
		more = l7_follow(scratch->place, total, payload, 0);
		if (more > payload) {
			more = l7_copy(scratch, from, total < L7_HEAD_MAX ? total : L7_HEAD_MAX);
			payload = more > 0 ? l7_follow(scratch->place, total, more, payload) : more;
		}
		*head = scratch->head;
	}
	l7_write(scratch, payload);
}
