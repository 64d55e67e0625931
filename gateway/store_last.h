/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_last - the newest committed good number of some counters, looked up in the records.
 *
 * Threads    As store.h.
 * Ownership  Values.
 * Errors     As store_read(). What was found before a failure is found.
 *
 * It is looked for in the present stream only: a new stream begins where there is doubt about the database (a
 * copy, a backup, a damaged file), and then nobody knows what was published of the device since.
 */
#ifndef FG_STORE_LAST_H
#define FG_STORE_LAST_H

#include "decimal.h"
#include "store.h"

/* A counter of the layout in force. Records of earlier layouts count when it is the same in them:
 * layout_same_counter(). */
struct store_last {
    uint32_t device, point;
    bool found;
    struct decimal value;
};

/* Goes back through at most max_records records (of layouts that know one of the points); sets found and
 * value. */
int store_last(struct store *s, struct store_last *wanted, size_t count, size_t max_records);

#endif
