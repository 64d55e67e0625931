/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_pace.h"

#define METER_MS 1000
#define METER_SHARE 0.3

static const struct {
    size_t start;      /* bytes */
    int64_t target_ms; /* the wait above which the budget is cut */
} LANES[UPLINK_LANES] = {
    /* Half of it is the first message: 8 KiB pass even 500 B/s within the usual PUBACK timeout of 30 s. */
    [UPLINK_LIVE] = {16 * 1024, 4000},
    /* At the 1 KB/s of a bad link still under the promised 5 s. */
    [UPLINK_BACKLOG] = {4 * 1024, 1500},
};

void uplink_pace_init(struct uplink_pace *p, size_t batch_bytes, int64_t max_rate, int64_t now_mono_ms)
{
    *p = (struct uplink_pace){
        .batch_bytes = batch_bytes,
        .max_rate = max_rate,
        .tokens = max_rate,
        .filled_mono_ms = now_mono_ms,
    };
    uplink_pace_open(p, now_mono_ms);
}

void uplink_pace_open(struct uplink_pace *p, int64_t now_mono_ms)
{
    for (size_t i = 0; i < UPLINK_LANES; i++) {
        size_t start = LANES[i].start >> p->timeouts;
        p->lanes[i].budget = start > UPLINK_PACE_MIN ? start : UPLINK_PACE_MIN;
        p->lanes[i].cut_mono_ms = now_mono_ms;
    }
    p->base_ms = UPLINK_PACE_BASE_MAX_MS;
    p->records_per_s = 0;
    p->meter_mono_ms = now_mono_ms;
    p->meter_records = 0;
}

void uplink_pace_overdue(struct uplink_pace *p)
{
    if (p->timeouts < 8)
        p->timeouts++;
}

size_t uplink_pace_message(const struct uplink_pace *p, enum uplink_lane lane)
{
    /* Half the budget, so that two are under way and the link is not idle while a PUBACK travels. */
    size_t half = p->lanes[lane].budget / 2;
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

int64_t uplink_pace_when(struct uplink_pace *p, enum uplink_lane lane, size_t in_flight, int64_t now_mono_ms)
{
    if (in_flight > 0 && in_flight + uplink_pace_message(p, lane) > p->lanes[lane].budget)
        return INT64_MAX;
    if (lane == UPLINK_LIVE || p->max_rate <= 0)
        return now_mono_ms;
    fill(p, now_mono_ms);
    if (p->tokens > 0)
        return now_mono_ms;
    return now_mono_ms + (1 - p->tokens) * 1000 / p->max_rate + 1;
}

void uplink_pace_sent(struct uplink_pace *p, enum uplink_lane lane, size_t bytes)
{
    if (lane == UPLINK_BACKLOG && p->max_rate > 0)
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

void uplink_pace_heard(struct uplink_pace *p, int64_t sent_mono_ms, int64_t now_mono_ms)
{
    if (now_mono_ms - sent_mono_ms < p->base_ms)
        p->base_ms = now_mono_ms - sent_mono_ms;
}

void uplink_pace_acked(struct uplink_pace *p, enum uplink_lane lane, int64_t sent_mono_ms,
                       int64_t now_mono_ms, size_t bytes, size_t records)
{
    struct uplink_pace_lane *l = &p->lanes[lane];
    const int64_t target = LANES[lane].target_ms;

    uplink_pace_heard(p, sent_mono_ms, now_mono_ms);
    if (lane == UPLINK_BACKLOG)
        meter(p, now_mono_ms, records);
    int64_t wait = now_mono_ms - sent_mono_ms - p->base_ms;
    if (wait <= target / 2) {
        l->budget = l->budget + bytes < UPLINK_PACE_MAX ? l->budget + bytes : UPLINK_PACE_MAX;
        p->timeouts = 0;
    } else if (wait > target && sent_mono_ms >= l->cut_mono_ms) {
        l->budget = (size_t)((int64_t)l->budget * target / wait);
        if (l->budget < UPLINK_PACE_MIN)
            l->budget = UPLINK_PACE_MIN;
        l->cut_mono_ms = now_mono_ms;
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
