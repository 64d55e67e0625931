/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate - how fast a counter grows, judged by at most the last 24 hours.
 *
 * Threads    A rate belongs to one thread.
 * Ownership  A plain struct; all zero bytes is an empty one. Nothing is allocated.
 * Errors     None. A counter that falls begins anew.
 */
#ifndef FG_RATE_H
#define FG_RATE_H

#include <stddef.h>
#include <stdint.h>

#define RATE_HOURS 24
#define RATE_LEAST_MS 60000 /* less says nothing about a day */

struct rate {
    struct {
        int64_t mono_ms, value;
    } marks[RATE_HOURS + 1]; /* one an hour, oldest first */
    size_t count;
};

/* To be told at least once an hour. */
void rate_note(struct rate *r, int64_t mono_ms, int64_t value);
/* Growth per day up to now; -1: watched for less than a minute. */
int64_t rate_per_day(const struct rate *r, int64_t mono_ms, int64_t value);

#endif
