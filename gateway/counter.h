/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counter - by how much a counter (rain, energy, water) has grown from one reading to the next, when it may
 * have wrapped or started again in between.
 *
 * Threads    Pure functions.
 * Ownership  Values.
 * Errors     None: COUNTER_UNKNOWN says that the two readings tell nothing.
 *
 * A counter that stands lower than before has wrapped when that takes less than a quarter of its range, and
 * otherwise started again from 0: gauges and meters are read often enough that nearly a whole round between
 * two readings is far less likely than a power cut.
 */
#ifndef FG_COUNTER_H
#define FG_COUNTER_H

#include "decimal.h"

enum counter_step {
    COUNTER_FIRST,   /* nothing to compare with: no increment */
    COUNTER_GROWTH,  /* increment = current - previous */
    COUNTER_WRAP,    /* increment = wrap - previous + current */
    COUNTER_RESTART, /* increment = current: what it has counted since it started again */
    COUNTER_UNKNOWN, /* a fall to below 0, or more digits than a decimal has: no increment */
};

/* previous: NULL when there is none. wrap: what the counter jumps back to 0 instead of showing; NULL when it
 * does not wrap. *ret_increment is set for GROWTH, WRAP and RESTART, and never negative. */
enum counter_step counter_step(const struct decimal *previous, struct decimal current,
                               const struct decimal *wrap, struct decimal *ret_increment);

#endif
