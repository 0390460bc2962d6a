/* What the host calls: the interfaces `decoder` and `protocol` of wit/v0.1. */
#include "protocol_plugin.h"

#include <stdlib.h>
#include <string.h>

#include "rows.h"
#include "tally.h"

/* Who this is, for the host's lists: name, NUL, version. */
__asm__(".section \".custom_section.probe:plugin\",\"\",@\n.ascii \"decoder-tally\\0000.1.0\"\n.text\n");

#define KIND(name) PROBE_PLUGIN_LAYOUT_MEMBER_KIND_##name
#define MEMBER(member, kind) { #member, offsetof(struct l7_record, member), sizeof((struct l7_record *)0)->member, KIND(kind) }

/* The members that are read. The host compares them with what the object really writes. */
static const struct {
	const char *name;
	uint32_t offset, size;
	uint8_t kind;
} members[] = {
	MEMBER(time_ns, UNSIGNED), MEMBER(connection, UNSIGNED), MEMBER(cgroup_id, UNSIGNED), MEMBER(sequence, UNSIGNED),
	MEMBER(total, UNSIGNED), MEMBER(pid, UNSIGNED), MEMBER(family, UNSIGNED), MEMBER(local_port, UNSIGNED),
	MEMBER(remote_port, UNSIGNED), MEMBER(kind, UNSIGNED), MEMBER(direction, UNSIGNED), MEMBER(role, UNSIGNED),
	MEMBER(flags, UNSIGNED), MEMBER(local_address, BYTES), MEMBER(remote_address, BYTES), MEMBER(comm, CHARS),
	{ "payload", offsetof(struct l7_record, payload), 0, KIND(BYTES) },
};
#define MEMBERS (sizeof members / sizeof *members)

/* A record lies anywhere in a run; here its numbers are where numbers may be. */
#define RECORD_BYTES 8192
static union {
	struct l7_record record;
	uint8_t bytes[RECORD_BYTES];
} place;

static void *piece(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		abort();
	return memory;
}

bool exports_probe_plugin_decoder_expects(protocol_plugin_string_t *probe, exports_probe_plugin_decoder_record_layout_t *ret)
{
	protocol_plugin_string_free(probe);
	protocol_plugin_string_dup(&ret->name, "l7_record");
	ret->size = sizeof(struct l7_record);
	ret->members.len = MEMBERS;
	ret->members.ptr = piece(MEMBERS * sizeof *ret->members.ptr);
	for (size_t i = 0; i < MEMBERS; i++) {
		protocol_plugin_string_dup(&ret->members.ptr[i].name, members[i].name);
		ret->members.ptr[i].offset = members[i].offset;
		ret->members.ptr[i].size = members[i].size;
		ret->members.ptr[i].kind = members[i].kind;
	}
	return true;
}

bool exports_probe_plugin_decoder_bind(protocol_plugin_string_t *probe, exports_probe_plugin_decoder_record_layout_t *record,
				       protocol_plugin_string_t *config, exports_probe_plugin_decoder_event_schema_t *ret,
				       protocol_plugin_string_t *err)
{
	bool bare = config->len == 0 || (config->len == 2 && memcmp(config->ptr, "{}", 2) == 0);

	protocol_plugin_string_free(probe);
	exports_probe_plugin_decoder_record_layout_free(record);
	protocol_plugin_string_free(config);
	if (!bare) {
		protocol_plugin_string_dup(err, "this decoder has no settings: leave `config` out");
		return false;
	}
	rows_schema(ret);
	return true;
}

bool exports_probe_plugin_decoder_decode(protocol_plugin_list_u8_t *run, protocol_plugin_list_u32_t *fields,
					 exports_probe_plugin_decoder_decoded_t *ret, protocol_plugin_string_t *err)
{
	/* As many as there may be: a record has a header of 8 bytes. */
	uint32_t *undecodable = piece(run->len / 8 * sizeof *undecodable);
	uint32_t undecodables = 0, index = 0;
	const char *wrong = NULL;

	row_count = 0;
	disowned_count = 0;
	for (size_t at = 0; at < run->len;) {
		uint32_t header = 0, length;
		if (run->len - at < 8) {
			wrong = "a record has no header";
			break;
		}
		memcpy(&header, run->ptr + at, sizeof header);
		length = header & 0x3fffffff;
		if (length > run->len - at - 8) {
			wrong = "a record goes past the end of the run";
			break;
		}
		if (!(header & 1u << 30)) {
			uint32_t bytes = length < RECORD_BYTES ? length : RECORD_BYTES;
			memcpy(place.bytes, run->ptr + at + 8, bytes);
			bool whole = length >= sizeof(struct l7_record);
			if (!whole || !tally_record(&place.record, bytes - sizeof(struct l7_record)))
				undecodable[undecodables++] = index;
			index++;
		}
		at += 8 + ((size_t)length + 7) / 8 * 8;
	}
	protocol_plugin_list_u8_free(run);
	if (!wrong && !rows_columns(NULL, row_count, fields, &ret->columns))
		wrong = "there is no such field";
	protocol_plugin_list_u32_free(fields);
	if (wrong) {
		row_count = 0;
		free(undecodable);
		protocol_plugin_string_dup(err, wrong);
		return false;
	}
	ret->rows = row_count;
	ret->undecodable.ptr = undecodable;
	ret->undecodable.len = undecodables;
	return true;
}

bool exports_probe_plugin_decoder_complete(protocol_plugin_list_u32_t *chosen, protocol_plugin_list_u32_t *fields,
					   exports_probe_plugin_decoder_list_column_t *ret, protocol_plugin_string_t *err)
{
	bool done = rows_columns(chosen->ptr, chosen->len, fields, ret);

	protocol_plugin_list_u32_free(chosen);
	protocol_plugin_list_u32_free(fields);
	if (!done)
		protocol_plugin_string_dup(err, "there is no such row or field");
	return done;
}

void exports_probe_plugin_protocol_describe(exports_probe_plugin_protocol_description_t *ret)
{
	exports_probe_plugin_protocol_signature_t *signature = piece(sizeof *signature);

	memset(ret, 0, sizeof *ret);
	memset(signature, 0, sizeof *signature);
	protocol_plugin_string_dup(&ret->name, "tally");
	/* Two bytes could be anyone's: what begins so is looked at. */
	signature->sender = EXPORTS_PROBE_PLUGIN_PROTOCOL_SENDER_EITHER;
	signature->transport = EXPORTS_PROBE_PLUGIN_PROTOCOL_TRANSPORT_TCP;
	signature->bytes.len = 2;
	signature->bytes.ptr = piece(2);
	signature->bytes.ptr[0] = MAGIC0;
	signature->bytes.ptr[1] = MAGIC1;
	ret->signatures.ptr = signature;
	ret->signatures.len = 1;
	ret->ports.len = 1;
	ret->ports.ptr = piece(sizeof *ret->ports.ptr);
	ret->ports.ptr[0] = 7547;
	ret->capture_bytes = 128;
}

void exports_probe_plugin_protocol_recognise(exports_probe_plugin_protocol_beginnings_t *beginnings, protocol_plugin_list_u8_t *ret)
{
	const uint32_t *offsets = beginnings->payloads.offsets.ptr;

	ret->len = beginnings->senders.len;
	ret->ptr = piece(ret->len);
	for (size_t i = 0; i < ret->len; i++)
		ret->ptr[i] = tally_opinion(beginnings->payloads.bytes.ptr + offsets[i], offsets[i + 1] - offsets[i]);
	exports_probe_plugin_protocol_beginnings_free(beginnings);
}

void exports_probe_plugin_protocol_disowned(exports_probe_plugin_protocol_disowned_conversations_t *ret)
{
	ret->connections.len = ret->tls.len = ret->records.len = ret->bytes.len = disowned_count;
	ret->connections.ptr = piece(disowned_count * sizeof *ret->connections.ptr);
	ret->tls.ptr = piece(disowned_count * sizeof *ret->tls.ptr);
	ret->records.ptr = piece(disowned_count * sizeof *ret->records.ptr);
	ret->bytes.ptr = piece(disowned_count * sizeof *ret->bytes.ptr);
	for (uint32_t i = 0; i < disowned_count; i++) {
		ret->connections.ptr[i] = disowned[i].connection;
		ret->tls.ptr[i] = disowned[i].tls;
		ret->records.ptr[i] = UINT32_MAX; /* all of it: a tally is never left for another protocol */
		ret->bytes.ptr[i] = 0;
	}
}
