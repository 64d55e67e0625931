/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_report - applies the rules of points (report, aggregate) to samples, on the way from the pollers to
 * the store.
 *
 * Threads    gateway_reports_take(): each device's samples come from one thread, its bus'; different devices
 * from any. gateway_reports_flush(): once that thread has ended. gateway_reports_status(): any. The rest:
 *            before the pollers run.
 * Ownership  Counters and store are borrowed for life.
 * Errors     FG_ENOMEM. Nothing is allocated once it is made; state is bounded by the number of points.
 *
 * A sample of a device with rules keeps the readings that are to be stored and passes the others off as not
 * due. When none remains nothing is stored, the sample counts as suppressed, and the next record of the
 * device says how many were. So, of each device: samples taken = records that are no aggregates + suppressed
 * + refused by the store. What the store refuses (a full queue) counts as not reported.
 */
#ifndef FG_GATEWAY_REPORT_H
#define FG_GATEWAY_REPORT_H

#include "config.h"
#include "gateway_counter.h"
#include "sample.h"
#include "store.h"

struct gateway_reports;

int gateway_reports_new(const struct config *c, struct gateway_counters *counters, struct store *s,
                        struct gateway_reports **ret);
void gateway_reports_free(struct gateway_reports *r);
/* A sample as a poller hands it over. */
void gateway_reports_take(struct gateway_reports *r, const struct sample *s);
/* At an orderly stop: stores the open windows of a device (index in the layout) as far as they go, and what
 * was held back last. */
void gateway_reports_flush(struct gateway_reports *r, size_t device);

struct gateway_report_status {
    uint64_t suppressed; /* samples of which no record was made */
    uint64_t aggregates; /* records made of windows */
};
/* device: index in the layout. */
void gateway_reports_status(struct gateway_reports *r, size_t device, struct gateway_report_status *ret);

#endif
