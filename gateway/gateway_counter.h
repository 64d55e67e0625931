/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_counter - gives the samples of devices that have counters their increments, on the way from the
 * pollers to the store.
 *
 * Threads    _note(), _urgent() and _append(): each device's samples come from one thread, its bus';
 *            different devices from any. The rest: before the pollers run.
 * Ownership  The configuration is borrowed for life.
 * Errors     FG_ENOMEM. Nothing is allocated once it is made.
 *
 * Every reading is noted, also one that a rule holds back, so that a wrap or restart between two stored ones
 * is seen. An increment is the growth since the last reading that the store took. What the store refuses (a
 * full queue) is not counted as taken, and after a start the last committed reading is asked for, so the
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
/* What the counters of a polled sample have come to. A counter that has started again leaves an event. */
void gateway_counters_note(struct gateway_counters *c, struct store *s, const struct sample *sample);
/* Whether the point is a counter whose newest reading is the first, or has wrapped or started again: it must
 * not be held back. */
bool gateway_counters_urgent(const struct gateway_counters *c, uint32_t device, size_t point);
/* Appends the sample with increments behind its readings, one for each counter in it, whose reading there
 * must be the newest that was noted. Returns what store_append() says. */
int gateway_counters_append(struct gateway_counters *c, struct store *s, const struct sample *sample);

#endif
