/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status - the texts of status.json and metrics.prom from a view of the running parts. What uplinks and store
 * say is looked at once for both texts: they tell of one instant, and whoever asks waits for the disk once.
 *
 * Threads    Main thread; it takes snapshots from the parts, which lock by themselves.
 * Ownership  The view lends everything; status_look()/status_forget().
 * Errors     status_look(): FG_ENOMEM. Else only through the buffers (buf_ok).
 */
#ifndef FG_STATUS_H
#define FG_STATUS_H

#include "buf.h"
#include "config.h"
#include "gateway_report.h"
#include "poller.h"
#include "store.h"
#include "uplink.h"

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

struct status_uplink {
    struct uplink_status link;
    struct store_uplink_status records;
};

/* What was seen at one look. */
struct status_figures {
    struct store_status store;
    struct status_uplink *uplinks; /* same order as in the view */
};

int status_look(const struct status_view *v, struct status_figures *ret);
void status_forget(struct status_figures *f);
void status_json(const struct status_view *v, const struct status_figures *f, struct buf *out);
/* How long the buffer lasts at this rate before undelivered records must go; -1: not known. */
int64_t status_room_ms(const struct store_status *s, int64_t records_per_day);
/* Prometheus text exposition format. */
void status_metrics(const struct status_view *v, const struct status_figures *f, struct buf *out);

#endif
