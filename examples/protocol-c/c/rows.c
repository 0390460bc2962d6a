#include "rows.h"

#include <stdlib.h>
#include <string.h>

#include "tally.h"

#define USE(name) PROBE_PLUGIN_SCHEMA_FIELD_USE_##name
#define TYPE(name) PROBE_PLUGIN_COLUMNS_COLUMN_TYPE_##name

/* No text of a row is longer: an IPv6 address has 39 bytes. */
#define LONGEST 48

enum field {
	TIME, DURATION, ERROR, KIND, CORRELATION, METHOD, STATUS, SERVER, SERVER_PORT, CLIENT, CLIENT_PORT, TRANSPORT, PROTOCOL, TLS,
	PID, COMM, CGROUP, SIZE, FIELDS,
};

static const struct {
	const char *name, *unit;
	uint8_t type, use, sensitivity;
	bool omit_zero;
} fields_of[FIELDS] = {
	[TIME] = { "time", "", TYPE(U64), USE(TIME) },
	[DURATION] = { "duration", "ns", TYPE(U64), USE(DURATION) },
	[ERROR] = { "error.type", "", TYPE(TEXT), USE(ERROR) },
	[KIND] = { "kind", "", TYPE(U32), USE(KIND) },
	[CORRELATION] = { "correlation", "", TYPE(U64), USE(CORRELATION) },
	[METHOD] = { "request.method", "", TYPE(TEXT), USE(DIMENSION) },
	[STATUS] = { "response.status", "", TYPE(TEXT), USE(DIMENSION), .omit_zero = true },
	[SERVER] = { "server.address", "", TYPE(TEXT), USE(PLAIN), .omit_zero = true },
	[SERVER_PORT] = { "server.port", "", TYPE(U32), USE(DIMENSION), .omit_zero = true },
	[CLIENT] = { "client.address", "", TYPE(TEXT), USE(PLAIN), PROBE_PLUGIN_SCHEMA_SENSITIVITY_IDENTITY, true },
	[CLIENT_PORT] = { "client.port", "", TYPE(U32), USE(PLAIN), .omit_zero = true },
	[TRANSPORT] = { "network.transport", "", TYPE(TEXT), USE(PLAIN) },
	[PROTOCOL] = { "network.protocol.name", "", TYPE(TEXT), USE(DIMENSION) },
	[TLS] = { "tls.established", "", TYPE(BOOLEAN), USE(PLAIN) },
	[PID] = { "process.pid", "", TYPE(U32), USE(PLAIN), .omit_zero = true },
	[COMM] = { "process.executable.name", "", TYPE(TEXT), USE(DIMENSION), .omit_zero = true },
	[CGROUP] = { "linux.cgroup.id", "", TYPE(U64), USE(PLAIN), .omit_zero = true },
	[SIZE] = { "tally.response.size", "By", TYPE(U32), USE(PLAIN), .omit_zero = true },
};

static void *piece(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		abort();
	return memory;
}

static void metric(probe_plugin_schema_metric_t *metric, const char *name, const char *description, uint32_t kind)
{
	protocol_plugin_string_dup(&metric->name, name);
	protocol_plugin_string_dup(&metric->description, description);
	metric->instrument = PROBE_PLUGIN_SCHEMA_INSTRUMENT_HISTOGRAM;
	metric->value = DURATION;
	metric->only.ptr = piece(sizeof *metric->only.ptr);
	metric->only.len = 1;
	metric->only.ptr[0] = (probe_plugin_schema_condition_t){ .field = KIND, .equals = kind };
}

void rows_schema(exports_probe_plugin_decoder_event_schema_t *schema)
{
	protocol_plugin_string_dup(&schema->event, "tally.request");
	schema->signal = PROBE_PLUGIN_SCHEMA_SIGNAL_SPAN;
	schema->fields.len = FIELDS;
	schema->fields.ptr = piece(FIELDS * sizeof *schema->fields.ptr);
	for (int i = 0; i < FIELDS; i++) {
		probe_plugin_schema_field_t *field = &schema->fields.ptr[i];
		protocol_plugin_string_dup(&field->name, fields_of[i].name);
		protocol_plugin_string_dup(&field->unit, fields_of[i].unit);
		field->column_type = fields_of[i].type;
		field->use = fields_of[i].use;
		field->sensitivity = fields_of[i].sensitivity;
		field->omit_zero = fields_of[i].omit_zero;
	}
	schema->metrics.len = 2;
	schema->metrics.ptr = piece(2 * sizeof *schema->metrics.ptr);
	/* One for each end: `host requests` shows both. */
	metric(&schema->metrics.ptr[0], "tally.server.request.duration", "How long servers take.", 2);
	metric(&schema->metrics.ptr[1], "tally.client.request.duration", "How long clients wait.", 3);
}

/* The same number at both ends; 0 for a server whose client is not on this node. */
static uint64_t correlation(const struct row *row)
{
	if (row->link.kind == 2 && !(row->link.flags & L7_PEER_LOCAL))
		return 0;
	return ((uint64_t)row->link.tuple << 32 | row->sequence) | 1ull << 63;
}

static uint64_t number(const struct row *row, uint32_t field)
{
	switch (field) {
	case TIME: return row->time_ns;
	case DURATION: return row->duration_ns;
	case KIND: return row->link.kind;
	case CORRELATION: return correlation(row);
	case SERVER_PORT: return row->link.server_port;
	case CLIENT_PORT: return row->link.client_port;
	case TLS: return row->link.flags & L7_TLS;
	case PID: return row->link.pid;
	case CGROUP: return row->link.cgroup;
	case SIZE: return row->bytes;
	default: return 0;
	}
}

static size_t put_text(uint8_t *to, const char *text)
{
	size_t length = strlen(text);

	memcpy(to, text, length);
	return length;
}

static size_t put_number(uint8_t *to, uint32_t number, uint32_t base)
{
	uint8_t digits[10];
	size_t length = 0;

	do
		digits[length++] = "0123456789abcdef"[number % base];
	while (number /= base);
	for (size_t i = 0; i < length; i++)
		to[i] = digits[length - 1 - i];
	return length;
}

static size_t put_address(uint8_t *to, uint16_t family, const uint8_t *address)
{
	size_t length = 0;

	for (int i = 0; family == 2 && i < 4; i++) {
		if (i)
			to[length++] = '.';
		length += put_number(to + length, address[i], 10);
	}
	for (int i = 0; family == 10 && i < 16; i += 2) {
		if (i)
			to[length++] = ':';
		length += put_number(to + length, address[i] << 8 | address[i + 1], 16);
	}
	return length;
}

static size_t put_comm(uint8_t *to, const char *comm)
{
	size_t length = 0;

	/* The host wants UTF-8, and a process may be called anything. */
	for (; length < 16 && comm[length]; length++)
		to[length] = comm[length] >= ' ' && comm[length] < 127 ? comm[length] : '?';
	return length;
}

static size_t put_error(uint8_t *to, const struct row *row)
{
	static const char *const endings[] = { "", "timeout", "connection_closed", "unfinished" };

	if (row->ending != ANSWERED)
		return put_text(to, endings[row->ending]);
	return row->status ? put_text(to, tally_status(row->status)) : 0;
}

static size_t put(uint8_t *to, const struct row *row, uint32_t field)
{
	switch (field) {
	case ERROR: return put_error(to, row);
	case METHOD: return put_text(to, tally_operation(row->operation));
	case STATUS: return row->ending == ANSWERED ? put_text(to, tally_status(row->status)) : 0;
	case SERVER: return put_address(to, row->link.family, row->link.server);
	case CLIENT: return put_address(to, row->link.family, row->link.client);
	case TRANSPORT: return put_text(to, "tcp");
	case PROTOCOL: return put_text(to, "tally");
	case COMM: return put_comm(to, row->link.comm);
	default: return 0;
	}
}

static void column(const uint32_t *chosen, uint32_t count, uint32_t field, exports_probe_plugin_decoder_column_t *column)
{
#define ROW(i) (&rows[chosen ? chosen[i] : (i)])
	column->tag = fields_of[field].type; /* cases and types stand in the same order */
	switch (column->tag) {
	case TYPE(BOOLEAN):
		column->val.boolean.len = count;
		column->val.boolean.ptr = piece(count);
		for (uint32_t i = 0; i < count; i++)
			column->val.boolean.ptr[i] = number(ROW(i), field) != 0;
		break;
	case TYPE(U32):
		column->val.u32.len = count;
		column->val.u32.ptr = piece(count * sizeof(uint32_t));
		for (uint32_t i = 0; i < count; i++)
			column->val.u32.ptr[i] = number(ROW(i), field);
		break;
	case TYPE(U64):
		column->val.u64.len = count;
		column->val.u64.ptr = piece(count * sizeof(uint64_t));
		for (uint32_t i = 0; i < count; i++)
			column->val.u64.ptr[i] = number(ROW(i), field);
		break;
	default: {
		uint32_t *offsets = piece((count + 1) * sizeof *offsets);
		uint8_t *bytes = piece(count * LONGEST);
		offsets[0] = 0;
		for (uint32_t i = 0; i < count; i++)
			offsets[i + 1] = offsets[i] + put(bytes + offsets[i], ROW(i), field);
		column->val.text.offsets.ptr = offsets;
		column->val.text.offsets.len = count + 1;
		column->val.text.bytes.ptr = bytes;
		column->val.text.bytes.len = offsets[count];
	}
	}
#undef ROW
}

bool rows_columns(const uint32_t *chosen, uint32_t count, const protocol_plugin_list_u32_t *fields,
		  exports_probe_plugin_decoder_list_column_t *columns)
{
	for (size_t i = 0; i < fields->len; i++)
		if (fields->ptr[i] >= FIELDS)
			return false;
	for (uint32_t i = 0; chosen && i < count; i++)
		if (chosen[i] >= row_count)
			return false;
	columns->len = fields->len;
	columns->ptr = piece(fields->len * sizeof *columns->ptr);
	for (size_t i = 0; i < fields->len; i++)
		column(chosen, count, fields->ptr[i], &columns->ptr[i]);
	return true;
}
