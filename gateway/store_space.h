/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_space - keeps the database below its cap, and forgets delivered records that are old enough.
 *
 * Threads    The writer, inside a transaction; store_space_older() whoever holds the store's turn.
 * Ownership  -
 * Errors     FG_EFULL when nothing is left to remove; else as store_db.h. The caller restores the snapshot.
 *
 * Age is counted in running time, never by the wall clock: a clock that jumps expires nothing. A mark says
 * which record was the newest at a running time; it is remembered as long as the longest age that is asked
 * for.
 */
#ifndef FG_STORE_SPACE_H
#define FG_STORE_SPACE_H

#include "store_internal.h"

/* Removes the oldest records, those that wait for nobody first, until so many pages can be written. */
int store_space_make(struct store *s, int64_t pages);
/* Removes at most so many delivered records that are older than keep_delivered. */
int store_space_expire(struct store *s, uint64_t max_records);
/* From time to time remembers which record was the newest at this running time. */
int store_space_mark(struct store *s);
/* The newest record that was certainly committed so long ago, 0: none is. Never one too young; one that is
 * old enough may be missed for a sixteenth of the time, at most an hour. */
int store_space_older(struct store *s, int64_t age_ms, uint64_t *ret_seq);
/* Running time over all runs. */
int64_t store_space_run_ms(const struct store *s);

#endif
