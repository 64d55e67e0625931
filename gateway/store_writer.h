/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_writer - the one thread that commits: groups what comes from the queue, numbers it, makes room, tries
 * again.
 *
 * Threads    store_writer_run() is the thread. store_commit() is called by it, and by store_open()
 *            before it runs.
 * Ownership  -
 * Errors     store_commit(): as store_db.h; everything in memory is then as before, and the group is
 *            kept.
 */
#ifndef FG_STORE_WRITER_H
#define FG_STORE_WRITER_H

#include "store_internal.h"

/* Something more to write in the same transaction. */
typedef int store_also(struct store *s, void *context);

int store_commit(struct store *s, store_also *also, void *context);
/* Puts into disk_note why the file cannot be written: d's last error, or what err says when d is NULL. */
void store_failure(struct store *s, const struct store_db *d, int err);
void *store_writer_run(void *store);

#endif
