/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_unheard - notices when the broker takes our data and nobody is subscribed to it.
 *
 * Threads    The uplink's thread.
 * Ownership  A plain struct; the options are lent.
 * Errors     None.
 *
 * MQTT 5 brokers may say so with each acknowledgement (reason 16). The records count as delivered all the
 * same: the broker has taken them, and would take them again and again. But they are gone, and nobody would
 * know: so it is counted, shown, and said once for each lane, with the numbers for `resend` at its end. A
 * lane's topic may be unheard while the other's is not. But after an outage the backlog is drained and says
 * nothing more: one that has been idle for a minute is taken for unknown once the other lane is heard. Lines
 * are damped: ten, then one an hour.
 *
 * Log lines: FG-LINK-UNHEARD, FG-LINK-HEARD.
 */
#ifndef FG_UPLINK_UNHEARD_H
#define FG_UPLINK_UNHEARD_H

#include "damp.h"
#include "uplink.h"

enum { UPLINK_UNHEARD_IDLE_MS = 60 * 1000 };

struct uplink_unheard_lane {
    bool on;               /* as the newest acknowledgement said */
    bool unknown;          /* not on only because it was idle while the other lane was heard */
    int64_t acked_mono_ms; /* the newest acknowledgement */
    bool said;             /* as the log says */
    uint64_t first, last;  /* seq of what was unheard since it was `said` to be heard; 0: nothing */
    uint64_t records;      /* likewise */
};

struct uplink_unheard {
    const struct uplink_options *options;
    struct uplink_unheard_lane lanes[UPLINK_LANES];
    uint64_t records; /* since start */
    struct damp damp;
};

/* The broker has acknowledged a data message of the lane, published to topic, with this reason. */
void uplink_unheard_acked(struct uplink_unheard *u, const struct uplink_flight *flight, const char *topic,
                          int reason);
/* Now and then: what could not be said before, and what is no longer known. */
void uplink_unheard_look(struct uplink_unheard *u, char *const topics[UPLINK_LANES], int64_t now_mono_ms);

#endif
