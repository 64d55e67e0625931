/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_news - what became of the buffer, kept until somebody asks who can write it into a log: see
 * store_news() in store.h.
 *
 * Threads    store_open() before the writer runs, or whoever has the store's turn.
 * Ownership  Texts are copied.
 * Errors     None: what finds no memory is left out; an event tells the receivers all the same.
 */
#ifndef FG_STORE_NEWS_H
#define FG_STORE_NEWS_H

#include "store_internal.h"

struct store_news *store_news_new(void);
void store_news_free(struct store_news *n);

/* A damaged database was set aside; "": in another run, which did not get further. */
void store_news_salvaged(struct store_news *n, const char *kept_as);
/* Of the records that were not in it any more so many had not been delivered to one uplink: the most counts.
 */
void store_news_lost(struct store_news *n, uint64_t records);
/* A new stream has begun. reason: see store_stream_reason(); NULL, or one that is told otherwise: nothing. */
void store_news_stream(struct store_news *n, const char *reason, const char stream[STORE_STREAM_TEXT]);
/* Told once, however often it is noticed. */
void store_news_uplink_removed(struct store_news *n, const char *name, uint64_t waiting);

#endif
