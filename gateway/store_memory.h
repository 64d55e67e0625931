/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_memory - what the store does while the disk refuses writes, or a large damaged file is being saved:
 * the same tables, in memory, under a stream of their own, until the disk takes the records over.
 *
 * Threads    Whoever holds the store's turn; those that begin or end something only the writer, or
 *            store_open().
 * Ownership  The state is the store's; store_memory_fini().
 * Errors     As store_db.h; everything is then as before, and may be tried again.
 *
 * One number divides the records: those below memory.first are in the file, the others in memory. What was in
 * the file stays readable there (not while it is being saved), and acknowledgements are remembered. When the
 * disk works again the records move over under their own numbers, oldest first, a transaction at a time; new
 * ones queue up behind them, so that order holds.
 */
#ifndef FG_STORE_MEMORY_H
#define FG_STORE_MEMORY_H

#include "store_internal.h"

/* ---- where a record is ---- */

/* The connection whose tables have the row of seq. Its file may not be open: its statements are NULL then,
 * and fail. */
struct store_db *store_db_at(struct store *s, uint64_t seq);
/* The last number that can be in the same database as seq. */
uint64_t store_db_end(const struct store *s, uint64_t seq);
/* Whether the row of seq cannot be had for now: its file is not open, mostly because it is being saved. */
bool store_is_away(const struct store *s, uint64_t seq);
bool store_is_durable(const struct store *s, uint64_t seq);
/* The numbers that can be in s->db, where the present transaction works. */
uint64_t store_part_first(const struct store *s);
uint64_t store_part_last(const struct store *s);
/* Records that are in memory only. */
uint64_t store_memory_records(const struct store *s);

/* ---- going over and back ---- */

void store_memory_init(struct store *s, const struct store_options *options);
void store_memory_fini(struct store *s);
/* From now on s->db is in memory, and the event that opens its stream stands in front of the group. */
int store_memory_begin(struct store *s);
/* The same because the file is damaged and too large to be saved at once. */
int store_memory_begin_repair(struct store *s);
/* The same at the start, with nothing known of the file: for a store that store_opening_find() left in
 * whatever state. FG_EINVALID: it is not the disk that is at fault; the note is then as it was. */
int store_memory_start(struct store *s, const struct store_options *options, int err);
/* When it is time to ask the disk again: opens the file or takes one transaction's worth of records over to
 * it. */
void store_memory_try(struct store *s);
/* The next time for it; INT64_MAX: never. */
int64_t store_memory_due_mono_ms(const struct store *s);

#endif
