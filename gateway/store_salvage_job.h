/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_salvage_job - the long part of saving a damaged database: reads it from end to end and builds a new
 * one from what is whole, at once or in a thread of its own.
 *
 * Threads    Whoever opens or writes the store; the job's own thread works on files only, and on nothing
 *            of the store's.
 * Ownership  store_salvage_job_new()/store_salvage_job_free(), which ends a job that runs.
 * Errors     As store_db.h, about the new database; damage in the old one is what this is for.
 *
 * The damaged file must not be open in this process meanwhile: to look at its first page closes a descriptor
 * of it, and with that all locks on it are lost.
 */
#ifndef FG_STORE_SALVAGE_JOB_H
#define FG_STORE_SALVAGE_JOB_H

#include "store_db.h"
#include "store_stream.h"

struct store_salvage_job;

/* at_once_bytes: a file up to this size is done before store_salvage_job_ask() returns. NULL without memory.
 */
struct store_salvage_job *store_salvage_job_new(const char *path, int64_t at_once_bytes);
void store_salvage_job_free(struct store_salvage_job *j);

/* Whether the file is too large to be waited for. */
bool store_salvage_job_is_long(const struct store_salvage_job *j);
/* Between the FG_ERETRY that began it and its end. Any thread. */
bool store_salvage_job_runs(const struct store_salvage_job *j);
/* Its end was not taken yet. */
bool store_salvage_job_is_done(const struct store_salvage_job *j);

/* Begins, or takes the end: path + "-salvaged" is whole and on the disk then. FG_ERETRY: it goes on. Any
 * other failure, too, is told once; the next call begins again. */
int store_salvage_job_ask(struct store_salvage_job *j, const struct store_sizes *sizes,
                          const struct store_side *side, uint64_t given, bool *ret_uplinks_unknown,
                          struct err_note *note);

#endif
