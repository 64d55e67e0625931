/* SPDX-License-Identifier: Apache-2.0 */
/*
 * busload - how much of a bus' time its schedule needs, and which interval would fit. Arithmetic only.
 *
 * Threads    Pure, as far as the caller's cost function is.
 * Ownership  Everything is lent for the call; nothing is allocated.
 * Errors     None.
 *
 * The schedule is walked as the poller keeps it: intervals of one device fall due together when they can.
 * `fieldgate check` feeds it with assumed latencies, a running bus with measured ones.
 */
#ifndef FG_BUSLOAD_H
#define FG_BUSLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Above the first a bus has little left for retries and slow answers; above the second it cannot keep up. */
#define BUSLOAD_HIGH_PERMILLE 700
#define BUSLOAD_FULL_PERMILLE 1000

struct busload_device {
    int64_t every_ms;
    size_t point_count;
    const int64_t *point_every_ms; /* one per point; 0: the device's own; NULL: all the device's */
};

/* Microseconds of the line's time that a poll of the points i with due[i] takes; 0: the device is not asked
 * at all. */
typedef int64_t busload_cost(void *context, size_t device, const bool *due);

struct busload {
    int64_t permille;
    int64_t fit_ms; /* from full_permille on: the least usual interval that, where it is longer, brings the
                       load below HIGH; 0: none does */
};

/* due: room for the points of the largest device. */
struct busload busload_compute(const struct busload_device *devices, size_t count, busload_cost *cost,
                               void *context, bool *due, int64_t full_permille);

#endif
