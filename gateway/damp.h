/* SPDX-License-Identifier: Apache-2.0 */
/*
 * damp - keeps what repeats from filling the log: so many lines at once, then one in so long.
 *
 * Threads    A damp belongs to one thread.
 * Ownership  A plain struct; all zero bytes is one that has been quiet for ever.
 * Errors     None.
 *
 * Whoever may not speak counts what is left out, and says it with the next line.
 */
#ifndef FG_DAMP_H
#define FG_DAMP_H

#include <stdbool.h>
#include <stdint.h>

struct damp_limits {
    int at_once;
    int64_t then_every_ms;
};

struct damp {
    int64_t full_until_ms; /* monotonic */
};

/* Whether a line may be written now; damp_take() counts it. */
bool damp_allows(const struct damp *d, const struct damp_limits *limits, int64_t mono_ms);
void damp_take(struct damp *d, const struct damp_limits *limits, int64_t mono_ms);

#endif
