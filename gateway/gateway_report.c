/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_report.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate.h"
#include "config_rule.h"
#include "report.h"

struct rule_point {
    enum config_rule_kind kind;
    bool counter;
    struct report_rule rule;    /* REPORT */
    struct report_state state;  /* REPORT */
    size_t window;              /* AGGREGATE */
    struct aggregate aggregate; /* AGGREGATE: of the open window */
    enum quality told;          /* AGGREGATE: the quality that was published last */
};

struct rule_device {
    struct rule_point *points; /* NULL: the device has no rules */
    size_t count;
    bool plain; /* some of its points have none */
    struct aggregate_window *windows;
    size_t window_count;
    struct reading *out;        /* of the record in hand */
    struct sample_stats *stats; /* the same */
    /* The newest sample that was held back. */
    struct sample held;
    struct reading *held_readings;
    bool has_held;
    /* Since the last record. */
    uint32_t unsaid_suppressed, unsaid_missed;
    /* Since the start; read by others. */
    _Atomic uint64_t suppressed, aggregates;
};

struct gateway_reports {
    struct gateway_counters *counters;
    struct store *store;
    struct rule_device *devices; /* by index in the layout */
    size_t count;
};

/* ---- making ---- */

static size_t window_of(struct rule_device *d, int64_t length_ms)
{
    size_t i = 0;
    while (i < d->window_count && d->windows[i].length_ms != length_ms)
        i++;
    if (i == d->window_count)
        d->windows[d->window_count++] =
            (struct aggregate_window){.length_ms = length_ms, .partial = "started"};
    return i;
}

static int make_device(const struct config_device *from, struct rule_device *d)
{
    if (!config_rule_any(from))
        return 0;
    d->count = from->point_count;
    d->points = calloc(d->count, sizeof *d->points);
    d->windows = calloc(d->count, sizeof *d->windows);
    d->out = calloc(d->count, sizeof *d->out);
    d->stats = calloc(d->count, sizeof *d->stats);
    d->held_readings = calloc(d->count, sizeof *d->held_readings);
    if (!d->points || !d->windows || !d->out || !d->stats || !d->held_readings)
        return FG_ENOMEM;
    for (size_t i = 0; i < d->count; i++) {
        struct config_rule rule = config_rule(from, i);
        struct rule_point *p = &d->points[i];
        p->kind = rule.kind;
        p->counter = from->points[i].counter;
        p->rule = (struct report_rule){rule.change, rule.at_least_ms, rule.every_ms};
        d->plain |= rule.kind == CONFIG_RULE_NONE;
        if (rule.kind == CONFIG_RULE_AGGREGATE)
            p->window = window_of(d, rule.window_ms);
    }
    return 0;
}

int gateway_reports_new(const struct config *c, struct gateway_counters *counters, struct store *s,
                        struct gateway_reports **ret)
{
    struct gateway_reports *r = calloc(1, sizeof *r);
    if (r)
        r->devices = calloc(c->device_count + 1, sizeof *r->devices);
    int err = r && r->devices ? 0 : FG_ENOMEM;
    for (size_t i = 0; i < c->device_count && !err; i++)
        if (c->devices[i].enabled)
            err = make_device(&c->devices[i], &r->devices[r->count++]);
    if (err) {
        gateway_reports_free(r);
        return err;
    }
    r->counters = counters;
    r->store = s;
    *ret = r;
    return 0;
}

void gateway_reports_free(struct gateway_reports *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++) {
        struct rule_device *d = &r->devices[i];
        free(d->points);
        free(d->windows);
        free(d->out);
        free(d->stats);
        free(d->held_readings);
    }
    free(r->devices);
    free(r);
}

/* ---- records ---- */

/* Stores a record with what the ones before it have left unsaid. */
static int put(struct gateway_reports *r, struct rule_device *d, const struct sample *s)
{
    struct sample whole = *s;
    whole.missed += d->unsaid_missed;
    whole.suppressed = d->unsaid_suppressed;
    int err = gateway_counters_append(r->counters, r->store, &whole);
    d->unsaid_missed = err ? whole.missed : 0;
    if (!err)
        d->unsaid_suppressed = 0;
    return err;
}

static void clear_out(struct rule_device *d)
{
    for (size_t i = 0; i < d->count; i++)
        d->out[i] = (struct reading){.quality = QUALITY_NOT_DUE};
}

/* What a point's window has come to. A counter needs no mean: its last reading, and the increment that goes
 * with it. */
static struct reading summary(const struct rule_point *p, struct sample_stats *stats)
{
    struct reading r = {.quality = QUALITY_GOOD};
    *stats = aggregate_stats(&p->aggregate);
    if (p->counter && p->aggregate.n > 0)
        r.value = (struct value){.kind = VALUE_NUMBER, .number = p->aggregate.last};
    else
        r.value = (struct value){.kind = VALUE_STATS, .stats = stats};
    return r;
}

/* now: what came behind the window; NULL: the gateway stops. */
static void close_window(struct gateway_reports *r, uint32_t device, size_t window,
                         const struct aggregate_time *now)
{
    struct rule_device *d = &r->devices[device];
    struct aggregate_window *w = &d->windows[window];
    const bool trusted = w->from.trusted;
    struct aggregate_span span = aggregate_close(w, now);
    bool any = false;
    clear_out(d);
    for (size_t i = 0; i < d->count; i++) {
        struct rule_point *p = &d->points[i];
        if (p->kind != CONFIG_RULE_AGGREGATE || p->window != window)
            continue;
        if (p->aggregate.n + p->aggregate.bad > 0) {
            d->out[i] = summary(p, &d->stats[i]);
            any = true;
        }
        aggregate_clear(&p->aggregate);
    }
    struct sample record = {.device = device,
                            .wall_ms = span.until.wall_ms,
                            .mono_ms = span.until.mono_ms,
                            .clock_trusted = trusted,
                            .span_ms = span.span_ms,
                            .partial = span.partial,
                            .count = d->count,
                            .readings = d->out};
    if (any && put(r, d, &record) == 0)
        atomic_fetch_add_explicit(&d->aggregates, 1, memory_order_relaxed);
}

/* ---- samples ---- */

static struct aggregate_time time_of(const struct sample *s)
{
    return (struct aggregate_time){.wall_ms = s->wall_ms, .mono_ms = s->mono_ms, .trusted = s->clock_trusted};
}

/* The reading of a point in a sample: all fail together when the poll did. */
static struct reading reading_of(const struct sample *s, size_t point)
{
    return s->failed == QUALITY_GOOD ? s->readings[point] : (struct reading){.quality = s->failed};
}

static bool is_urgent(const struct gateway_reports *r, uint32_t device, size_t point,
                      const struct rule_point *p, const struct reading *reading)
{
    return p->counter && reading->quality == QUALITY_GOOD &&
           gateway_counters_urgent(r->counters, device, point);
}

/* Whether the reading is to be stored as it is. */
static bool passes(const struct gateway_reports *r, const struct sample *s, size_t point,
                   const struct rule_point *p, const struct reading *reading)
{
    if (reading->quality == QUALITY_NOT_DUE)
        return false;
    switch (p->kind) {
    case CONFIG_RULE_NONE:
        return true;
    case CONFIG_RULE_REPORT:
        return report_wants(&p->rule, &p->state, reading, s->mono_ms) ||
               is_urgent(r, s->device, point, p, reading);
    case CONFIG_RULE_AGGREGATE:
        return reading->quality != p->told || is_urgent(r, s->device, point, p, reading);
    }
    return true;
}

static void told(struct rule_point *p, const struct reading *reading, int64_t mono_ms)
{
    switch (p->kind) {
    case CONFIG_RULE_NONE:
        break;
    case CONFIG_RULE_REPORT:
        report_told(&p->state, reading, mono_ms);
        break;
    case CONFIG_RULE_AGGREGATE:
        p->told = reading->quality;
        break;
    }
}

static void hold(struct rule_device *d, const struct sample *s)
{
    d->held = *s;
    d->held.readings = d->held_readings;
    if (s->failed == QUALITY_GOOD)
        memcpy(d->held_readings, s->readings, d->count * sizeof *d->held_readings);
    d->has_held = true;
    d->unsaid_missed += s->missed;
    d->unsaid_suppressed++;
    atomic_fetch_add_explicit(&d->suppressed, 1, memory_order_relaxed);
}

/* A failed poll is stored as a whole. */
static bool choose(struct gateway_reports *r, struct rule_device *d, const struct sample *s)
{
    bool any = false;
    clear_out(d);
    for (size_t i = 0; i < d->count; i++) {
        struct reading reading = reading_of(s, i);
        if (!passes(r, s, i, &d->points[i], &reading))
            continue;
        d->out[i] = reading;
        any = true;
    }
    return any;
}

static void say(struct rule_device *d, const struct sample *s)
{
    for (size_t i = 0; i < d->count; i++) {
        struct reading reading = s->failed == QUALITY_GOOD ? d->out[i] : reading_of(s, i);
        if (reading.quality != QUALITY_NOT_DUE)
            told(&d->points[i], &reading, s->mono_ms);
    }
    d->has_held = false;
}

static void take_by_rules(struct gateway_reports *r, struct rule_device *d, const struct sample *s)
{
    const struct aggregate_time now = time_of(s);
    struct sample kept = *s;
    for (size_t i = 0; i < d->window_count; i++) {
        if (aggregate_is_over(&d->windows[i], &now))
            close_window(r, s->device, i, &now);
        aggregate_enter(&d->windows[i], &now);
    }
    /* Only now: what was counted up to here belongs to the windows that were closed. */
    gateway_counters_note(r->counters, r->store, s);
    for (size_t i = 0; i < d->count; i++) {
        struct reading reading = reading_of(s, i);
        if (d->points[i].kind == CONFIG_RULE_AGGREGATE)
            aggregate_add(&d->points[i].aggregate, &reading);
    }
    if (!choose(r, d, s)) {
        hold(d, s);
        return;
    }
    if (s->failed == QUALITY_GOOD)
        kept.readings = d->out;
    if (put(r, d, &kept) == 0)
        say(d, s);
}

void gateway_reports_take(struct gateway_reports *r, const struct sample *s)
{
    struct rule_device *d = s->device < r->count ? &r->devices[s->device] : NULL;
    /* A full queue is counted by the store and becomes an event there; the poller goes on. */
    if (d && d->points && (s->failed != QUALITY_GOOD || s->count == d->count)) {
        take_by_rules(r, d, s);
        return;
    }
    gateway_counters_note(r->counters, r->store, s);
    (void)gateway_counters_append(r->counters, r->store, s);
}

/* ---- the end ---- */

/* The newest sample that was held back becomes a record after all, with the points that are not aggregated.
 */
static void release(struct gateway_reports *r, struct rule_device *d)
{
    struct sample s = d->held;
    bool any = s.failed != QUALITY_GOOD;
    clear_out(d);
    for (size_t i = 0; i < d->count && s.failed == QUALITY_GOOD; i++)
        if (d->points[i].kind != CONFIG_RULE_AGGREGATE && d->held_readings[i].quality != QUALITY_NOT_DUE) {
            d->out[i] = d->held_readings[i];
            any = true;
        }
    if (!any)
        return;
    s.readings = d->out;
    s.missed = 0; /* noted when it was held back */
    if (d->unsaid_suppressed >
        0) /* 0: the store refused the record that followed it, after a window took the count */
        d->unsaid_suppressed--;
    atomic_fetch_sub_explicit(&d->suppressed, 1, memory_order_relaxed);
    (void)put(r, d, &s);
    d->has_held = false;
}

void gateway_reports_flush(struct gateway_reports *r, size_t device)
{
    struct rule_device *d = device < r->count ? &r->devices[device] : NULL;
    if (!d || !d->points)
        return;
    if (d->has_held)
        release(r, d);
    for (size_t i = 0; i < d->window_count; i++)
        if (d->windows[i].open)
            close_window(r, (uint32_t)device, i, NULL);
}

void gateway_reports_status(struct gateway_reports *r, size_t device, struct gateway_report_status *ret)
{
    *ret = (struct gateway_report_status){0};
    if (device >= r->count)
        return;
    ret->suppressed = atomic_load_explicit(&r->devices[device].suppressed, memory_order_relaxed);
    ret->aggregates = atomic_load_explicit(&r->devices[device].aggregates, memory_order_relaxed);
}
