/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_voice - how much an uplink says in the log: forty lines, then one an hour, which says how many were
 * left out.
 *
 * Threads    The uplink's thread.
 * Ownership  A plain struct; the name is lent.
 * Errors     None.
 *
 * Link, session and the way back to the first broker share one voice: a bad broker moves all of them.
 */
#ifndef FG_UPLINK_VOICE_H
#define FG_UPLINK_VOICE_H

#include "damp.h"

#define UPLINK_VOICE_WHO 128

struct uplink_voice {
    const char *name;
    struct damp damp;
    unsigned left_out;
};

/* Whether a line could be said now; nothing is counted. */
bool uplink_voice_can(const struct uplink_voice *v, int64_t now_mono_ms);
/* True: the line is to be written, beginning with uplink_voice_who(). False: it is counted as left out. */
bool uplink_voice_take(struct uplink_voice *v);
/* The same for what is said once for each reason; *said is the one that was said, 0 for none. */
bool uplink_voice_is_news(struct uplink_voice *v, int *said, int reason);
/* The name, and how many lines were left out before this one. */
const char *uplink_voice_who(struct uplink_voice *v, char ret[UPLINK_VOICE_WHO]);

#endif
