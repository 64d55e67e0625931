/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_counter - gives the samples of devices that have counters their increments, on the way from the
 * pollers to the store.
 *
 * Threads    gateway_counters_append(): each device's samples come from one thread, its bus'; different
 *            devices from any. The rest: before the pollers run.
 * Ownership  The configuration is borrowed for life.
 * Errors     FG_ENOMEM. Nothing is allocated once it is made.
 *
 * An increment is the growth since the last reading that the store took. What the store refuses (a full
 * queue) is not counted as taken, and after a start the last committed reading is asked for, so the
 * increments of a stream sum up to what the counter has grown by, whatever happens in between.
 */
#ifndef FG_GATEWAY_COUNTER_H
#define FG_GATEWAY_COUNTER_H

#include "config.h"
#include "sample.h"
#include "store.h"

struct gateway_counters;

int gateway_counters_new(const struct config *c, struct gateway_counters **ret);
void gateway_counters_free(struct gateway_counters *c);
/* Goes on from what is committed. A failure leaves counters without a last reading: they begin anew. */
int gateway_counters_recall(struct gateway_counters *c, struct store *s);
/* Appends the sample, with its increments behind its readings; and after it an event when a counter has
 * started again. Returns what store_append() says of the sample. */
int gateway_counters_append(struct gateway_counters *c, struct store *s, const struct sample *sample);

#endif
