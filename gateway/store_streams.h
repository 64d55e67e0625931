/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_streams - which stream and layout a seq belongs to, from the short tables in memory.
 *
 * Threads    Whoever holds the store's turn.
 * Ownership  Lends.
 * Errors     None.
 */
#ifndef FG_STORE_STREAMS_H
#define FG_STORE_STREAMS_H

#include "store_internal.h"

/* Never NULL: what lies before the first stream known is counted to it. */
const struct store_stream_row *store_stream_at(const struct store *s, uint64_t seq);
/* The last number that can belong to the stream of seq. */
uint64_t store_stream_end(const struct store *s, uint64_t seq);

#endif
