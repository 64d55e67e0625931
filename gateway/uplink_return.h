/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_return - the way back to the first url, while another broker serves us.
 *
 * Threads    The uplink's thread.
 * Ownership  uplink_return_init()/uplink_return_fini(); options, link and the spare client are lent.
 * Errors     None: an attempt that fails is a log line, once for each reason, and the next one comes later.
 *
 * Make before break: a second client connects to the first broker with our own name, login and will while the
 * other one goes on serving. Only when it stands does the uplink move. A trial under another name would prove
 * less (access rules go by client id), and a break first would cost a gap each time the trial fails. Nor does
 * a name server that does not answer cost one: nothing here waits for it. Attempts are UPLINK_RETURN_MS apart
 * or more, plus up to a quarter, so that a fleet does not come back in one moment; a first broker that takes
 * us and drops us therefore costs two moves in that time at most.
 */
#ifndef FG_UPLINK_RETURN_H
#define FG_UPLINK_RETURN_H

#include "uplink_link.h"

#define UPLINK_RETURN_MS (10 * 60 * 1000)

struct uplink_return {
    const struct uplink_options *options;
    struct uplink_link *link;
    struct mqtt *spare;   /* NULL: there is only one url */
    int64_t next_mono_ms; /* of the next attempt; INT64_MAX: not wanted */
    bool trying;
    bool up;                     /* the spare client stands on the first url */
    struct mqtt_event connected; /* then: what the broker allows */
    int64_t deadline_mono_ms;    /* of the attempt */
    struct buf will;             /* lent to the attempt */
    char said[UPLINK_LINK_TEXT]; /* the failure that was logged */
};

void uplink_return_init(struct uplink_return *r, const struct uplink_options *options,
                        struct uplink_link *link, struct mqtt *spare);
void uplink_return_fini(struct uplink_return *r);
/* A connection stands, to whichever url: wanted is false when it is the first one. */
void uplink_return_arm(struct uplink_return *r, bool wanted);
/* Whether it is time to begin an attempt. */
bool uplink_return_due(const struct uplink_return *r, int64_t now_mono_ms);
/* Begins one. r->will is what the broker is to publish. */
void uplink_return_begin(struct uplink_return *r);
/* Looks how the attempt stands; returns when to look again. Sets `up`. */
int64_t uplink_return_look(struct uplink_return *r);
/* Ends an attempt, or gives up the connection that was made; `up` and `trying` are false then. */
void uplink_return_drop(struct uplink_return *r);
/* The spare client becomes the uplink's, and the other one the spare: returns the new one. */
struct mqtt *uplink_return_swap(struct uplink_return *r, struct mqtt *old);

#endif
