/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_backoff - how long to wait before the next round of connection attempts.
 *
 * Threads    Pure; a back-off belongs to one thread.
 * Ownership  A plain struct, nothing is allocated.
 * Errors     None.
 *
 * A link that worked and was lost is tried again after a time uniform in 0..first_max_ms: when the broker
 * restarts, its whole fleet is lost in one moment and must not come back in one. Those for whom that was too
 * early wait a third of that time, and double it: with a second, they would crowd into the seconds in which
 * the others try. Everything else waits 1 s, 2 s, 4 s ... All waits end at 60 s, and are give or take a
 * fifth. A fixed seed makes it repeatable.
 */
#ifndef FG_UPLINK_BACKOFF_H
#define FG_UPLINK_BACKOFF_H

#include <stdint.h>

#define UPLINK_BACKOFF_LOST_MS                                                                               \
    30000 /* first_max_ms with which no second carries a tenth of a fleet's attempts */
#define UPLINK_BACKOFF_FIRST_MS 1000
#define UPLINK_BACKOFF_LAST_MS 60000

struct uplink_backoff {
    uint64_t random;
    int64_t first_max_ms;
    int64_t step_ms;
};

void uplink_backoff_init(struct uplink_backoff *b, uint64_t seed, int64_t first_max_ms);
/* Milliseconds to wait after a link that worked was lost; the steps begin anew. */
int64_t uplink_backoff_lost(struct uplink_backoff *b);
/* Uniform in 0..most_ms. */
int64_t uplink_backoff_spread(struct uplink_backoff *b, int64_t most_ms);
/* Milliseconds to wait after all urls have failed. */
int64_t uplink_backoff_failed(struct uplink_backoff *b);

#endif
