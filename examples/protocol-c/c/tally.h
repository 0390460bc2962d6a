/* Tally: counters that are asked for by number, in any order.
 *
 *	0  magic      c7 54
 *	2  operation  1 get, 2 add, 3 set, 4 list; in an answer with 80 added
 *	3  status     0 in a request; in an answer 0 ok, 1 not found, 2 refused, else failed
 *	4  number     16 bits, big endian: the answer has that of its request
 *	6  length     16 bits, big endian: of what follows, which nobody here looks at
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t __u8;
typedef uint16_t __u16;
typedef uint32_t __u32;
typedef uint64_t __u64;
/* The record is the one that the BPF program writes. */
#include "../../../bpf/l7/record.h"

#define HEADER 8
#define MAGIC0 0xc7
#define MAGIC1 0x54
#define ANSWER 0x80

/* What all rows of a connection have. */
struct link {
	uint64_t cgroup;
	uint32_t pid;
	uint32_t tuple; /* of both ends, equal at both */
	uint16_t family, server_port, client_port;
	uint8_t kind;	/* 2 server, 3 client: the numbers of OpenTelemetry */
	uint8_t flags;	/* enum l7_flags */
	uint8_t server[16], client[16];
	char comm[16];
};

/* A request that was answered, or was given up. */
struct row {
	uint64_t time_ns, duration_ns;
	uint32_t sequence, bytes;
	uint8_t operation, status;
	uint8_t ending; /* enum ending */
	struct link link;
};

enum ending {
	ANSWERED,
	TIMEOUT,
	CLOSED,
	UNFINISHED,
};

/* Rows of a batch. Over that a record is undecodable, which the host counts. */
#define MOST_ROWS 32768
extern struct row rows[MOST_ROWS];
extern uint32_t row_count;

/* Conversations of the last batch that speak something else, and have since they began. */
#define MOST_DISOWNED 256
struct conversation {
	uint64_t connection;
	bool tls;
};
extern struct conversation disowned[MOST_DISOWNED];
extern uint32_t disowned_count;

/* Takes a record in; false if there was no room for a row of it. */
bool tally_record(const struct l7_record *record, uint32_t payload_bytes);

/* How sure one can be that these bytes begin a frame: what `recognise` returns. */
uint8_t tally_opinion(const uint8_t *bytes, size_t length);

const char *tally_operation(uint8_t operation);
const char *tally_status(uint8_t status);
