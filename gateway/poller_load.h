/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller_load - notices when a bus cannot keep its schedule, and says once which interval would fit.
 *
 * Threads    One thread (the poller's).
 * Ownership  Embedded by the poller; poller_load_init() allocates, nothing does afterwards. The devices'
 *            arrays are lent.
 * Errors     poller_load_init(): FG_ENOMEM.
 *
 * Missed periods alone mean little: a pause, a lost port or a device that does not answer cause them, too. So
 * they are the occasion to do the sums, with what the driver measured; only if those say that the line has
 * too little time is it told. It is well again after ten minutes without a missed period. A bus that keeps
 * going from one to the other gets four lines, then one every eight hours.
 */
#ifndef FG_POLLER_LOAD_H
#define FG_POLLER_LOAD_H

#include "../drivers/driver.h"
#include "busload.h"
#include "damp.h"

struct poller_load {
    const char *bus;
    struct driver *driver;
    struct busload_device *devices;
    bool *asleep; /* one per device: not asked in its periods at present, so it costs nothing */
    bool *due;
    size_t count;
    struct damp_switch overload;
    int64_t summed_mono_ms; /* when the sums were done last; 0: never */
    int64_t missed_mono_ms; /* the newest missed period */
};

int poller_load_init(struct poller_load *l, const char *bus, struct driver *driver, size_t count,
                     size_t most_points);
void poller_load_fini(struct poller_load *l);
void poller_load_device(struct poller_load *l, size_t index, const struct busload_device *device);
/* After each poll: periods that were missed before it. */
void poller_load_note(struct poller_load *l, uint32_t missed, int64_t now_mono_ms);

#endif
