/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_bus - what status.json and metrics.prom say about buses and about the questions asked on them.
 *
 * Threads    Main thread.
 * Ownership  Everything is lent.
 * Errors     Only through the buffers (buf_ok).
 */
#ifndef FG_STATUS_BUS_H
#define FG_STATUS_BUS_H

#include "buf.h"
#include "status_figures.h"

/* An object: what questions came to. */
void status_bus_counters(const struct driver_stats *s, struct buf *out);
/* An array: each bus, with the sum of its devices. */
void status_bus_json(const struct status_figures *f, struct buf *out);
void status_bus_metrics(const struct status_figures *f, struct buf *out);

#endif
