/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_space - keeps the database below its cap, and forgets delivered records that are old enough.
 *
 * Threads    The writer, inside a transaction.
 * Ownership  -
 * Errors     FG_EFULL when nothing is left to remove; else as store_db.h. The caller restores the snapshot.
 *
 * Age is counted in running time, never by the wall clock: a clock that jumps expires nothing.
 */
#ifndef FG_STORE_SPACE_H
#define FG_STORE_SPACE_H

#include "store_internal.h"

/* Removes the oldest records, those that wait for nobody first, until so many pages can be written. */
int store_space_make(struct store *s, int64_t pages);
/* Removes at most so many delivered records that are older than keep_delivered. */
int store_space_expire(struct store *s, uint64_t max_records);
/* From time to time remembers which record was the newest at this running time. */
int store_space_mark(struct store *s, int64_t now_mono_ms);
/* Running time over all runs. */
int64_t store_space_run_ms(const struct store *s, int64_t now_mono_ms);

#endif
