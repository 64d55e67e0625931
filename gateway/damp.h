/* SPDX-License-Identifier: Apache-2.0 */
/*
 * damp - keeps what repeats from filling the log: so many lines at once, then one in so long.
 *
 * Threads    A damp belongs to one thread.
 * Ownership  Plain structs; all zero bytes is one that has been quiet for ever.
 * Errors     None.
 *
 * Whoever may not speak counts what is left out, and says it with the next line.
 */
#ifndef FG_DAMP_H
#define FG_DAMP_H

#include <stdbool.h>
#include <stdint.h>

struct damp_limits {
    int at_once;
    int64_t then_every_ms;
};

struct damp {
    int64_t full_until_ms; /* monotonic */
};

/* Whether a line may be written now; damp_take() counts it. */
bool damp_allows(const struct damp *d, const struct damp_limits *limits, int64_t mono_ms);
void damp_take(struct damp *d, const struct damp_limits *limits, int64_t mono_ms);

/* Something that is so or not, with a line for each change. What cannot be said now is said later, if it is
 * still so: the last line always tells the state that lasts. */
struct damp_switch {
    struct damp damp;
    bool on, said;    /* what is so, and what the log was told */
    unsigned changes; /* since the log was told */
};

/* To be called often, with what is so. True when a line about it is to be written now; ret_changes: what the
 * line says then of changes that were left out, behind its first pair: " changes=5", or "". */
#define DAMP_CHANGES 32
bool damp_switch_tell(struct damp_switch *s, const struct damp_limits *limits, bool on, int64_t mono_ms,
                      char ret_changes[DAMP_CHANGES]);

#endif
