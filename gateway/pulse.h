/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pulse - how a loop shows that it still makes progress.
 *
 * Threads    One thread beats, any thread looks. Lock-free.
 * Ownership  The struct is embedded by whoever owns the loop; nothing is allocated.
 * Errors     None.
 *
 * A loop calls pulse_beat() at the top of each round and promises to be back within limit_ms; before a step
 * that may take longer (a name look-up) it calls pulse_expect() with a longer limit. The watchdog is fed only
 * while no pulse is late.
 */
#ifndef FG_PULSE_H
#define FG_PULSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pulse {
    _Atomic int64_t due_mono_ms; /* the next beat must come before this; 0: not started or ended */
};

/* Beats and promises the next beat within limit_ms. */
void pulse_expect(struct pulse *p, int64_t limit_ms);
/* pulse_expect with the usual 30 s. */
void pulse_beat(struct pulse *p);
/* The loop has ended in good order; it is never late again. */
void pulse_end(struct pulse *p);
bool pulse_late(const struct pulse *p, int64_t now_mono_ms);

#endif
