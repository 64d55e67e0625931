/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_export - reads a store's database from outside, while the daemon may be writing it.
 *
 * Threads    One thread.
 * Ownership  A batch owns its texts until the next read; store_export_close() frees everything.
 * Errors     FG_ENOTFOUND: no such file; FG_EFOREIGN: not ours; FG_EIO also when permission is missing. With
 * a note.
 *
 * The database is opened read-only and each read is a transaction of its own: a long one would keep SQLite
 * from starting its write-ahead log over, which would grow without bound.
 */
#ifndef FG_STORE_EXPORT_H
#define FG_STORE_EXPORT_H

#include "store.h"

struct store_export;

struct store_export_record {
    uint64_t seq;
    int64_t ts_ms;
    uint32_t layout;
    bool is_event;
    uint32_t device; /* index in the layout; samples only */
    char stream[STORE_STREAM_TEXT];
    const char *body, *extra; /* as in store.h */
    size_t body_len, extra_len;
};

struct store_export_batch {
    struct store_export_record *records;
    size_t count;
    uint64_t next;    /* where to read on; above the last number asked for: there is nothing more */
    uint64_t damaged; /* records that could not be read, left out */
    uint64_t damaged_first, damaged_last;
};

int store_export_open(const char *path, struct store_export **ret, struct err_note *note);
void store_export_close(struct store_export *e);
/* The numbers that are there now; first > last: none. */
int store_export_range(struct store_export *e, uint64_t *ret_first, uint64_t *ret_last,
                       struct err_note *note);
/* The records of from..to, the first ones, in rising seq. Damaged ones are left out and counted. */
int store_export_read(struct store_export *e, uint64_t from, uint64_t to,
                      const struct store_export_batch **ret, struct err_note *note);
/* Appends the text of a layout; FG_ENOTFOUND, FG_ECORRUPT. */
int store_export_layout(struct store_export *e, uint32_t layout, struct buf *ret_text);
/* The lowest layout number above `after`; 0: none. */
uint32_t store_export_next_layout(struct store_export *e, uint32_t after);

#endif
