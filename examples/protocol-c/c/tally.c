/* What is remembered of connections, and how frames become rows. All of it has a fixed size: nobody can make it grow. */
#include "tally.h"

#include <string.h>

#define CONNECTIONS 1024
#define WAYS 8
#define WAITING 16
/* A day: as long as its connection lives, a request that waits is no error. */
#define TIMEOUT_NS 86400000000000ull

struct waiting {
	uint64_t time_ns;
	uint32_t sequence;
	uint16_t number;
	uint8_t operation; /* 0: nothing waits here */
};

/* The bytes of one end, put in order. */
struct stream {
	uint32_t next; /* sequence number of the next byte */
	uint32_t skip; /* bytes of a body that go by */
	uint64_t head_ns;
	uint32_t head_sequence;
	uint8_t head[HEADER]; /* of the next frame, as much as has come */
	uint8_t have;
	bool known;
	bool lost; /* until a call begins with a frame */
};

struct connection {
	uint64_t id; /* 0: free */
	uint64_t used_ns;
	struct link link;
	struct stream streams[2]; /* of the client, of the server */
	struct waiting waiting[WAITING];
	bool proven; /* a frame was seen */
};

struct row rows[MOST_ROWS];
uint32_t row_count;
struct conversation disowned[MOST_DISOWNED];
uint32_t disowned_count;
static struct connection connections[CONNECTIONS];

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static bool emit(struct connection *c, struct waiting *w, uint64_t end_ns, uint32_t bytes, uint8_t status, enum ending ending)
{
	if (row_count == MOST_ROWS)
		return false;
	rows[row_count++] = (struct row){
		.time_ns = w->time_ns,
		.duration_ns = end_ns > w->time_ns ? end_ns - w->time_ns : 0,
		.sequence = w->sequence,
		.bytes = bytes,
		.operation = w->operation,
		.status = status,
		.ending = ending,
		.link = c->link,
	};
	w->operation = 0;
	return true;
}

/* Gives up what waits on a connection. */
static bool give_up(struct connection *c, uint64_t now_ns, enum ending ending)
{
	bool room = true;

	for (int i = 0; i < WAITING; i++)
		if (c->waiting[i].operation)
			room &= emit(c, &c->waiting[i], now_ns, 0, 0, ending);
	return room;
}

/* The same on all connections of which nothing came since `until_ns`, from either end. */
static bool give_up_all(uint64_t until_ns, uint64_t now_ns, enum ending ending)
{
	bool room = true;

	for (int i = 0; i < CONNECTIONS; i++)
		if (connections[i].id && connections[i].used_ns <= until_ns)
			room &= give_up(&connections[i], now_ns, ending);
	return room;
}

static uint32_t hash_end(const uint8_t *address, uint16_t port)
{
	uint64_t words[2];

	memcpy(words, address, sizeof words);
	return mix(mix(mix(7, words[0]), words[1]), port) >> 32;
}

static void learn(struct link *l, const struct l7_record *r)
{
	bool client = r->role == L7_ROLE_CLIENT;

	l->cgroup = r->cgroup_id;
	l->pid = r->pid;
	l->family = r->family;
	l->kind = client ? 3 : 2;
	l->flags |= r->flags & (L7_TLS | L7_PEER_LOCAL);
	l->server_port = client ? r->remote_port : r->local_port;
	l->client_port = client ? r->local_port : r->remote_port;
	memcpy(l->server, client ? r->remote_address : r->local_address, 16);
	memcpy(l->client, client ? r->local_address : r->remote_address, 16);
	memcpy(l->comm, r->comm, 16);
	l->tuple = hash_end(l->client, l->client_port) * 31 + hash_end(l->server, l->server_port);
}

/* The connection of a record, known or new. A full set of the table forgets the one that was silent longest. */
static struct connection *find(const struct l7_record *r, bool *room)
{
	uint64_t id = r->connection ^ (r->flags & L7_TLS ? 1ull << 63 : 0);
	struct connection *set = &connections[mix(1, id) % (CONNECTIONS / WAYS) * WAYS];
	struct connection *oldest = set;

	for (int i = 0; i < WAYS; i++) {
		if (set[i].id == id)
			return &set[i];
		if (set[i].used_ns < oldest->used_ns)
			oldest = &set[i];
	}
	if (oldest->id)
		*room &= give_up(oldest, r->time_ns, UNFINISHED);
	memset(oldest, 0, sizeof *oldest);
	oldest->id = id;
	return oldest;
}

static bool ask(struct connection *c, const struct stream *s, uint8_t operation, uint16_t number)
{
	struct waiting *place = c->waiting;
	bool room = true;

	for (int i = 0; i < WAITING; i++) {
		if (!c->waiting[i].operation) {
			place = &c->waiting[i];
			break;
		}
		if (c->waiting[i].time_ns < place->time_ns)
			place = &c->waiting[i];
	}
	if (place->operation)
		room = emit(c, place, s->head_ns, 0, 0, UNFINISHED);
	*place = (struct waiting){ s->head_ns, s->head_sequence, number, operation };
	return room;
}

static bool answer(struct connection *c, const uint8_t *head, uint32_t length, uint64_t time_ns)
{
	uint16_t number = head[4] << 8 | head[5];

	for (int i = 0; i < WAITING; i++)
		if (c->waiting[i].operation == (head[2] ^ ANSWER) && c->waiting[i].number == number)
			return emit(c, &c->waiting[i], time_ns, length, head[3], ANSWERED);
	return true; /* its request was not seen */
}

static bool is_header(const uint8_t *head)
{
	uint8_t operation = head[2] & ~ANSWER;

	return head[0] == MAGIC0 && head[1] == MAGIC1 && operation >= 1 && operation <= 4 && (head[2] & ANSWER || !head[3]);
}

static bool frame(struct connection *c, struct stream *s, uint64_t time_ns)
{
	const uint8_t *head = s->head;
	bool is_answer = head[2] & ANSWER;

	c->proven = true;
	s->have = 0;
	s->skip = head[6] << 8 | head[7];
	if (is_answer != (s == &c->streams[1]))
		return true; /* the wrong end */
	return is_answer ? answer(c, head, s->skip, time_ns) : ask(c, s, head[2], head[4] << 8 | head[5]);
}

static void lose(struct stream *s)
{
	s->have = 0;
	s->skip = 0;
	s->lost = true;
}

/* The bytes of a call, of which `length` were captured. */
static bool data(struct connection *c, struct stream *s, const struct l7_record *r, uint32_t length)
{
	const uint8_t *bytes = r->payload;
	uint32_t at = 0, ahead = r->sequence - s->next;
	bool room = true;

	if (s->known && (int32_t)ahead < 0)
		return true; /* late, or twice */
	if (s->known && ahead) {
		if (ahead <= s->skip)
			s->skip -= ahead; /* what was lost is of a body */
		else
			lose(s);
	}
	s->known = true;
	s->next = r->sequence + r->total;
	if (s->lost) {
		if (length < HEADER || !is_header(bytes))
			return true;
		s->lost = false;
	}
	while (at < length) {
		uint32_t left = length - at, step = s->skip < left ? s->skip : left;
		if (step) {
			s->skip -= step;
			at += step;
			continue;
		}
		if (!s->have) {
			s->head_ns = r->time_ns;
			s->head_sequence = r->sequence + at;
		}
		s->head[s->have++] = bytes[at++];
		if (s->have < HEADER)
			continue;
		if (!is_header(s->head)) {
			if (!c->proven && disowned_count < MOST_DISOWNED)
				disowned[disowned_count++] = (struct conversation){ r->connection, r->flags & L7_TLS };
			lose(s);
			return room;
		}
		room &= frame(c, s, r->time_ns);
	}
	if (r->total - length > s->skip)
		lose(s); /* more is missing than a body that goes by */
	else
		s->skip -= r->total - length;
	return room;
}

bool tally_record(const struct l7_record *r, uint32_t payload_bytes)
{
	bool room = true;
	struct connection *c;

	if (r->kind == L7_TICK)
		return give_up_all(r->time_ns > TIMEOUT_NS ? r->time_ns - TIMEOUT_NS : 0, r->time_ns, TIMEOUT);
	if (r->kind == L7_FLUSH)
		return give_up_all(UINT64_MAX, r->time_ns, UNFINISHED);
	c = find(r, &room);
	c->used_ns = r->time_ns;
	if (r->kind == L7_END) {
		room &= give_up(c, r->time_ns, CLOSED);
		memset(c, 0, sizeof *c);
		return room;
	}
	learn(&c->link, r);
	if (payload_bytes > r->total)
		payload_bytes = r->total;
	bool from_server = (r->role == L7_ROLE_CLIENT) == (r->direction == L7_RECEIVED);
	return room & data(c, &c->streams[from_server], r, payload_bytes);
}

uint8_t tally_opinion(const uint8_t *bytes, size_t length)
{
	if (length < HEADER)
		return 1; /* cannot tell yet */
	return !is_header(bytes) ? 0 : bytes[2] & ANSWER ? 4 : 3;
}

const char *tally_operation(uint8_t operation)
{
	static const char *const names[] = { "", "get", "add", "set", "list" };
	return operation < 5 ? names[operation] : "";
}

const char *tally_status(uint8_t status)
{
	static const char *const names[] = { "ok", "not_found", "refused", "failed" };
	return names[status < 3 ? status : 3];
}
