/* Rows as columns. */
#pragma once
#include "protocol_plugin.h"

/* What the rows mean. */
void rows_schema(exports_probe_plugin_decoder_event_schema_t *schema);

/* The columns of these fields, for `count` rows: those with these indices, or all if `chosen` is NULL. False if there is no such
 * field or row. */
bool rows_columns(const uint32_t *chosen, uint32_t count, const protocol_plugin_list_u32_t *fields,
		  exports_probe_plugin_decoder_list_column_t *columns);
