/* The policy in C: keeps rows that failed or were slow, and one in N of the others. */
#include "policy.h"

#include <stdlib.h>
#include <string.h>

/* Who this is, for the host's lists: name, NUL, version. */
__asm__(".section \".custom_section.probe:plugin\",\"\",@\n.ascii \"polyglot-c\\0000.1.0\"\n.text\n");

static uint64_t slow_ns, threshold;
static bool spin;

/* A setting that is a whole number, or what holds without it; false if it is something else. */
static bool number(const char *key, uint64_t otherwise, uint64_t *value)
{
	policy_string_t name, json;

	policy_string_set(&name, key);
	*value = otherwise;
	if (!probe_plugin_config_get(&name, &json))
		return true;
	bool whole = json.len > 0 && json.len < 19;
	uint64_t read = 0;
	for (size_t i = 0; whole && i < json.len; i++) {
		whole = json.ptr[i] >= '0' && json.ptr[i] <= '9';
		read = read * 10 + (json.ptr[i] - '0');
	}
	policy_string_free(&json);
	if (whole)
		*value = read;
	return whole;
}

static bool truth(const char *key)
{
	policy_string_t name, json;

	policy_string_set(&name, key);
	if (!probe_plugin_config_get(&name, &json))
		return false;
	bool is = json.len == 4 && memcmp(json.ptr, "true", 4) == 0;
	policy_string_free(&json);
	return is;
}

/* Where the field of this use, or else of this name, is. */
static bool place(probe_plugin_schema_list_field_t *fields, int use, const char *name, uint32_t *at)
{
	for (uint32_t i = 0; i < fields->len; i++) {
		probe_plugin_schema_field_t *field = &fields->ptr[i];
		bool named = name && field->name.len == strlen(name) && memcmp(field->name.ptr, name, field->name.len) == 0;
		if (named || (!name && field->use == use)) {
			*at = i;
			return true;
		}
	}
	return false;
}

static const char *bind(probe_plugin_schema_list_field_t *fields, uint32_t wanted[3])
{
	uint64_t slow_ms, one_in;

	if (!number("slow_ms", 100, &slow_ms) || slow_ms > UINT64_MAX / 1000000)
		return "`slow_ms` is not a whole number of milliseconds";
	if (!number("one_in", 10, &one_in) || one_in > UINT32_MAX)
		return "`one_in` is not a number from 1 to 4294967295";
	if (one_in == 0)
		return "`one_in` is 0; it may be 1 to 4294967295";
	if (!place(fields, PROBE_PLUGIN_SCHEMA_FIELD_USE_DURATION, NULL, &wanted[0]))
		return "this probe's events have no duration";
	if (!place(fields, PROBE_PLUGIN_SCHEMA_FIELD_USE_ERROR, NULL, &wanted[1]))
		return "this probe's events do not tell whether they failed";
	if (!place(fields, 0, "process.pid", &wanted[2]))
		return "this probe's events have no `process.pid`";
	slow_ns = slow_ms * 1000000;
	threshold = ((1ull << 32) - (1ull << 32) / one_in) << 24;
	spin = truth("spin");
	return NULL;
}

/* The finaliser of MurmurHash3: every bit of the input reaches every bit of the output. */
static uint32_t mix(uint32_t word)
{
	word = (word ^ word >> 16) * 0x85ebca6b;
	word = (word ^ word >> 13) * 0xc2b2ae35;
	return word ^ word >> 16;
}

/* What the host hands over belongs to the plugin, which frees it; what is returned is freed after the call. */
bool exports_probe_plugin_sampler_bind(exports_probe_plugin_sampler_event_schema_t *schema, policy_string_t *config,
				       policy_list_u32_t *ret, policy_string_t *err)
{
	uint32_t wanted[3];
	const char *wrong = bind(&schema->fields, wanted);

	exports_probe_plugin_sampler_event_schema_free(schema);
	policy_string_free(config);
	if (wrong) {
		policy_string_dup(err, wrong);
		return false;
	}
	ret->len = 3;
	ret->ptr = malloc(sizeof wanted);
	memcpy(ret->ptr, wanted, sizeof wanted);
	return true;
}

bool exports_probe_plugin_sampler_decide(uint32_t rows, exports_probe_plugin_sampler_list_column_t *columns,
					 exports_probe_plugin_sampler_decisions_t *ret, policy_string_t *err)
{
	(void)err;
	while (spin)
		__asm__ volatile("");
	const uint64_t *durations = columns->ptr[0].val.u64.ptr;
	const uint32_t *offsets = columns->ptr[1].val.text.offsets.ptr;
	const uint32_t *processes = columns->ptr[2].val.u32.ptr;
	uint64_t *thresholds = malloc(rows * sizeof *thresholds);
	uint64_t *randomness = malloc(rows * sizeof *randomness);
	if (!thresholds || !randomness)
		abort();
	for (uint32_t row = 0; row < rows; row++) {
		bool kept = durations[row] > slow_ns || offsets[row] != offsets[row + 1];
		thresholds[row] = kept ? 0 : threshold;
		randomness[row] = (uint64_t)mix(processes[row]) << 24;
	}
	ret->thresholds.ptr = thresholds;
	ret->thresholds.len = rows;
	ret->randomness.ptr = randomness;
	ret->randomness.len = rows;
	exports_probe_plugin_sampler_list_column_free(columns);
	return true;
}

bool exports_probe_plugin_sampler_tune(exports_probe_plugin_sampler_stats_t *stats,
				       exports_probe_plugin_sampler_kernel_plan_t *ret)
{
	(void)stats;
	(void)ret;
	return false;
}
