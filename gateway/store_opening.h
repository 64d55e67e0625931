/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_opening - what happens once at each start: which database, which stream, which layout, and the events
 * and rows that say so.
 *
 * Threads    store_open(), before the writer runs.
 * Ownership  store_opening_fini().
 * Errors     As store.h.
 */
#ifndef FG_STORE_OPENING_H
#define FG_STORE_OPENING_H

#include "store_internal.h"

struct store_opening {
    const struct store_options *options;
    struct store_found found;
    char machine[STORE_MACHINE_TEXT];
    const char *reason; /* of the new stream; NULL: the old one goes on */
    char previous[STORE_STREAM_TEXT];
    struct buf kept_as; /* where a damaged database went */
    bool was_clean;
    bool told_started; /* by the stream in memory with which this run began */
    int64_t last_ts;   /* of the newest record, as found */
    bool new_layout, first_layout;
    uint64_t first; /* seq of the first record of this run */
};

/* Opens, creates or salvages the database, reads it into memory, and decides about stream and layout. */
int store_opening_find(struct store *s, struct store_opening *o, struct err_note *note);
/* Puts the events of this start into the group. */
int store_opening_tell(struct store *s, struct store_opening *o);
/* store_also: the rows of this start. */
int store_opening_write(struct store *s, void *opening);
/* Adds the name of a database that was set aside to an event, when there is one. */
void store_opening_kept_as(const struct buf *path, struct buf *out);
void store_opening_fini(struct store_opening *o);

/* For a new stream in a running store, too. Numbers go on where they ended: it begins after everything that
 * was ever given in this file. */
int store_opening_begin_stream(struct store *s, struct store_opening *o);
/* Puts the event stream_opened before the records that already wait in the group. */
int store_opening_event_in_front(struct store *s, struct store_opening *o);
/* The layout in force, into another database than s->db. */
int store_opening_write_layout(struct store *s, struct store_db *d);

#endif
