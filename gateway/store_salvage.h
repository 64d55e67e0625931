/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_salvage - what to do with a damaged database: it is set aside, never deleted, and what can still be
 * read goes on in a new one under its old numbers.
 *
 * Threads    store_open() before the writer runs, or the writer with the store's turn.
 * Ownership  -
 * Errors     As store_db.h, about the new database; damage in the old one is what this is for. FG_ERETRY from
 * all of it: a large file is being read by a thread (store_salvage_job.h), and the same call takes the result
 * once it has ended. Until then the store works in memory (store_memory.h).
 */
#ifndef FG_STORE_SALVAGE_H
#define FG_STORE_SALVAGE_H

#include "store_internal.h"

/* Builds a new database from what is whole in the one at s->path (not open now), sets that one aside as
 * ret_kept_as and puts the new one in its place, not yet opened. What is missing between the first and the
 * last record becomes holes, and meta `floor` the highest number that is known to have been given, at least
 * `given`. Until all is done the damaged file stays where it is, so that an interruption only means to begin
 * again. */
int store_salvage(struct store *s, uint64_t given, struct buf *ret_kept_as, struct err_note *note);
/* When an interruption fell between the last two steps: finishes. FG_ENOTFOUND when there is nothing to
 * finish. */
int store_salvage_resume(const char *path);
/* In a running store whose database turned out to be damaged: sets it aside, salvages, begins a new stream,
 * commits the group. On failure the connection is closed (s->db.db is NULL) and it can be called again. */
int store_repair(struct store *s);

#endif
