/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_export_format - stored records as lines of CSV or JSON.
 *
 * Threads    Pure functions.
 * Ownership  The caller's buffer.
 * Errors     Only through the buffer (buf_ok).
 *
 * One line per reading; a point that was not due in a poll has none, a poll that failed as a whole has one
 * per point. Numbers are the stored text, digit for digit. Times are UTC.
 *
 * CSV as in RFC 4180, with a head line. Every line has the same columns:
 *     stream,seq,time,ts,clock,layout,device,point,value,unit,quality,doubtful,missed,event
 * An event is a line of its own with everything from device to missed empty, and in `event` the JSON text
 * that is also published. `missed` (periods skipped before this sample) stands on the first line of its
 * sample only, so that it can be summed.
 *
 * JSONL: an object per line with the same names. What is empty in CSV is absent, but for `value`, which is
 * null. `event` is an object.
 */
#ifndef FG_CMD_EXPORT_FORMAT_H
#define FG_CMD_EXPORT_FORMAT_H

#include "buf.h"
#include "layout.h"
#include "store_export.h"

enum cmd_export_format { CMD_EXPORT_CSV, CMD_EXPORT_JSONL };

/* What comes before the first record. */
void cmd_export_format_head(enum cmd_export_format format, struct buf *out);
/* layout: the record's, NULL when it is lost. Returns how many lines. */
size_t cmd_export_format_record(enum cmd_export_format format, const struct layout *layout,
                                const struct store_export_record *record, struct buf *out);

#endif
