/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_pace - how much backlog may be under way, so that live data is never held up behind it.
 *
 * Threads    Pure; a pace belongs to one thread.
 * Ownership  A plain struct, nothing is allocated.
 * Errors     None.
 *
 * Everything travels through one TCP connection, so a live message waits for all bytes that were handed over
 * before it. How long they wait shows in the time to the PUBACK, less the shortest one seen on the
 * connection. The budget of backlog bytes in flight grows by what was acknowledged while that wait is short,
 * and is cut in proportion when it passes the target: the backlog takes what the link gives and no queue
 * builds up. A rate in bytes per second need not be known, and a long but fast link (satellite) is used as
 * well as a short slow one. The ceiling (max_rate) is a token bucket beside it.
 */
#ifndef FG_UPLINK_PACE_H
#define FG_UPLINK_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UPLINK_PACE_TARGET_MS 1500 /* the wait above which the budget is cut */
#define UPLINK_PACE_START 4096     /* bytes: at the 1 KB/s of a bad link still under the promised 5 s */
#define UPLINK_PACE_MIN 1024       /* bytes: one message is always allowed */
#define UPLINK_PACE_MAX                                                                                      \
    (256 * 1024) /* bytes: what is in flight when a fast link turns slow is the delay then */
#define UPLINK_PACE_BASE_MAX_MS 2000 /* a link is never believed to be slower than this without a queue */

struct uplink_pace {
    size_t batch_bytes;
    size_t budget;
    int64_t base_ms;     /* shortest PUBACK time of this connection */
    int64_t cut_mono_ms; /* when the budget was cut last: older messages tell nothing new */
    int64_t max_rate;    /* bytes per second; 0: no ceiling */
    int64_t tokens;      /* bytes that may go now; below 0: in debt */
    int64_t filled_mono_ms;
    double records_per_s; /* acknowledged backlog records; 0: unknown */
    int64_t meter_mono_ms;
    uint64_t meter_records;
};

/* batch_bytes: the longest message; max_rate: bytes per second, 0: no ceiling. */
void uplink_pace_init(struct uplink_pace *p, size_t batch_bytes, int64_t max_rate, int64_t now_mono_ms);
/* A new connection: what was learnt of the old one is forgotten. */
void uplink_pace_open(struct uplink_pace *p, int64_t now_mono_ms);
/* The longest backlog message to put together now, in bytes. */
size_t uplink_pace_message(const struct uplink_pace *p);
/* When the next backlog message may go, with `in_flight` bytes of backlog under way: now_mono_ms or earlier:
 * at once; INT64_MAX: not before something is acknowledged. */
int64_t uplink_pace_when(struct uplink_pace *p, size_t in_flight, int64_t now_mono_ms);
/* A backlog message was handed over. */
void uplink_pace_sent(struct uplink_pace *p, size_t bytes);
/* A PUBACK came for any message; backlog_bytes 0 for live, birth and state. */
void uplink_pace_acked(struct uplink_pace *p, int64_t sent_mono_ms, int64_t now_mono_ms, size_t backlog_bytes,
                       size_t backlog_records);
/* Milliseconds until `records` of backlog are gone at the present pace; -1: unknown. */
int64_t uplink_pace_drain(const struct uplink_pace *p, uint64_t records);

#endif
