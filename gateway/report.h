/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report - whether a reading says anything new: a dead band with a heartbeat. Pure: time is an argument.
 *
 * Threads    Pure functions; a state belongs to one thread.
 * Ownership  Values.
 * Errors     None.
 *
 * A reading is compared with the last one that was reported, never with the one before it: a drift in steps
 * smaller than `change` is reported once it has moved that far. Whoever fills the gaps with the last reported
 * value is never off by `change` or more, and that value is never older than at_least_ms and half an
 * interval.
 */
#ifndef FG_REPORT_H
#define FG_REPORT_H

#include "sample.h"

struct report_rule {
    struct decimal change; /* 0: every other value counts */
    int64_t at_least_ms;
    int64_t every_ms; /* how often the point is read: the heartbeat goes with the reading nearest to it */
};

struct report_state {
    bool told;
    struct reading last; /* that was reported */
    int64_t mono_ms;     /* when it was measured */
};

/* Whether the reading must be reported. Never for one that was not due. */
bool report_wants(const struct report_rule *rule, const struct report_state *state, const struct reading *r,
                  int64_t mono_ms);
/* It was. */
void report_told(struct report_state *state, const struct reading *r, int64_t mono_ms);

#endif
