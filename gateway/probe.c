/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <stdlib.h>
#include <string.h>

#include "../drivers/modbus_plan.h"
#include "clock.h"
#include "probe_hints.h"
#include "probe_plan.h"

/* So many unanswered requests before anything was answered, and the device is taken for absent. Not one: some
 * devices keep silent about registers that they do not have. */
#define SILENT_MAX 3

/* Around a device of more points than this only the bad ones are looked at. */
#define AROUND_ALL_MAX 32

struct found {
    struct driver_result result; /* of the request that covered the point */
    bool asked;
    enum probe_verdict verdict;
    struct reading reading;
};

struct run {
    struct driver *d;
    const struct probe_target *t;
    int64_t deadline_mono_ms;
    struct found *found;         /* one per point */
    struct probe_around *around; /* the same */
    int shift;                   /* -1 or 1: the map as a whole is off by one */
    bool answered;
    unsigned silent;
    struct driver_result last_failure;
};

static bool go_on(const struct run *r)
{
    return clock_mono_ms() < r->deadline_mono_ms && (r->answered || r->silent < SILENT_MAX);
}

static void read_words(struct run *r, enum point_register table, uint16_t address, uint16_t count,
                       uint16_t *words, struct driver_result *ret)
{
    r->d->ops->read_raw(r->d, r->t->index, table, address, count, words, ret);
    r->answered |= ret->failed == QUALITY_GOOD || ret->failed == QUALITY_EXCEPTION;
    if (ret->failed == QUALITY_GOOD)
        return;
    r->last_failure = *ret;
    r->silent += ret->failed != QUALITY_EXCEPTION;
    if (ret->failed == QUALITY_NOT_CONNECTED)
        r->silent = SILENT_MAX;
}

/* ---- reading ---- */

static void read_single(struct run *r, size_t i)
{
    const struct point *p = &r->t->points[i];
    struct found *f = &r->found[i];
    if (!go_on(r))
        return;
    f->asked = true;
    read_words(r, p->table, p->address, point_width(p), r->around[i].here.words, &f->result);
    r->around[i].here.there = f->result.failed == QUALITY_GOOD;
}

static void read_block(struct run *r, const struct probe_block *b, const uint32_t *order)
{
    uint16_t words[MODBUS_BITS_MAX];
    struct driver_result result = {0};
    if (!go_on(r))
        return;
    read_words(r, b->table, b->address, b->count, words, &result);
    bool alone = b->first == b->last;
    for (size_t k = b->first; k <= b->last; k++) {
        const struct point *p = &r->t->points[order[k]];
        struct found *f = &r->found[order[k]];
        if (result.failed == QUALITY_EXCEPTION && !alone) {
            read_single(r, order[k]);
            continue;
        }
        f->asked = true;
        f->result = result;
        struct probe_words *here = &r->around[order[k]].here;
        here->there = result.failed == QUALITY_GOOD;
        if (here->there)
            memcpy(here->words, words + (p->address - b->address), point_width(p) * sizeof words[0]);
    }
}

static bool read_all(struct run *r)
{
    struct probe_plan plan;
    if (probe_plan(r->t->points, r->t->point_count, r->t->max_registers, &plan) < 0)
        return false;
    for (size_t i = 0; i < plan.count; i++)
        read_block(r, &plan.blocks[i], plan.order);
    probe_plan_free(&plan);
    return true;
}

static bool is_taken(const struct run *r, size_t self, enum point_register table, int address)
{
    for (size_t i = 0; i < r->t->point_count; i++) {
        const struct point *p = &r->t->points[i];
        if (i != self && p->table == table && address >= p->address &&
            address < p->address + point_width(p) && r->found[i].verdict == PROBE_GOOD)
            return true;
    }
    return false;
}

static void read_neighbour(struct run *r, const struct point *p, int shift, struct probe_words *ret)
{
    struct driver_result result = {0};
    int address = p->address + shift;
    if (address < 0 || address + point_width(p) > 65536 || !go_on(r))
        return;
    read_words(r, p->table, (uint16_t)address, point_width(p), ret->words, &result);
    ret->there = result.failed == QUALITY_GOOD;
}

static bool judge_all(struct run *r)
{
    bool all_good = true;
    for (size_t i = 0; i < r->t->point_count; i++) {
        struct found *f = &r->found[i];
        f->verdict = probe_judge(&r->t->points[i], &r->around[i].here, &f->reading);
        all_good &= f->verdict == PROBE_GOOD;
    }
    return all_good;
}

/* Only when something is wrong, and only of a device that talks: neighbours cost two requests each. */
static void look_around(struct run *r)
{
    const struct probe_target *t = r->t;
    if (judge_all(r) || !r->answered)
        return;
    bool all = t->point_count <= AROUND_ALL_MAX;
    for (size_t i = 0; i < t->point_count; i++) {
        if (!all && r->found[i].verdict == PROBE_GOOD)
            continue;
        read_neighbour(r, &t->points[i], -1, &r->around[i].before);
        read_neighbour(r, &t->points[i], 1, &r->around[i].after);
    }
    if (probe_all_fit(t->points, r->around, t->point_count, -1))
        r->shift = -1;
    else if (probe_all_fit(t->points, r->around, t->point_count, 1))
        r->shift = 1;
    for (size_t i = 0; i < t->point_count; i++) {
        const struct point *p = &t->points[i];
        r->around[i].before_taken = r->shift != -1 && is_taken(r, i, p->table, p->address - 1);
        r->around[i].after_taken = r->shift != 1 && is_taken(r, i, p->table, p->address + point_width(p));
    }
}

/* ---- telling ---- */

static void add_text(struct buf *out, const char *key, const char *text)
{
    buf_member_text(out, key, text);
}

static void add_value(struct buf *out, const struct reading *r)
{
    char text[DECIMAL_TEXT_MAX];
    buf_add_key(out, "value");
    switch (r->value.kind) {
    case VALUE_NONE:
    case VALUE_STATS: /* a poll gives none */
        buf_adds(out, "null");
        return;
    case VALUE_BOOL:
        buf_adds(out, r->value.boolean ? "true" : "false");
        return;
    case VALUE_NUMBER:
        decimal_format(r->value.number, text);
        buf_adds(out, text);
        return;
    }
}

static void add_raw(struct buf *out, const struct point *p, const struct probe_words *w)
{
    bool bit = p->table == POINT_COIL || p->table == POINT_DISCRETE_INPUT;
    buf_add_key(out, "raw");
    buf_addc(out, '"');
    for (size_t i = 0; w->there && i < point_width(p); i++)
        buf_addf(out, bit ? "%s%X" : "%s%04X", i ? " " : "", w->words[i]);
    buf_addc(out, '"');
}

static void add_views(struct buf *out, const struct point *p, const struct probe_around *around)
{
    struct probe_view views[PROBE_VIEWS_MAX];
    size_t count = probe_views(p, around, views);
    buf_add_key(out, "views");
    buf_addc(out, '[');
    for (size_t i = 0; i < count; i++) {
        char text[PROBE_TEXT_MAX];
        buf_adds(out, i ? ",{" : "{");
        probe_view_name(&views[i], text);
        add_text(out, "as", text);
        add_value(out, &views[i].reading);
        if (views[i].plausible) {
            probe_advice(p, &views[i], text);
            add_text(out, "hint", text);
        }
        buf_addc(out, '}');
    }
    buf_addc(out, ']');
}

static void add_point(struct buf *out, const struct run *r, size_t i)
{
    const struct point *p = &r->t->points[i];
    const struct found *f = &r->found[i];
    buf_addc(out, '{');
    add_text(out, "name", p->name);
    add_text(out, "register", probe_table_word(p->table));
    buf_member_int(out, "address", p->address);
    add_text(out, "type", probe_type_word(p->type));
    add_text(out, "order", probe_order_word(p));
    add_text(out, "verdict", f->asked ? probe_verdict_word(f->verdict) : "not_asked");
    add_raw(out, p, &r->around[i].here);
    add_value(out, &f->reading);
    if (p->unit)
        add_text(out, "unit", p->unit);
    if (f->asked && f->result.failed == QUALITY_EXCEPTION)
        buf_member_int(out, "exception", f->result.exception);
    if (f->asked && f->verdict == PROBE_REFUSED)
        add_text(out, "why", quality_word(f->result.failed));
    if (f->asked && f->verdict != PROBE_GOOD)
        add_views(out, p, &r->around[i]);
    buf_addc(out, '}');
}

static void tell(const struct run *r, int64_t took_ms, struct buf *out)
{
    const struct probe_target *t = r->t;
    buf_addc(out, '{');
    add_text(out, "device", t->device);
    add_text(out, "bus", t->bus);
    buf_member_int(out, "unit", t->unit);
    buf_member_int(out, "took_ms", took_ms);
    if (!r->answered) {
        add_text(out, "failed", quality_word(r->last_failure.failed));
        add_text(out, "note", r->last_failure.note.text);
    }
    if (r->shift)
        buf_member_int(out, "shift", r->shift);
    buf_add_key(out, "points");
    buf_addc(out, '[');
    for (size_t i = 0; i < t->point_count; i++) {
        if (i)
            buf_addc(out, ',');
        add_point(out, r, i);
    }
    buf_adds(out, "]}");
}

void probe_run(struct driver *d, const struct probe_target *t, struct buf *out)
{
    int64_t began = clock_mono_ms();
    struct run r = {.d = d, .t = t, .deadline_mono_ms = began + t->budget_ms};
    r.last_failure.failed = QUALITY_NO_REPLY;
    r.found = calloc(t->point_count + 1, sizeof *r.found);
    r.around = calloc(t->point_count + 1, sizeof *r.around);
    if (r.found && r.around && read_all(&r)) {
        look_around(&r);
        tell(&r, clock_mono_ms() - began, out);
    } else {
        out->failed = true;
    }
    free(r.found);
    free(r.around);
}
