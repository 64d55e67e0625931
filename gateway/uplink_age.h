/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_age - gives up what has waited longer for its uplink than max_age, connected or not.
 *
 * Threads    The uplink's thread.
 * Ownership  A plain struct.
 * Errors     None: what the store cannot drop now is tried again a minute later.
 *
 * Log lines: FG-LINK-TOO-OLD, at most once a day; each record is told to the receiver by a loss event.
 */
#ifndef FG_UPLINK_AGE_H
#define FG_UPLINK_AGE_H

#include "uplink.h"
#include "uplink_window.h"

struct uplink_age {
    int64_t next_mono_ms; /* of the next look at the store */
    int64_t said_mono_ms; /* of the last log line; 0: none yet */
    uint64_t unsaid;      /* records given up since */
};

/* Once a minute, or more often where max_age is short. What is in flight is left alone. */
void uplink_age_look(struct uplink_age *a, const struct uplink_options *options,
                     const struct uplink_window *window, int64_t now_mono_ms);

#endif
