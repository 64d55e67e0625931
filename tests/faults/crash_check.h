/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash_check - whether what a power cut left is what the store promises.
 *
 * Threads    One thread.
 * Ownership  Nothing is kept.
 * Errors     False, with a note that says what was broken.
 */
#ifndef FG_CRASH_CHECK_H
#define FG_CRASH_CHECK_H

#include "crash_run.h"

/* What SQLite alone finds in an image. */
struct check_seen {
    uint64_t newest;
    int64_t newest_ts_ms;
    char stream[STORE_STREAM_TEXT]; /* its last; empty: none */
    bool side_clean;                /* the file beside it says that the store was closed in good order */
    bool exists, clean, sound;
    bool at_cap; /* records went because the store was full; set by check_store() */
};

/* Opens the image with SQLite: sound, every record as it was, all that was committed still numbered. Tells
 * the loss of acknowledged records apart from damage: ret->sound. */
bool check_database(const struct run *r, const struct image *i, const char *folder, uint64_t committed,
                    struct check_seen *ret, struct err_note *note);
/* Opens the image with the store, goes on with it, and holds the books of both uplinks against what their
 * brokers have. `r` says what was known when the power failed. */
bool check_store(struct run *r, const struct image *i, const char *folder, struct check_seen *seen,
                 struct err_note *note);

#endif
