/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_clock - records of a time when nobody knew the time: held back, corrected once the clock is set, or
 * given out as they are.
 *
 * Threads    Whoever holds the store's turn; store_clock_mark() and store_clock_holds() any thread.
 * Ownership  The state is the store's.
 * Errors     As store_db.h.
 *
 * One number says it all: records from `from` on were never given out to anybody, so they may still be
 * changed; everything before it is final. It moves only in a transaction, and nothing is given out before
 * that transaction is committed, so a process that is killed never changes what it sent.
 */
#ifndef FG_STORE_CLOCK_H
#define FG_STORE_CLOCK_H

#include "store_internal.h"

/* The machine's running time, or the test's. */
int64_t store_clock_mono_ms(const struct store *s);
/* Before the database is opened: the options, and the id of this boot. */
void store_clock_init(struct store *s, const struct store_options *options);
/* What the database remembers; other_boot: of another boot, whose records can no longer be corrected. */
int store_clock_load(struct store *s, bool *ret_other_boot);
/* In a transaction of another database than before: what is so. */
int store_clock_write_again(struct store *s);
/* For a new or rebuilt database. */
int store_clock_write_all(struct store *s);

/* The last record that may be given out. */
uint64_t store_clock_last(const struct store *s);
/* Whether a transaction would let more records out. */
bool store_clock_due(const struct store *s);
/* Tells of the clock that was set, in the group. */
int store_clock_tell(struct store *s);
/* In a transaction, after the group was inserted: corrects some records, holds or releases. */
int store_clock_write(struct store *s);
void store_clock_committed(struct store *s);

/* What is measured now is held back until the time is known. */
bool store_clock_holds(const struct store *s);
/* What an event that is appended now must carry, as extra text and flags. Clears the buffer first. */
uint32_t store_clock_mark(struct store *s, struct buf *extra);
/* Puts an event of the store's own into the group, with the time it is now. */
int store_clock_event(struct store *s, const char *body, size_t len);

#endif
