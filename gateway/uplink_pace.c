/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_pace.h"

#define METER_MS 1000
#define METER_SHARE 0.3

void uplink_pace_init(struct uplink_pace *p, size_t batch_bytes, int64_t max_rate, int64_t now_mono_ms)
{
    *p = (struct uplink_pace){
        .batch_bytes = batch_bytes, .max_rate = max_rate, .tokens = max_rate, .filled_mono_ms = now_mono_ms};
    uplink_pace_open(p, now_mono_ms);
}

void uplink_pace_open(struct uplink_pace *p, int64_t now_mono_ms)
{
    p->budget = UPLINK_PACE_START;
    p->base_ms = UPLINK_PACE_BASE_MAX_MS;
    p->cut_mono_ms = now_mono_ms;
    p->records_per_s = 0;
    p->meter_mono_ms = now_mono_ms;
    p->meter_records = 0;
}

size_t uplink_pace_message(const struct uplink_pace *p)
{
    /* Half the budget, so that two are under way and the link is not idle while a PUBACK travels. */
    size_t half = p->budget / 2;
    if (half < UPLINK_PACE_MIN)
        half = UPLINK_PACE_MIN;
    return half < p->batch_bytes ? half : p->batch_bytes;
}

/* One second's worth may go in one burst; a message is let go when there is any token, and the debt is waited
 * for afterwards, so that a message longer than a second's worth goes too. */
static void fill(struct uplink_pace *p, int64_t now_mono_ms)
{
    int64_t passed = now_mono_ms - p->filled_mono_ms;
    if (passed > 3600 * 1000)
        passed = 3600 * 1000;
    int64_t more = p->max_rate / 1000 * passed + p->max_rate % 1000 * passed / 1000;
    if (more == 0)
        return;
    p->tokens = p->tokens + more < p->max_rate ? p->tokens + more : p->max_rate;
    p->filled_mono_ms = now_mono_ms;
}

int64_t uplink_pace_when(struct uplink_pace *p, size_t in_flight, int64_t now_mono_ms)
{
    if (in_flight > 0 && in_flight + uplink_pace_message(p) > p->budget)
        return INT64_MAX;
    if (p->max_rate <= 0)
        return now_mono_ms;
    fill(p, now_mono_ms);
    if (p->tokens > 0)
        return now_mono_ms;
    return now_mono_ms + (1 - p->tokens) * 1000 / p->max_rate + 1;
}

void uplink_pace_sent(struct uplink_pace *p, size_t bytes)
{
    if (p->max_rate > 0)
        p->tokens -= (int64_t)bytes;
}

static void meter(struct uplink_pace *p, int64_t now_mono_ms, size_t records)
{
    int64_t passed = now_mono_ms - p->meter_mono_ms;
    p->meter_records += records;
    if (passed < METER_MS)
        return;
    double rate = (double)p->meter_records * 1000.0 / (double)passed;
    p->records_per_s =
        p->records_per_s > 0 ? p->records_per_s + METER_SHARE * (rate - p->records_per_s) : rate;
    p->meter_mono_ms = now_mono_ms;
    p->meter_records = 0;
}

void uplink_pace_acked(struct uplink_pace *p, int64_t sent_mono_ms, int64_t now_mono_ms, size_t backlog_bytes,
                       size_t backlog_records)
{
    int64_t took = now_mono_ms - sent_mono_ms;
    if (took < p->base_ms)
        p->base_ms = took;
    if (backlog_bytes == 0)
        return;
    meter(p, now_mono_ms, backlog_records);
    int64_t wait = took - p->base_ms;
    if (wait <= UPLINK_PACE_TARGET_MS / 2) {
        p->budget = p->budget + backlog_bytes < UPLINK_PACE_MAX ? p->budget + backlog_bytes : UPLINK_PACE_MAX;
    } else if (wait > UPLINK_PACE_TARGET_MS && sent_mono_ms >= p->cut_mono_ms) {
        p->budget = (size_t)((int64_t)p->budget * UPLINK_PACE_TARGET_MS / wait);
        if (p->budget < UPLINK_PACE_MIN)
            p->budget = UPLINK_PACE_MIN;
        p->cut_mono_ms = now_mono_ms;
    }
}

int64_t uplink_pace_drain(const struct uplink_pace *p, uint64_t records)
{
    if (records == 0)
        return 0;
    if (p->records_per_s < 0.001)
        return -1;
    return (int64_t)((double)records * 1000.0 / p->records_per_s);
}
