/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_group - the encoded records that the next transaction inserts. It survives a failed transaction, so
 * that the same records get the same numbers when it is tried again.
 *
 * Threads    The writer's own.
 * Ownership  Embedded; the buffer is kept from group to group.
 * Errors     FG_ENOMEM; the group is then unchanged.
 */
#ifndef FG_STORE_GROUP_H
#define FG_STORE_GROUP_H

#include "store_internal.h"

/* Takes over the next message of the queue (an encoded record), and of those that wait behind it as many as
 * leave the group within so many bytes and records; FG_ETIMEOUT, FG_ECLOSED as queue_pop(). */
int store_group_pop(struct store_group *g, struct queue *q, size_t most_bytes, size_t most_records,
                    int64_t deadline_mono_ms);
/* Adds an event. */
int store_group_add(struct store_group *g, int64_t ts_ms, uint32_t flags, const char *body, size_t len,
                    const char *extra, size_t extra_len);
/* In a transaction: inserts all, numbered from first. */
int store_group_insert(const struct store_group *g, struct store_db *d, uint64_t first, uint32_t layout);
void store_group_reset(struct store_group *g);

#endif
