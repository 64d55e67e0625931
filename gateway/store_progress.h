/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_progress - what each uplink still waits for, what it got and what it lost; in memory, and in the
 * database from time to time.
 *
 * Threads    Whoever holds the store's turn.
 * Ownership  The state is the store's.
 * Errors     FG_ENOMEM, and as store_db.h.
 *
 * For every uplink and at every moment: newest - start + 1 - absent = delivered + waiting + dropped.
 * Records above `upto` of the row in the database all count as waiting when it is loaded again.
 */
#ifndef FG_STORE_PROGRESS_H
#define FG_STORE_PROGRESS_H

#include "store_internal.h"

uint64_t store_progress_accepted(const struct store *s, const struct store_uplink_state *u);
/* Makes sure that the next store_progress_commit() cannot fail. */
int store_progress_reserve(struct store *s);
/* Records up to newest are committed: they wait for every uplink. */
void store_progress_commit(struct store *s, uint64_t newest);
/* What of first..last waited for the uplink is lost to it. */
int store_progress_drop(struct store *s, size_t uplink, uint64_t first, uint64_t last,
                        enum store_loss_reason reason);
/* Where the database keeps how many records an uplink has lost for this reason. */
void store_progress_reason_key(int64_t uplink_id, enum store_loss_reason reason, char ret[64]);
bool store_progress_dirty(const struct store *s);
/* In a transaction: writes the rows of changed uplinks, the holes and the losses. */
int store_progress_write(struct store *s);
/* The transaction with them is committed. */
void store_progress_written(struct store *s, int64_t now_mono_ms);

/* Room is made inside a transaction that may fail: before the first change everything it touches is kept. */
int store_snapshot_take(struct store *s);
void store_snapshot_restore(struct store *s);

#endif
