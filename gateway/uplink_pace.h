/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_pace - how many bytes of each lane may be under way, so that live data is never held up for long.
 *
 * Threads    Pure; a pace belongs to one thread.
 * Ownership  A plain struct, nothing is allocated.
 * Errors     None.
 *
 * Everything travels through one TCP connection, so a live message waits for all bytes that were handed over
 * before it. How long they wait shows in the time to the PUBACK, less the shortest one seen on the
 * connection. A lane's budget of bytes in flight grows by what was acknowledged while that wait is short, and
 * is cut in proportion when it passes the lane's target: the backlog takes what the link gives and no queue
 * builds up. A rate in bytes per second need not be known, and a long but fast link (satellite) is used as
 * well as a short slow one. Live has a budget too, a wider one: on a link that is too slow even for live data
 * the answer is not a queue that outlasts the PUBACK timeout. The ceiling (max_rate) is a token bucket beside
 * it.
 */
#ifndef FG_UPLINK_PACE_H
#define FG_UPLINK_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uplink_window.h"

#define UPLINK_PACE_MIN 1024         /* bytes: one message is always allowed */
#define UPLINK_PACE_MAX (256 * 1024) /* bytes: the delay when a fast link turns slow */
#define UPLINK_PACE_BASE_MAX_MS 2000 /* no link is believed to be slower than this without a queue */

struct uplink_pace_lane {
    size_t budget;       /* bytes */
    int64_t cut_mono_ms; /* when it was cut last: messages older than that tell nothing new */
};

struct uplink_pace {
    size_t batch_bytes;
    struct uplink_pace_lane lanes[UPLINK_LANES];
    unsigned timeouts; /* connections that ended with a PUBACK overdue, one after the other */
    int64_t base_ms;   /* shortest PUBACK time of this connection */
    int64_t max_rate;  /* bytes per second; 0: no ceiling */
    int64_t tokens;    /* bytes that may go now; below 0: in debt */
    int64_t filled_mono_ms;
    double records_per_s; /* acknowledged backlog records; 0: unknown */
    int64_t meter_mono_ms;
    uint64_t meter_records;
};

/* batch_bytes: the longest message; max_rate: bytes per second of backlog, 0: no ceiling. */
void uplink_pace_init(struct uplink_pace *p, size_t batch_bytes, int64_t max_rate, int64_t now_mono_ms);
/* A new connection: what was learnt of the old one is forgotten. */
void uplink_pace_open(struct uplink_pace *p, int64_t now_mono_ms);
/* The longest message of the lane to put together now, in bytes. */
size_t uplink_pace_message(const struct uplink_pace *p, enum uplink_lane lane);
/* When the lane's next message may go, with `in_flight` bytes of it under way: now_mono_ms or earlier: at
 * once; INT64_MAX: not before something is acknowledged. */
int64_t uplink_pace_when(struct uplink_pace *p, enum uplink_lane lane, size_t in_flight, int64_t now_mono_ms);
/* A message was handed over. */
void uplink_pace_sent(struct uplink_pace *p, enum uplink_lane lane, size_t bytes);
/* A PUBACK came for a message of the lane. */
void uplink_pace_acked(struct uplink_pace *p, enum uplink_lane lane, int64_t sent_mono_ms,
                       int64_t now_mono_ms, size_t bytes, size_t records);
/* A PUBACK came for another message. */
void uplink_pace_heard(struct uplink_pace *p, int64_t sent_mono_ms, int64_t now_mono_ms);
/* The connection is given up because a PUBACK is overdue: the next one begins with less. */
void uplink_pace_overdue(struct uplink_pace *p);
/* Milliseconds until `records` of backlog are gone at the present pace; -1: unknown. */
int64_t uplink_pace_drain(const struct uplink_pace *p, uint64_t records);

#endif
