/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_refusal.h"

/* No message holds more: `batch: max_samples`. */
enum { MOST_RECORDS = 10000 };

void uplink_refusal_init(struct uplink_refusal *r, int64_t first_ms)
{
    *r = (struct uplink_refusal){.first_ms = first_ms > 0 ? first_ms : UPLINK_REFUSAL_FIRST_MS};
}

void uplink_refusal_open(struct uplink_refusal *r)
{
    for (size_t i = 0; i < UPLINK_LANES; i++)
        r->lanes[i] = (struct uplink_refusal_lane){.said_reason = r->lanes[i].said_reason};
}

bool uplink_refusal_is_about_content(int reason)
{
    switch (reason) { /* MQTT 5.0, 2.4 */
    case 134:         /* user name or password */
    case 135:         /* not authorised */
    case 136:         /* server not available */
    case 137:         /* server busy */
    case 138:         /* banned */
    case 139:         /* shutting down */
    case 144:         /* topic name invalid */
    case 145:         /* packet identifier in use */
    case 147:         /* more in flight than allowed */
    case 150:         /* too many in a short time */
    case 151:         /* quota */
    case 152:         /* the operator's will */
    case 155:         /* QoS not supported */
    case 156:         /* another server */
    case 157:         /* the server has moved */
    case 159:         /* too many connections */
        return false;
    default:
        return true;
    }
}

static int64_t longer(const struct uplink_refusal *r, int64_t step_ms)
{
    if (step_ms == 0)
        return r->first_ms;
    return step_ms * 2 < UPLINK_REFUSAL_LAST_MS ? step_ms * 2 : UPLINK_REFUSAL_LAST_MS;
}

/* Several refused in one go count as one. */
static void pause_lane(const struct uplink_refusal *r, struct uplink_refusal_lane *l, int64_t now)
{
    if (now < l->hold_mono_ms)
        return;
    l->step_ms = longer(r, l->step_ms);
    l->hold_mono_ms = now + l->step_ms;
}

static struct uplink_suspect *find(struct uplink_refusal_lane *l, uint64_t seq)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->suspects[i].first <= seq && seq <= l->suspects[i].last)
            return &l->suspects[i];
    return NULL;
}

static struct uplink_suspect *add(struct uplink_refusal_lane *l, uint64_t first, uint64_t last)
{
    if (l->count == UPLINK_REFUSAL_SUSPECTS)
        return NULL;
    struct uplink_suspect *q = &l->suspects[l->count++];
    *q = (struct uplink_suspect){.first = first, .last = last};
    return q;
}

static void drop(struct uplink_refusal_lane *l, struct uplink_suspect *q)
{
    *q = l->suspects[--l->count];
}

static void again(uint64_t *ret, uint64_t first)
{
    if (*ret == 0 || first < *ret)
        *ret = first;
}

/* q keeps what is up to `last`; the rest becomes a suspect like it, or, without room, one of many again. */
static struct uplink_suspect *cut(struct uplink_refusal_lane *l, struct uplink_suspect *q, uint64_t last,
                                  uint64_t *ret_again)
{
    if (last >= q->last)
        return NULL;
    struct uplink_suspect *rest = add(l, last + 1, q->last);
    if (rest) {
        *rest = *q;
        rest->first = last + 1;
    } else {
        again(ret_again, last + 1);
    }
    q->last = last;
    return rest;
}

static void begin_half(struct uplink_suspect *q, int64_t due)
{
    q->proofs = 0;
    q->step_ms = 0;
    q->due_mono_ms = due;
}

/* Where others were taken since, there is nothing to wait for. */
static void halve(const struct uplink_refusal *r, struct uplink_refusal_lane *l, struct uplink_suspect *q,
                  bool proven, int64_t now, uint64_t *ret_again)
{
    int64_t due = proven ? now : now + r->first_ms;
    struct uplink_suspect *rest = cut(l, q, q->first + (q->last - q->first) / 2, ret_again);
    begin_half(q, due);
    if (rest)
        begin_half(rest, due);
}

static enum uplink_verdict judge(const struct uplink_refusal *r, struct uplink_refusal_lane *l,
                                 struct uplink_suspect *q, bool single, int64_t now, uint64_t *ret_again)
{
    const bool proven = q->other_was_taken;
    q->other_was_taken = false;
    q->refused_mono_ms = now;
    if (!single && q->repeated) {
        halve(r, l, q, proven, now, ret_again);
        return UPLINK_REFUSAL_WAIT;
    }
    q->repeated = true;
    q->step_ms = longer(r, q->step_ms);
    q->due_mono_ms = now + q->step_ms;
    if (single && proven)
        q->proofs++;
    return q->proofs >= UPLINK_REFUSAL_PROOFS ? UPLINK_REFUSAL_PROVEN : UPLINK_REFUSAL_WAIT;
}

static void all_refused(const struct uplink_refusal *r, struct uplink_refusal_lane *l, int64_t now)
{
    pause_lane(r, l, now);
    l->in_a_row++;
    l->refused_mono_ms = now;
}

enum uplink_verdict uplink_refusal_refused(struct uplink_refusal *r, const struct uplink_flight *f,
                                           int reason, int64_t now_mono_ms, uint64_t *ret_again)
{
    struct uplink_refusal_lane *l = &r->lanes[f->lane];
    struct uplink_suspect *q = find(l, f->first);
    *ret_again = 0;
    if (q)
        q->in_flight = false;
    else
        *ret_again = f->first;
    if (!uplink_refusal_is_about_content(reason)) {
        all_refused(r, l, now_mono_ms);
        return UPLINK_REFUSAL_WAIT;
    }
    /* It was under way when another was refused: that tells nothing about it yet. */
    if (!q && l->in_a_row > 0 && f->sent_mono_ms < l->refused_mono_ms)
        return UPLINK_REFUSAL_WAIT;
    /* A suspect waits by itself; others that are refused too, with nothing taken in between, stop the lane.
     */
    if (!q && (l->in_a_row > 0 || l->count == UPLINK_REFUSAL_SUSPECTS))
        pause_lane(r, l, now_mono_ms);
    l->in_a_row++;
    l->refused_mono_ms = now_mono_ms;
    if (!q)
        l->most_records = f->records > 1 ? f->records / 2 : 1;
    if (!q && !(q = add(l, f->first, f->last)))
        return UPLINK_REFUSAL_WAIT;
    if (*ret_again == f->first)
        *ret_again = 0;
    q->first = f->first; /* what was before is there no more */
    cut(l, q, f->last, ret_again);
    return judge(r, l, q, f->records == 1, now_mono_ms, ret_again);
}

void uplink_refusal_taken(struct uplink_refusal *r, const struct uplink_flight *f, int64_t now_mono_ms)
{
    struct uplink_refusal_lane *l = &r->lanes[f->lane];
    uplink_refusal_forget(r, f->first, f->last);
    for (size_t i = 0; i < l->count; i++)
        if (f->sent_mono_ms >= l->suspects[i].refused_mono_ms)
            l->suspects[i].other_was_taken = true;
    if (f->sent_mono_ms < l->refused_mono_ms)
        return;
    if (!f->apart && l->most_records > 0)
        l->most_records = l->most_records < MOST_RECORDS ? l->most_records * 2 : 0;
    /* It was not they: the broker had refused whatever came. */
    for (size_t i = 0; i < l->count && l->in_a_row > 1; i++)
        if (l->suspects[i].proofs == 0 && l->suspects[i].due_mono_ms > now_mono_ms)
            l->suspects[i].due_mono_ms = now_mono_ms;
    l->in_a_row = 0;
    l->hold_mono_ms = l->step_ms = 0;
    if (l->count == 0)
        l->said_reason = 0;
}

struct uplink_suspect *uplink_refusal_due(struct uplink_refusal *r, enum uplink_lane lane,
                                          int64_t now_mono_ms, int64_t *wake_mono_ms)
{
    struct uplink_refusal_lane *l = &r->lanes[lane];
    struct uplink_suspect *due = NULL;
    for (size_t i = 0; i < l->count; i++) {
        struct uplink_suspect *q = &l->suspects[i];
        if (q->in_flight)
            continue;
        if (q->due_mono_ms > now_mono_ms) {
            if (q->due_mono_ms < *wake_mono_ms)
                *wake_mono_ms = q->due_mono_ms;
        } else if (!due || q->due_mono_ms < due->due_mono_ms ||
                   (q->due_mono_ms == due->due_mono_ms && q->first < due->first)) {
            due = q;
        }
    }
    return due;
}

void uplink_refusal_sent(struct uplink_refusal *r, enum uplink_lane lane, struct uplink_suspect *q)
{
    r->lanes[lane].others_turn = q != NULL;
    if (q)
        q->in_flight = true;
}

bool uplink_refusal_is_doubtful(const struct uplink_refusal *r, enum uplink_lane lane)
{
    return r->lanes[lane].in_a_row > 0;
}

void uplink_refusal_hold(struct uplink_refusal *r, enum uplink_lane lane, int64_t until_mono_ms)
{
    if (until_mono_ms > r->lanes[lane].hold_mono_ms)
        r->lanes[lane].hold_mono_ms = until_mono_ms;
}

uint64_t uplink_refusal_clip(const struct uplink_refusal *r, uint64_t from, uint64_t *to)
{
    for (size_t lane = 0; lane < UPLINK_LANES; lane++) {
        const struct uplink_refusal_lane *l = &r->lanes[lane];
        for (size_t i = 0; i < l->count; i++) {
            const struct uplink_suspect *q = &l->suspects[i];
            if (q->first <= from && from <= q->last)
                return q->last;
            if (q->first > from && q->first <= *to)
                *to = q->first - 1;
        }
    }
    return 0;
}

void uplink_refusal_forget(struct uplink_refusal *r, uint64_t first, uint64_t last)
{
    for (size_t lane = 0; lane < UPLINK_LANES; lane++) {
        struct uplink_refusal_lane *l = &r->lanes[lane];
        struct uplink_suspect *q = find(l, first);
        if (!q)
            continue;
        q->in_flight = false;
        q->first = last + 1;
        if (q->first > q->last)
            drop(l, q);
    }
}

bool uplink_refusal_to_live(struct uplink_refusal *r, struct uplink_suspect *q, int64_t now_mono_ms)
{
    struct uplink_refusal_lane *live = &r->lanes[UPLINK_LIVE];
    if (live->in_a_row > 0 || live->hold_mono_ms > now_mono_ms)
        return false;
    struct uplink_suspect *moved = add(live, q->first, q->last);
    if (!moved)
        return false;
    *moved = *q;
    moved->other_was_taken = false; /* on the other topic */
    moved->proofs = 0;
    drop(&r->lanes[UPLINK_BACKLOG], q);
    return true;
}
