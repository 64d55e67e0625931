/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_expiry - warns when a certificate of the uplink ends within 30 days, once a day.
 *
 * Threads    The uplink's thread.
 * Ownership  A plain struct.
 * Errors     None: what cannot be read is the connection's trouble.
 *
 * Log lines: FG-LINK-EXPIRES.
 */
#ifndef FG_UPLINK_EXPIRY_H
#define FG_UPLINK_EXPIRY_H

#include "uplink.h"

struct uplink_expiry {
    int64_t next_mono_ms; /* of the next look at the files */
};

/* Looks at the files when a day has passed since the last look, and the clock can be trusted. */
void uplink_expiry_look(struct uplink_expiry *e, const struct uplink_options *options, int64_t now_mono_ms);

#endif
