/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

/* First polls are spread over this long: late enough not to collide, early enough for whoever watches. */
#define START_SPREAD_MS 2000
/* Silent polls in a row until a device is only probed. */
#define SILENT_AFTER 3
/* Bus time for probes while anybody on the bus is alive: one part in so many, with so much saved up. */
#define PROBE_SHARE 20
#define PROBE_SAVED_MS 1000

static const int64_t BACK_OFF_MS[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000};
#define BACK_OFF_LAST (sizeof(BACK_OFF_MS) / sizeof(BACK_OFF_MS[0]) - 1)

/* The points of one device that share an interval. All rates of a device have the same phase, so that nested
 * intervals (10 s and 60 s) fall due together and are asked in one turn. */
struct rate {
    int64_t every_ms;
    int64_t next_ms; /* the first period not yet served or skipped */
};

struct slot {
    struct rate *rates; /* the fastest first */
    size_t rate_count;
    uint16_t *point_rate; /* which rate each point has */
    size_t point_count;
    int64_t due_ms;   /* the earliest of the rates' */
    int64_t done_ms;  /* end of the last turn */
    int64_t hurry_ms; /* when somebody asked */
    int64_t probe_ms; /* while silent: the next probe */
    unsigned silent_polls;
    unsigned back_off; /* index of the next pause; kept until a *poll* is answered */
    bool hurried;
    bool silent;
};

struct schedule {
    struct slot *slots;
    size_t count, silent_count;
    struct rate *rates;
    uint16_t *point_rates;
    bool *due; /* lent to the caller */
    uint64_t random;
    int64_t begin_ms;      /* when the turn last given out began */
    int64_t probe_even_ms; /* when what probes have taken is a PROBE_SHARE'th of the time again */
    bool last_was_probe;
};

/* splitmix64: small, and repeatable everywhere. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int64_t random_below(uint64_t *state, int64_t limit)
{
    return limit > 0 ? (int64_t)(next_random(state) % (uint64_t)limit) : 0;
}

static int64_t at_least_1(int64_t ms)
{
    return ms < 1 ? 1 : ms;
}

static int64_t point_every(const struct schedule_device *d, size_t point)
{
    int64_t own = d->point_every_ms ? d->point_every_ms[point] : 0;
    return at_least_1(own > 0 ? own : d->every_ms);
}

/* The rate with this interval, made if there is none yet. */
static size_t find_or_add_rate(struct slot *slot, int64_t every_ms)
{
    size_t i = 0;
    while (i < slot->rate_count && slot->rates[i].every_ms != every_ms)
        i++;
    if (i == slot->rate_count) {
        slot->rates[i].every_ms = every_ms;
        slot->rate_count++;
    }
    return i;
}

static void fill_rates(struct slot *slot, const struct schedule_device *d)
{
    int64_t fastest = d->point_count > 0 ? point_every(d, 0) : at_least_1(d->every_ms);
    for (size_t i = 1; i < d->point_count; i++)
        if (point_every(d, i) < fastest)
            fastest = point_every(d, i);
    find_or_add_rate(slot, fastest);
    for (size_t i = 0; i < d->point_count; i++)
        slot->point_rate[i] = (uint16_t)find_or_add_rate(slot, point_every(d, i));
}

/* Devices start in order, evenly apart or in rows of neighbours, each row somewhere within its share of the
 * first seconds. */
static int64_t first_due(const struct schedule *s, size_t index, int64_t fastest_ms, int64_t apart_ms,
                         int64_t now_mono_ms)
{
    int64_t spread = fastest_ms < START_SPREAD_MS ? fastest_ms : START_SPREAD_MS;
    int64_t count = (int64_t)s->count, rows = count;
    if (apart_ms > 0 && spread / apart_ms < count)
        rows = at_least_1(spread / apart_ms);
    int64_t row = (int64_t)index * rows / count;
    int64_t from = spread * row / rows, to = spread * (row + 1) / rows;
    uint64_t random = s->random ^ (uint64_t)row << 32; /* the same for the whole row */
    return now_mono_ms + from + random_below(&random, to - from);
}

static void fill_slots(struct schedule *s, const struct schedule_device *devices, int64_t apart_ms,
                       int64_t now_mono_ms)
{
    struct rate *rates = s->rates;
    uint16_t *point_rates = s->point_rates;
    for (size_t i = 0; i < s->count; i++) {
        struct slot *slot = &s->slots[i];
        slot->rates = rates;
        slot->point_rate = point_rates;
        slot->point_count = devices[i].point_count;
        fill_rates(slot, &devices[i]);
        slot->due_ms = first_due(s, i, slot->rates[0].every_ms, apart_ms, now_mono_ms);
        slot->done_ms = INT64_MIN;
        for (size_t r = 0; r < slot->rate_count; r++)
            slot->rates[r].next_ms = slot->due_ms;
        rates += slot->rate_count;
        point_rates += slot->point_count;
    }
}

struct schedule *schedule_new(const struct schedule_device *devices, size_t count, int64_t apart_ms,
                              int64_t now_mono_ms, uint64_t seed)
{
    size_t points = 0, most_points = 0;
    for (size_t i = 0; i < count; i++) {
        points += devices[i].point_count;
        if (devices[i].point_count > most_points)
            most_points = devices[i].point_count;
    }
    if (most_points > UINT16_MAX)
        return NULL;

    struct schedule *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->count = count;
    s->random = seed;
    s->probe_even_ms = now_mono_ms;
    s->slots = calloc(count + 1, sizeof(*s->slots));
    s->rates = calloc(points + count + 1, sizeof(*s->rates));
    s->point_rates = calloc(points + 1, sizeof(*s->point_rates));
    s->due = calloc(most_points + 1, sizeof(*s->due));
    if (!s->slots || !s->rates || !s->point_rates || !s->due) {
        schedule_free(s);
        return NULL;
    }
    fill_slots(s, devices, apart_ms, now_mono_ms);
    return s;
}

void schedule_free(struct schedule *s)
{
    if (!s)
        return;
    free(s->slots);
    free(s->rates);
    free(s->point_rates);
    free(s->due);
    free(s);
}

/* Periods of a rate that have begun by `at`. */
static int64_t periods_begun(const struct rate *r, int64_t at)
{
    return at < r->next_ms ? 0 : (at - r->next_ms) / r->every_ms + 1;
}

/* The fastest rate counts: whenever any other has skipped a period, it has too. One period is what the turn
 * itself stands for. */
static uint32_t periods_missed(const struct slot *slot, int64_t at)
{
    int64_t begun = periods_begun(&slot->rates[0], at);
    if (begun <= 1)
        return 0;
    return begun - 1 > UINT32_MAX ? UINT32_MAX : (uint32_t)(begun - 1);
}

/* Leaves every rate at its first period after `at`. */
static void skip_to(struct slot *slot, int64_t at)
{
    slot->due_ms = INT64_MAX;
    for (size_t i = 0; i < slot->rate_count; i++) {
        struct rate *r = &slot->rates[i];
        r->next_ms += periods_begun(r, at) * r->every_ms;
        if (r->next_ms < slot->due_ms)
            slot->due_ms = r->next_ms;
    }
}

/* When the slot's turn may begin, whatever kind it is. */
static int64_t slot_due(const struct schedule *s, const struct slot *slot)
{
    if (slot->hurried)
        return slot->hurry_ms;
    if (!slot->silent)
        return slot->due_ms;
    /* The account protects the living; when all are silent there is nobody to protect, and a repaired line
     * should be noticed soon. */
    int64_t affordable = s->probe_even_ms - PROBE_SAVED_MS * PROBE_SHARE;
    if (s->silent_count == s->count || slot->probe_ms > affordable)
        return slot->probe_ms;
    return affordable;
}

struct candidate {
    const struct slot *slot; /* NULL: none */
    int64_t due_ms;
    int64_t rank_ms; /* among the overdue */
};

static struct candidate make_candidate(const struct schedule *s, const struct slot *slot)
{
    struct candidate c = {.slot = slot, .due_ms = slot_due(s, slot)};
    c.rank_ms = c.due_ms > slot->done_ms ? c.due_ms : slot->done_ms;
    return c;
}

/*
 * Whether a goes before b. Earliest due first; but a device served while another was already overdue goes
 * behind it, even if its own next period began earlier: without that, a device whose turn takes longer than
 * its period would starve the others.
 */
static bool goes_before(const struct candidate *a, const struct candidate *b, int64_t now)
{
    if (!b->slot)
        return true;
    if (a->due_ms > now || b->due_ms > now)
        return a->due_ms < b->due_ms;
    if (a->slot->hurried != b->slot->hurried)
        return a->slot->hurried;
    if (a->rank_ms != b->rank_ms)
        return a->rank_ms < b->rank_ms;
    return a->slot->done_ms < b->slot->done_ms;
}

static struct candidate choose(const struct schedule *s, int64_t now)
{
    struct candidate poll = {0}, probe = {0};
    for (size_t i = 0; i < s->count; i++) {
        const struct slot *slot = &s->slots[i];
        struct candidate *best = slot->silent && !slot->hurried ? &probe : &poll;
        struct candidate c = make_candidate(s, slot);
        if (goes_before(&c, best, now))
            *best = c;
    }
    if (!poll.slot || !probe.slot)
        return poll.slot ? poll : probe;
    if (s->last_was_probe && poll.due_ms <= now)
        return poll; /* one probe between two polls at most while polls are due */
    return goes_before(&probe, &poll, now) ? probe : poll;
}

bool schedule_next(struct schedule *s, int64_t now_mono_ms, struct schedule_turn *ret)
{
    const struct candidate chosen = choose(s, now_mono_ms);
    const struct slot *slot = chosen.slot;
    if (!slot)
        return false;
    ret->device = (size_t)(slot - s->slots);
    ret->what = slot->silent && !slot->hurried ? SCHEDULE_PROBE : SCHEDULE_POLL;
    ret->due_mono_ms = chosen.due_ms;
    s->begin_ms = ret->due_mono_ms > now_mono_ms ? ret->due_mono_ms : now_mono_ms;
    ret->missed = periods_missed(slot, s->begin_ms);
    ret->due = NULL;
    if (ret->what == SCHEDULE_POLL) {
        /* Whoever hurries wants to see everything, not only what happens to be due. */
        for (size_t i = 0; i < slot->point_count; i++)
            s->due[i] = slot->hurried || slot->rates[slot->point_rate[i]].next_ms <= s->begin_ms;
        ret->due = s->due;
    }
    return true;
}

/* Plans the next probe at the period nearest to the end of the pause: so its stamp, too, lies on the grid,
 * and it is never oftener than the device's own period. */
static void plan_probe(struct schedule *s, struct slot *slot, int64_t now)
{
    const struct rate *fastest = &slot->rates[0];
    int64_t pause = BACK_OFF_MS[slot->back_off];
    pause += random_below(&s->random, pause * 2 / 5 + 1) - pause / 5; /* +-20 % */
    if (slot->back_off < BACK_OFF_LAST)
        slot->back_off++;

    int64_t soonest = fastest->next_ms + periods_begun(fastest, now) * fastest->every_ms;
    int64_t beyond = now + pause - soonest;
    slot->probe_ms = soonest;
    if (beyond > 0)
        slot->probe_ms += (beyond + fastest->every_ms / 2) / fastest->every_ms * fastest->every_ms;
}

static void poll_done(struct schedule *s, struct slot *slot, int64_t now, bool answered)
{
    slot->hurried = false;
    skip_to(slot, s->begin_ms);
    if (answered) {
        s->silent_count -= slot->silent;
        slot->silent = false;
        slot->silent_polls = 0;
        slot->back_off = 0;
    } else if (!slot->silent && ++slot->silent_polls >= SILENT_AFTER) {
        slot->silent = true;
        s->silent_count++;
        plan_probe(s, slot, now);
    }
}

/* Silence of a whole bus is a matter of the line: when the first device answers again, all are worth asking.
 * The first itself keeps its pause until a poll is answered, too. */
static void ask_others_again(struct schedule *s, const struct slot *first, int64_t now)
{
    for (size_t i = 0; i < s->count; i++) {
        if (&s->slots[i] == first)
            continue;
        s->slots[i].back_off = 0;
        s->slots[i].probe_ms = now;
    }
}

static void probe_done(struct schedule *s, struct slot *slot, int64_t now, bool answered)
{
    if (s->silent_count < s->count) {
        if (s->probe_even_ms < s->begin_ms)
            s->probe_even_ms = s->begin_ms;
        s->probe_even_ms += at_least_1(now - s->begin_ms) * PROBE_SHARE;
    }
    if (!answered) {
        skip_to(slot, s->begin_ms);
        plan_probe(s, slot, now);
        return;
    }
    /* The periods that passed stay unserved here: the poll that follows counts them. */
    if (s->silent_count == s->count)
        ask_others_again(s, slot, now);
    s->silent_count--;
    slot->silent = false;
    slot->silent_polls = 0;
    slot->hurried = true;
    slot->hurry_ms = now;
}

void schedule_done(struct schedule *s, const struct schedule_turn *turn, int64_t now_mono_ms, bool answered)
{
    struct slot *slot = &s->slots[turn->device];
    s->last_was_probe = turn->what == SCHEDULE_PROBE;
    slot->done_ms = now_mono_ms;
    switch (turn->what) {
    case SCHEDULE_POLL:
        poll_done(s, slot, now_mono_ms, answered);
        return;
    case SCHEDULE_PROBE:
        probe_done(s, slot, now_mono_ms, answered);
        return;
    }
}

void schedule_hurry(struct schedule *s, size_t device, int64_t now_mono_ms)
{
    if (device >= s->count || s->slots[device].hurried)
        return;
    s->slots[device].hurried = true;
    s->slots[device].hurry_ms = now_mono_ms;
}

bool schedule_is_silent(const struct schedule *s, size_t device)
{
    return device < s->count && s->slots[device].silent;
}
