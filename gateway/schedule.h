/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule - which device of a bus to ask next, and when. Pure: time is an argument.
 *
 * Threads    One thread (the poller's).
 * Ownership  schedule_new() allocates everything; nothing afterwards.
 * Errors     schedule_new(): NULL without memory.
 *
 * Deadlines lie on a fixed grid: phase + n x period, so nothing drifts. First polls come within 2 s of the
 * start, evenly apart; where that would be less than apart_ms, devices fall due in rows, so far apart on
 * average (measured: a thread that wakes for each of 50 questions a second takes four times the processor
 * of one that wakes for two rows of 25). Periods that pass unserved are skipped and counted (missed), never
 * made up in a burst. Earliest due first; a device just served goes behind every other overdue one. Points
 * with the same interval are asked together, and all intervals of a device share its phase.
 *
 * After 3 silent polls in a row a device is only probed, after 1, 2, 4 ... 60 s with 20 % jitter, at the
 * nearest period of its grid (so never oftener than that), one probe between two due polls at most. While
 * anybody on the bus is alive, all probes together take a twentieth of its time. An answered probe makes the
 * device polled at once; the pauses begin anew only when a poll is answered.
 */
#ifndef FG_SCHEDULE_H
#define FG_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedule;

struct schedule_device {
    int64_t every_ms;
    const int64_t *point_every_ms; /* one per point; 0: the device's own; NULL: all the device's */
    size_t point_count;
};

enum schedule_what { SCHEDULE_POLL, SCHEDULE_PROBE };

struct schedule_turn {
    size_t device;
    enum schedule_what what;
    int64_t due_mono_ms; /* when to begin; may be in the past */
    uint32_t missed;     /* periods of the device's fastest points skipped before this turn */
    const bool *due;     /* POLL: which points; lent until the next call */
};

/* apart_ms 0: as far apart as they can be. seed: for phases and jitter; a fixed seed makes everything
 * repeatable. */
struct schedule *schedule_new(const struct schedule_device *devices, size_t count, int64_t apart_ms,
                              int64_t now_mono_ms, uint64_t seed);
void schedule_free(struct schedule *s);
/* The next turn; false when there is no device at all. Does not change anything until schedule_done(). */
bool schedule_next(struct schedule *s, int64_t now_mono_ms, struct schedule_turn *ret);
/* The turn was carried out; answered: the device gave any answer (an exception is one). */
void schedule_done(struct schedule *s, const struct schedule_turn *turn, int64_t now_mono_ms, bool answered);
/* A poll of all points of this device as soon as possible (a command asked for it); the grid stays as it is.
 */
void schedule_hurry(struct schedule *s, size_t device, int64_t now_mono_ms);
/* True while the device is only probed. */
bool schedule_is_silent(const struct schedule *s, size_t device);

#endif
