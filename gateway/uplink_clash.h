/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_clash - notices that somebody else uses our client_id, and keeps two gateways from pushing each
 * other out without end.
 *
 * Threads    Pure; belongs to one thread.
 * Ownership  A plain struct, nothing is allocated.
 * Errors     None.
 *
 * The clear sign is MQTT 5's reason 142 (session taken over) on a connection that lives; one alone may be a
 * tool tried by hand, the second is a clash. But mosquitto 2.0.11 says nothing and closes, as every MQTT
 * 3.1.1 broker does. So there is a second sign: a connection that worked is closed by the other side within a
 * minute, five times in a row, while every attempt between succeeds at once. A link that is lost on the way
 * fails otherwise: later, by silence, or with attempts that fail.
 *
 * From there on we come back after 30 s, so that both gateways deliver in turns; where the broker says 142,
 * after 30 s, 1 min, 2 min, 4 min, 5 min. Where it is silent it may be a bad link after all, which must not
 * keep readings waiting. A connection that lasts for the whole window ends it.
 */
#ifndef FG_UPLINK_CLASH_H
#define FG_UPLINK_CLASH_H

#include <stdbool.h>
#include <stdint.h>

#define UPLINK_CLASH_WINDOW_MS (15 * 60 * 1000)
#define UPLINK_CLASH_SHORT_MS (60 * 1000)
#define UPLINK_CLASH_FIRST_MS (30 * 1000)
#define UPLINK_CLASH_LAST_MS (5 * 60 * 1000)

struct uplink_clash {
    int64_t last_mono_ms; /* of the newest sign */
    unsigned weight;      /* of the signs; 0: none */
    int64_t wait_ms;      /* after the newest sign; 0: no clash */
};

/* A connection that worked was ended by the other side after up_ms; said: with reason 142. Returns the least
 * time to stay away, 0 while it may be chance. */
int64_t uplink_clash_closed(struct uplink_clash *c, bool said, int64_t up_ms, int64_t now_mono_ms);
/* An attempt failed: what looked like a clash was the link. */
void uplink_clash_attempt_failed(struct uplink_clash *c);
/* Whether there is a clash, for all we know. */
bool uplink_clash_is_on(const struct uplink_clash *c);
/* Connected since: true once, when that has been long enough for a clash to be over. */
bool uplink_clash_ends(struct uplink_clash *c, int64_t since_mono_ms, int64_t now_mono_ms);

#endif
