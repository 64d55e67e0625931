/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_build - translates the configuration into the options of the parts and makes them.
 *
 * Threads    Main thread, before any part is started. The callbacks that the parts get run on their threads:
 *            they touch only the store (which locks by itself), the counters of their own devices, the two
 *            atomics, and `uplinks` once uplinks_ready is set.
 * Ownership  What is made belongs to the gateway, also when a later step fails; gateway_free() frees it.
 * Errors     With a note: what the driver, the store or an uplink refused.
 */
#ifndef FG_GATEWAY_BUILD_H
#define FG_GATEWAY_BUILD_H

#include <stdatomic.h>

#include "command.h"
#include "control.h"
#include "damp.h"
#include "gateway.h"
#include "gateway_counter.h"
#include "gateway_report.h"
#include "poller.h"
#include "rate.h"
#include "status.h"
#include "store.h"
#include "uplink.h"

/* What a bus' poller and driver borrow for their life. */
struct bus_parts {
    struct poller *poller;
    char where[160];
    struct poller_device *devices;
    const char **names; /* of all points of all devices, device by device */
    int64_t *every;     /* the same, intervals */
};

struct gateway {
    struct gateway_options options;
    struct bus_parts *buses; /* one for each bus that has enabled devices */
    struct poller **pollers; /* the same, for status */
    size_t bus_count;
    struct gateway_counters *counters;
    struct gateway_reports *reports;
    struct store *store;
    struct control *control; /* NULL: there is none */
    struct uplink **uplinks;
    size_t uplink_count;
    _Atomic bool uplinks_ready; /* the store's writer runs before the uplinks exist */
    _Atomic bool clock_trusted;
    struct buf layout, labels, position;
    int64_t started_wall_ms, started_mono_ms;
    const char *late; /* the part that was late at the last look; NULL: none */
    struct damp_switch disk_failing, disk_hangs, clock_set; /* as the log was told */
    struct damp step_lines;
    int64_t wall_less_mono_ms; /* at the last tick */
    int64_t id_tried_mono_ms;  /* when it was tried last to keep an id that was not kept */
    int64_t stalled_mono_ms;   /* when the disk was seen to hang last; 0: never */
    uint64_t queue_dropped;
    struct damp news; /* of the store */
    unsigned news_left_out;
    struct rate records, written;                                    /* the main thread's */
    _Atomic int64_t records_per_day, written_bytes, written_per_day; /* what they say, for any thread */
};

int gateway_build_buses(struct gateway *g, struct err_note *note);
int gateway_build_store(struct gateway *g, struct err_note *note);
int gateway_build_uplinks(struct gateway *g, struct err_note *note);
bool gateway_clock_trusted(void *gateway);
/* A driver for some devices of a bus; also for commands that talk to a device without a gateway. */
int gateway_open_driver(const struct config_bus *b, const struct modbus_device_options *devices, size_t count,
                        struct driver **ret, struct err_note *note);
/* From any thread while the parts live. */
struct status_view gateway_view(struct gateway *g);
struct command_handlers gateway_handlers(struct gateway *g);
/* A failure is a log line. */
void gateway_open_control(struct gateway *g);

#endif
