/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_figures - what the running parts say of themselves, seen at one look: texts made of it tell of one
 * instant, and whoever asks waits for the disk once. Only the last readings are copied when they are written
 * out.
 *
 * Threads    Main thread; it takes snapshots from the parts, which lock by themselves.
 * Ownership  The view lends everything, and the figures lend from it; status_figures_forget().
 * Errors     status_figures_look(): FG_ENOMEM, with nothing to forget.
 */
#ifndef FG_STATUS_FIGURES_H
#define FG_STATUS_FIGURES_H

#include "config.h"
#include "gateway_report.h"
#include "poller.h"
#include "store.h"
#include "uplink.h"

/* The parts, and what of them does not change from look to look or is the gateway's own to know. */
struct status_view {
    const struct config *config;
    const char *gateway_id;
    const char *config_path;
    const char *config_state;
    int64_t started_wall_ms, started_mono_ms;
    bool clock_trusted;
    int64_t records_per_day;                /* -1: not known yet, here and below */
    int64_t written_bytes, written_per_day; /* to media, by this process */
    struct poller *const *pollers;
    size_t poller_count;
    struct store *store;
    struct gateway_reports *reports;
    struct uplink *const *uplinks; /* same order as config->uplinks */
    size_t uplink_count;
};

struct status_device {
    const struct config_device *config;
    const struct poller_device *options;
    struct poller *poller;
    size_t index; /* in the poller */
    struct poller_device_status polls;
    struct gateway_report_status report;
};

struct status_bus {
    const char *name;
    struct driver_bus_stats stats;
    const struct status_device *devices; /* in the figures */
    size_t device_count;
};

struct status_uplink {
    struct uplink_status link;
    struct store_uplink_status records;
};

struct status_figures {
    struct store_status store;
    struct status_uplink *uplinks; /* same order as in the view, also the buses */
    struct status_bus *buses;
    size_t bus_count;
    struct status_device *devices; /* bus by bus */
    size_t device_count;
};

int status_figures_look(const struct status_view *v, struct status_figures *ret);
void status_figures_forget(struct status_figures *f);

#endif
