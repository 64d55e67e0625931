/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_window - which records are in flight on the present connection, and which are to be read next.
 *
 * Threads    Pure; a window belongs to one thread.
 * Ownership  A plain struct, nothing is allocated.
 * Errors     None; misuse is our own bug and asserted.
 *
 * The store knows what is undelivered, the window what of that is under way. Cursors only spare the store
 * looking at the same records again: a range given out never overlaps one in flight, so a cursor may be put
 * back at any time, and no record is sent twice on one connection while its first sending is undecided.
 *
 * Records below live_from belong to the backlog lane, the others to the live lane.
 */
#ifndef FG_UPLINK_WINDOW_H
#define FG_UPLINK_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UPLINK_WINDOW_MAX 16

enum uplink_lane { UPLINK_LIVE, UPLINK_BACKLOG };
#define UPLINK_LANES 2

/* One data message that was published and is not yet decided. */
struct uplink_flight {
    uint32_t token;
    enum uplink_lane lane;
    bool apart;           /* from the cursor: it was refused before */
    uint64_t first, last; /* every undelivered record from first to last is in the message */
    size_t records;
    size_t bytes;
    int64_t sent_mono_ms, deadline_mono_ms;
};

struct uplink_window {
    struct uplink_flight flights[UPLINK_WINDOW_MAX]; /* the first `in_flight` are in use */
    size_t in_flight;
    size_t slots; /* messages that may be in flight; one below what the broker allows, for birth and state */
    size_t lane_messages[UPLINK_LANES];
    size_t lane_bytes[UPLINK_LANES];
    uint64_t cursor[UPLINK_LANES];
    uint64_t live_from;
    uint64_t live_depth;
    bool oldest_first;
};

/* A new connection: nothing is in flight. first_waiting: the oldest undelivered record, 0 when there is none;
 * newest: the newest committed one. live_depth records are live at once, the older ones are backlog; with
 * oldest_first all are backlog until it has caught up. */
void uplink_window_open(struct uplink_window *w, unsigned receive_max, size_t live_depth, bool oldest_first,
                        uint64_t first_waiting, uint64_t newest);
/* Whether one more message of the lane may be put in flight. The backlog always leaves room for live. */
bool uplink_window_has_slot(const struct uplink_window *w, enum uplink_lane lane);
/* The next range of the lane to be read from the store; false when it has none now. */
bool uplink_window_next(const struct uplink_window *w, enum uplink_lane lane, uint64_t newest,
                        uint64_t *ret_from, uint64_t *ret_to);
/* The store has nothing undelivered in a range that uplink_window_next() gave. */
void uplink_window_empty(struct uplink_window *w, enum uplink_lane lane, uint64_t to);
/* A message was published; needs a free slot. */
void uplink_window_sent(struct uplink_window *w, const struct uplink_flight *flight);
/* Takes the message out of the window; false when it is none of ours. */
bool uplink_window_take(struct uplink_window *w, uint32_t token, struct uplink_flight *ret);
/* The records from `first` on are to be looked at again, in their lane: they were refused. */
void uplink_window_rewind(struct uplink_window *w, uint64_t first);
/* Nothing is in flight, and `first` is the first undelivered record. When it is behind the cursors, it was
 * asked for once more: what live has passed is backlog from now on, so that the past does not go before new
 * readings. */
void uplink_window_look_back(struct uplink_window *w, uint64_t first);
/* When live is too far behind, leaves what it has not sent to the backlog and goes on with the newest; when
 * an oldest_first backlog has caught up, opens the live lane. To be called before each round of sending. */
void uplink_window_keep_up(struct uplink_window *w, uint64_t newest);
/* The first range from `from` on that is not in flight. */
void uplink_window_idle(const struct uplink_window *w, uint64_t from, uint64_t *ret_first,
                        uint64_t *ret_last);
/* The earliest deadline of what is in flight; INT64_MAX when nothing is. */
int64_t uplink_window_deadline(const struct uplink_window *w);

#endif
