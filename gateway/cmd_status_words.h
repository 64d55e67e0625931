/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_status_words - how status says things: spans of time, values, states, and what to try.
 *
 * Threads    Main thread.
 * Ownership  Texts are static or in the caller's array.
 * Errors     Unknown words come back as they are.
 */
#ifndef FG_CMD_STATUS_WORDS_H
#define FG_CMD_STATUS_WORDS_H

#include "json.h"

/* "850 ms", "12 s", "3 min", "5 h", "9 d": one unit is enough to judge by. */
const char *status_span(int64_t ms, char ret[32]);
/* "2026-11-22 07:00:00", in the time zone of this box. */
const char *status_time(int64_t wall_ms, char ret[32]);
/* "512 B", "1.2 MiB". */
const char *status_bytes(int64_t bytes, char ret[32]);
/* Of what has a "value": "23.4 %", "on", "-". */
const char *status_value(const cJSON *measured, const char *unit, char ret[64]);
/* "silent", in the reader's language. */
const char *status_state(const char *state);
/* What to try when a device does not give data; "" when nothing is wrong. */
const char *status_advice(const cJSON *device);
/* The same of one point. */
const char *status_point_advice(const char *quality);

#endif
