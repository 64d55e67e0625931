/* SPDX-License-Identifier: Apache-2.0 */
#include "busload.h"

/* Turns of one device that are looked at: enough for 1 s beside 4 min; beyond that the slow points count for
 * a little more than they are. */
#define TURNS_MAX 256
/* Different sets of due points that are remembered. */
#define SETS 8

static const int64_t USUAL_MS[] = {100,   200,   500,   1000,   2000,   3000,   5000,   10000,   15000,
                                   20000, 30000, 60000, 120000, 300000, 600000, 900000, 1800000, 3600000};

/* What polls of different sets of points cost, the newest first to go. */
struct memory {
    uint64_t set[SETS];
    int64_t cost_us[SETS];
    size_t count;
};

struct walk {
    const struct busload_device *device;
    size_t index;
    busload_cost *cost;
    void *context;
    bool *due;
    int64_t floor_ms; /* no interval is shorter */
};

static int64_t interval(const struct walk *w, size_t point)
{
    const struct busload_device *d = w->device;
    int64_t own_ms = d->point_every_ms ? d->point_every_ms[point] : 0;
    int64_t every_ms = own_ms > 0 ? own_ms : d->every_ms;
    if (every_ms < w->floor_ms)
        every_ms = w->floor_ms;
    return every_ms > 0 ? every_ms : 1;
}

/* FNV-1a over the set; a collision makes the figure a little wrong, nothing else. */
static uint64_t set_at(struct walk *w, int64_t at_ms, bool *ret_all)
{
    uint64_t hash = 0xcbf29ce484222325u;
    *ret_all = true;
    for (size_t i = 0; i < w->device->point_count; i++) {
        w->due[i] = at_ms % interval(w, i) == 0;
        *ret_all &= w->due[i];
        hash = (hash ^ w->due[i]) * 0x100000001b3u;
    }
    return hash;
}

static int64_t cost_of_set(struct walk *w, struct memory *m, uint64_t set)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->set[i] == set)
            return m->cost_us[i];
    int64_t cost_us = w->cost(w->context, w->index, w->due);
    size_t at = m->count < SETS ? m->count++ : SETS - 1;
    m->set[at] = set;
    m->cost_us[at] = cost_us;
    return cost_us;
}

static int64_t next_turn(const struct walk *w, int64_t at_ms)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < w->device->point_count; i++) {
        int64_t every_ms = interval(w, i), due_ms = (at_ms / every_ms + 1) * every_ms;
        if (due_ms < next_ms)
            next_ms = due_ms;
    }
    return next_ms;
}

/* Millionths of the line's time. */
static int64_t share_ppm(struct walk *w)
{
    struct memory memory = {0};
    int64_t at_ms = 0, sum_us = 0;
    if (w->device->point_count == 0)
        return 0;
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        bool all;
        uint64_t set = set_at(w, at_ms, &all);
        if (all && turn > 0)
            break; /* from here on it repeats itself */
        sum_us += cost_of_set(w, &memory, set);
        at_ms = next_turn(w, at_ms);
    }
    return sum_us * 1000 / at_ms;
}

static int64_t load_permille(const struct busload_device *devices, size_t count, busload_cost *cost,
                             void *context, bool *due, int64_t floor_ms)
{
    int64_t ppm = 0;
    for (size_t i = 0; i < count; i++) {
        struct walk w = {&devices[i], i, cost, context, due, floor_ms};
        ppm += share_ppm(&w);
    }
    return ppm / 1000;
}

struct busload busload_compute(const struct busload_device *devices, size_t count, busload_cost *cost,
                               void *context, bool *due, int64_t full_permille)
{
    struct busload load = {.permille = load_permille(devices, count, cost, context, due, 0)};
    if (load.permille < full_permille)
        return load;
    for (size_t i = 0; i < sizeof(USUAL_MS) / sizeof(USUAL_MS[0]) && load.fit_ms == 0; i++)
        if (load_permille(devices, count, cost, context, due, USUAL_MS[i]) <= BUSLOAD_HIGH_PERMILLE)
            load.fit_ms = USUAL_MS[i];
    return load;
}
