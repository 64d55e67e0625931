/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_load - brings the tables of an open database into memory, and checks them against each other.
 *
 * Threads    store_open(), before the writer runs.
 * Ownership  Fills the store; store_open() frees it.
 * Errors     FG_ECORRUPT, FG_ENOMEM, else as store_db.h.
 */
#ifndef FG_STORE_LOAD_H
#define FG_STORE_LOAD_H

#include "store_internal.h"

/* newest, oldest, streams, layouts, holes, earlier running time, marks. */
int store_load_log(struct store *s);
/* The uplinks named in s->uplinks, or that they are fresh; what of theirs is no longer in the file is
 * dropped. */
int store_load_uplinks(struct store *s, const struct store_uplink *options);
/* What waits but is in no row any more was lost to damage. */
int store_drop_vanished(struct store *s, size_t uplink);
/* Losses that were not told before the last stop; of uplinks that still exist. */
int store_load_losses(struct store *s);
int store_load_meta_text(struct store *s, const char *key, char *ret, size_t cap);
int store_load_meta_int(struct store *s, const char *key, int64_t *ret);

/* Appends to the lists of streams and layouts in memory. */
int store_add_stream(struct store *s, uint64_t first, const char *id);
int store_add_layout(struct store *s, uint64_t first, uint32_t id);

#endif
