/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_loss - what was dropped and is not yet told: merged for a while, kept in the database meanwhile, then
 * told as a samples_dropped event.
 *
 * Threads    Whoever holds the store's turn; store_loss_tell() only the writer.
 * Ownership  The list belongs to the store and never grows after opening.
 * Errors     As store_db.h.
 */
#ifndef FG_STORE_LOSS_H
#define FG_STORE_LOSS_H

#include "store_internal.h"

/* Allocates the list for s->uplink_count uplinks. */
int store_loss_init(struct store *s);
/* Records first..last, all of them waiting for this uplink until now, are lost to it. Their rows must still
 * be there, for their times. */
void store_loss_add(struct store *s, size_t uplink, enum store_loss_reason reason, uint64_t first,
                    uint64_t last);
/* Before records of first..last are removed: what those that tell this uplink of a loss, and never reached
 * it, say is taken up again, so that it is told once more. */
int store_loss_keep(struct store *s, size_t uplink, uint64_t first, uint64_t last);
/* Puts events of losses that are old enough (or all) into the group. */
int store_loss_tell(struct store *s, int64_t now_mono_ms, bool all);
bool store_loss_due(const struct store *s, int64_t now_mono_ms);
/* In a transaction: writes what the database must remember when this transaction is committed. */
int store_loss_write(struct store *s);
/* The transaction with the told events is committed. */
void store_loss_committed(struct store *s);

#endif
