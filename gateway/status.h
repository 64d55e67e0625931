/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status - the texts of status.json and metrics.prom, made of one look at the running parts.
 *
 * Threads    Main thread.
 * Ownership  Everything is lent.
 * Errors     Only through the buffers (buf_ok).
 */
#ifndef FG_STATUS_H
#define FG_STATUS_H

#include "buf.h"
#include "status_figures.h"

void status_json(const struct status_view *v, const struct status_figures *f, struct buf *out);
/* How long the buffer lasts at this rate before undelivered records must go; -1: not known. */
int64_t status_room_ms(const struct store_status *s, int64_t records_per_day);
/* Prometheus text exposition format. */
void status_metrics(const struct status_view *v, const struct status_figures *f, struct buf *out);

#endif
