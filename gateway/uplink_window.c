/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_window.h"

#include <assert.h>
#include <string.h>

/* Unsent live records beyond which the newest are taken first: 4 rounds of devices and a little. */
#define BEHIND_ROUNDS 4
#define BEHIND_EXTRA 400

static uint64_t newest_round(const struct uplink_window *w, uint64_t newest)
{
    return newest >= w->live_depth ? newest - w->live_depth + 1 : 1;
}

static void set_live_from(struct uplink_window *w, uint64_t seq)
{
    w->live_from = seq;
    w->cursor[UPLINK_LIVE] = seq;
}

void uplink_window_open(struct uplink_window *w, unsigned receive_max, size_t live_depth, bool oldest_first,
                        uint64_t first_waiting, uint64_t newest)
{
    memset(w, 0, sizeof *w);
    w->live_depth = live_depth > 0 ? live_depth : 1;
    w->oldest_first = oldest_first;
    w->slots = receive_max < UPLINK_WINDOW_MAX ? receive_max : UPLINK_WINDOW_MAX;
    w->slots = w->slots > 1 ? w->slots - 1 : 1;
    if (first_waiting == 0)
        first_waiting = newest + 1;
    uint64_t live_from = newest_round(w, newest);
    w->cursor[UPLINK_BACKLOG] = first_waiting;
    set_live_from(w, live_from > first_waiting ? live_from : first_waiting);
    if (oldest_first && first_waiting <= newest)
        set_live_from(w, UINT64_MAX);
}

bool uplink_window_has_slot(const struct uplink_window *w, enum uplink_lane lane)
{
    size_t most = w->slots > 3 ? w->slots - 2 : 1;
    if (w->in_flight >= w->slots)
        return false;
    return lane == UPLINK_LIVE || w->lane_messages[UPLINK_BACKLOG] < most;
}

/* The message in flight that covers seq, or that comes next after it; NULL when there is none. */
static const struct uplink_flight *flight_at(const struct uplink_window *w, uint64_t seq)
{
    const struct uplink_flight *found = NULL;
    for (size_t i = 0; i < w->in_flight; i++) {
        const struct uplink_flight *f = &w->flights[i];
        if (f->last >= seq && (!found || f->first < found->first))
            found = f;
    }
    return found;
}

void uplink_window_idle(const struct uplink_window *w, uint64_t from, uint64_t *ret_first, uint64_t *ret_last)
{
    const struct uplink_flight *f = flight_at(w, from);
    while (f && f->first <= from) {
        from = f->last + 1;
        f = flight_at(w, from);
    }
    *ret_first = from;
    *ret_last = f ? f->first - 1 : UINT64_MAX;
}

bool uplink_window_next(const struct uplink_window *w, enum uplink_lane lane, uint64_t newest,
                        uint64_t *ret_from, uint64_t *ret_to)
{
    uint64_t from = w->cursor[lane];
    uint64_t to = newest;
    if (lane == UPLINK_LIVE && from < w->live_from)
        from = w->live_from;
    if (lane == UPLINK_BACKLOG && to >= w->live_from)
        to = w->live_from - 1;
    const struct uplink_flight *f = flight_at(w, from);
    while (f && f->first <= from) {
        from = f->last + 1;
        f = flight_at(w, from);
    }
    if (f && f->first <= to)
        to = f->first - 1;
    if (from > to)
        return false;
    *ret_from = from;
    *ret_to = to;
    return true;
}

void uplink_window_empty(struct uplink_window *w, enum uplink_lane lane, uint64_t to)
{
    if (to >= w->cursor[lane])
        w->cursor[lane] = to + 1;
}

void uplink_window_sent(struct uplink_window *w, const struct uplink_flight *flight)
{
    assert(w->in_flight < UPLINK_WINDOW_MAX && flight->first <= flight->last);
    w->flights[w->in_flight++] = *flight;
    w->lane_messages[flight->lane]++;
    w->lane_bytes[flight->lane] += flight->bytes;
    if (!flight->apart && flight->last >= w->cursor[flight->lane])
        w->cursor[flight->lane] = flight->last + 1;
}

bool uplink_window_take(struct uplink_window *w, uint32_t token, struct uplink_flight *ret)
{
    for (size_t i = 0; i < w->in_flight; i++) {
        if (w->flights[i].token != token)
            continue;
        *ret = w->flights[i];
        w->flights[i] = w->flights[--w->in_flight];
        w->lane_messages[ret->lane]--;
        w->lane_bytes[ret->lane] -= ret->bytes;
        return true;
    }
    return false;
}

void uplink_window_rewind(struct uplink_window *w, uint64_t first)
{
    enum uplink_lane lane = first >= w->live_from ? UPLINK_LIVE : UPLINK_BACKLOG;
    if (first < w->cursor[lane])
        w->cursor[lane] = first;
}

void uplink_window_look_back(struct uplink_window *w, uint64_t first)
{
    if (first >= w->live_from && first < w->cursor[UPLINK_LIVE])
        w->live_from = w->cursor[UPLINK_LIVE];
    if (first < w->live_from)
        uplink_window_rewind(w, first);
}

void uplink_window_keep_up(struct uplink_window *w, uint64_t newest)
{
    const uint64_t most = BEHIND_ROUNDS * w->live_depth + BEHIND_EXTRA;
    const uint64_t cursor = w->cursor[UPLINK_LIVE];

    if (w->live_from == UINT64_MAX) {
        if (w->cursor[UPLINK_BACKLOG] > newest)
            set_live_from(w, newest + 1);
        return;
    }
    /* The backlog's cursor never passes live_from, so it will come to what is left to it here. */
    if (newest >= cursor && newest - cursor >= most)
        set_live_from(w, w->oldest_first ? UINT64_MAX : newest_round(w, newest));
}

int64_t uplink_window_deadline(const struct uplink_window *w)
{
    int64_t deadline = INT64_MAX;
    for (size_t i = 0; i < w->in_flight; i++)
        if (w->flights[i].deadline_mono_ms < deadline)
            deadline = w->flights[i].deadline_mono_ms;
    return deadline;
}
