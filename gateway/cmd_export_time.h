/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_export_time - points in time as people write them, and as files hold them.
 *
 * Threads    Pure functions (they read the time zone).
 * Ownership  Nothing is kept.
 * Errors     FG_EINVALID: not a time.
 */
#ifndef FG_CMD_EXPORT_TIME_H
#define FG_CMD_EXPORT_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define CMD_EXPORT_TIME_TEXT 32

/* Understands
 *     2026-11-21T07:00:00Z  2026-11-21T07:00:00.5+07:00   RFC 3339
 *     2026-11-21 07:00  2026-11-21 07:00:30               in the time zone of this box
 *     2026-11-21                                          the day's beginning here; where `end`: its end
 *     90s 30min 24h 7d                                    so long before now_ms
 *     now
 */
int cmd_export_time_parse(const char *text, int64_t now_ms, bool end, int64_t *ret_ms);
/* 2026-11-21T07:00:00.123Z; empty when the time is beyond the years 0 to 9999. */
void cmd_export_time_format(int64_t ms, char ret[CMD_EXPORT_TIME_TEXT]);

#endif
