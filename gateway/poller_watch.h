/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller_watch - turns the results of polls into lines about changes of state: of a device, a point, the
 * port.
 *
 * Threads    One thread (the poller's).
 * Ownership  Plain structs that the poller embeds; strings and arrays are lent. Nothing is allocated.
 * Errors     None. A device that keeps changing its state gets a few lines, then one every ten minutes that
 *            says how many changes were left out; the last line always tells the state that lasts. All
 *            devices of a bus together get a hundred lines, then one every three hours. Lines about registers
 *            that are not there have the same limits beside these: they take no line from a device that falls
 *            silent.
 */
#ifndef FG_POLLER_WATCH_H
#define FG_POLLER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../drivers/driver.h"
#include "damp.h"

enum poller_trouble {
    POLLER_WELL,      /* it gave data */
    POLLER_SILENT,    /* nobody answered */
    POLLER_GARBLED,   /* something answered that is no frame of this device */
    POLLER_EXCEPTION, /* it answered, but refused everything */
    POLLER_NO_PORT,   /* nothing was sent: not the device's fault */
};

/* That the device does not have a point's register. */
enum poller_config_news {
    POLLER_CONFIG_NONE, /* it has it, as far as is known */
    POLLER_CONFIG_UNTOLD,
    POLLER_CONFIG_TOLD,
};

struct poller_watch_device {
    const char *name;
    int unit;
    const char *const *point_names;
    size_t point_count;
    enum poller_config_news *config_news; /* one per point */

    enum poller_trouble kind;    /* of the newest result but NO_PORT */
    unsigned run;                /* results of this kind in a row */
    unsigned failures;           /* of any kind in a row */
    uint8_t exception;           /* of the newest exception */
    enum driver_trouble trouble; /* of the newest garbled answer */
    bool slow_said;
    int64_t since_mono_ms;           /* the first of the failures in a row */
    int64_t outage_ms;               /* how long the last failures in a row lasted */
    enum poller_trouble state, said; /* what is so, and what the log was told */
    uint8_t said_exception;
    unsigned changes; /* of state since the log was told */
    struct damp damp, config_damp;
    unsigned config_gone; /* registers that were there again before the log was told */
};

struct poller_watch {
    const char *bus;
    const char *where;
    struct damp_switch port_down;
    int64_t port_since_mono_ms, port_outage_ms;
    struct damp damp, config_damp; /* of all devices together: a bad line moves them all */
};

enum poller_trouble poller_watch_trouble(const struct driver_result *r);
/* True while the failures in a row are too few to mean anything. */
bool poller_watch_is_retrying(const struct poller_watch_device *d);
/* The result of a poll or of a probe. A device is only said to be back when a poll has brought data. */
void poller_watch_result(struct poller_watch *w, struct poller_watch_device *d, const struct driver_result *r,
                         bool is_poll);
/* The device's timeout was raised, because its answers come late. */
void poller_watch_slow(struct poller_watch *w, struct poller_watch_device *d, int64_t timeout_ms);
/* The readings of a poll that brought data. */
void poller_watch_readings(struct poller_watch *w, struct poller_watch_device *d,
                           const struct reading *readings, int64_t now_mono_ms);

#endif
