/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aggregate - minimum, mean, maximum and count of readings over windows of time. Pure: time is an argument.
 *
 * Threads    Pure functions; what is filled belongs to one thread.
 * Ownership  Values.
 * Errors     None.
 *
 * Windows begin at multiples of their length on the wall clock (UTC, 1970 on) while it can be believed, so
 * that those of all devices and gateways are the same; else on the monotonic clock. Nothing here notices that
 * time passes: a window ends when a reading comes that lies behind it.
 */
#ifndef FG_AGGREGATE_H
#define FG_AGGREGATE_H

#include "sample.h"

/* ---- what was measured ---- */

struct aggregate {
    struct decimal min, max, last; /* when n > 0 */
    long double sum;
    int finest; /* the smallest power of ten among the readings */
    uint32_t n, bad;
};

void aggregate_clear(struct aggregate *a);
/* A good number counts, one that was not due does not, everything else is bad. */
void aggregate_add(struct aggregate *a, const struct reading *r);
/* The mean has two digits more than the finest reading, as far as a double has them. */
struct sample_stats aggregate_stats(const struct aggregate *a);

/* ---- when ---- */

struct aggregate_time {
    int64_t wall_ms, mono_ms; /* one instant on both clocks */
    bool trusted;             /* the wall clock can be believed */
};

struct aggregate_window {
    int64_t length_ms;
    bool open;
    struct aggregate_time from; /* as aligned, or where it was opened in its middle */
    int64_t end_ms;             /* on the clock it is aligned on */
    struct aggregate_time newest;
    const char *partial; /* why it was opened in its middle; NULL: it was not */
};

/* By how much the two clocks may come apart in a window before that is a step: slewing stays far below. */
#define AGGREGATE_STEP_MS 1000

/* Whether the instant lies outside the open window: behind it, or the clock was stepped. False when none is
 * open. */
bool aggregate_is_over(const struct aggregate_window *w, const struct aggregate_time *now);
/* The instant lies in the window; opens it when none is open. */
void aggregate_enter(struct aggregate_window *w, const struct aggregate_time *now);

/* A window that is over or that is cut. */
struct aggregate_span {
    struct aggregate_time until;
    int64_t span_ms;     /* 1 at least */
    const char *partial; /* "started", "clock", "stopped"; NULL: it is whole */
};
/* Closes the open window. now: what came behind it; NULL: cut at its newest reading, because of a stop. */
struct aggregate_span aggregate_close(struct aggregate_window *w, const struct aggregate_time *now);

#endif
