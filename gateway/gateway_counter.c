/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_counter.h"

#include <stdio.h>
#include <stdlib.h>

#include "config_counter.h"
#include "counter.h"
#include "store_last.h"

/* A look back at the start: some seconds on a slow card at worst, and only for a counter that has been silent
 * for so long. */
#define LOOK_BACK_RECORDS 1000000
/* A counter that is none would otherwise double the records of its device. */
#define EVENT_EVERY_MS (60 * 60 * 1000)
#define EVENT_TEXT 512 /* two names of 63 characters, two decimals, one count: a third of it is enough */

struct counter {
    size_t point; /* of its device */
    const char *name;
    const struct decimal *wrap; /* NULL: it does not wrap */
    bool known;                 /* there is a last reading */
    struct decimal last;
    /* Since the last reading that the store took. */
    bool based;             /* there was one */
    bool unknown;           /* something was counted, but nobody knows how much */
    struct decimal pending; /* what was counted */
    bool urgent;            /* the newest reading is no plain growth */
    /* Restarts since the last event about one, and when that was. */
    uint32_t restarts;
    bool told;
    int64_t told_mono_ms;
};

struct device {
    const char *name;
    struct counter *counters;
    size_t count, point_count;
    struct reading *readings; /* of the points, then of the counters' increments */
};

struct gateway_counters {
    struct device *devices; /* by index in the layout */
    size_t device_count;
};

static int make_device(const struct config_device *from, struct device *d)
{
    struct config_derived made;
    *d = (struct device){.name = from->name, .point_count = from->point_count};
    while (config_derived(from, d->count, &made))
        d->count++;
    if (d->count == 0)
        return 0;
    d->counters = calloc(d->count, sizeof *d->counters);
    d->readings = calloc(d->point_count + d->count, sizeof *d->readings);
    if (!d->counters || !d->readings)
        return FG_ENOMEM;
    for (size_t i = 0; config_derived(from, i, &made); i++) {
        const struct point *p = &from->points[made.point];
        d->counters[i] =
            (struct counter){.point = made.point, .name = p->name, .wrap = p->has_wrap ? &p->wrap : NULL};
    }
    return 0;
}

int gateway_counters_new(const struct config *config, struct gateway_counters **ret)
{
    struct gateway_counters *c = calloc(1, sizeof *c);
    if (c)
        c->devices = calloc(config->device_count + 1, sizeof *c->devices);
    int err = c && c->devices ? 0 : FG_ENOMEM;
    for (size_t i = 0; i < config->device_count && !err; i++)
        if (config->devices[i].enabled)
            err = make_device(&config->devices[i], &c->devices[c->device_count++]);
    if (err) {
        gateway_counters_free(c);
        return err;
    }
    *ret = c;
    return 0;
}

void gateway_counters_free(struct gateway_counters *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->device_count; i++) {
        free(c->devices[i].counters);
        free(c->devices[i].readings);
    }
    free(c->devices);
    free(c);
}

static size_t count_all(const struct gateway_counters *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->device_count; i++)
        count += c->devices[i].count;
    return count;
}

int gateway_counters_recall(struct gateway_counters *c, struct store *s)
{
    size_t count = count_all(c), at = 0;
    struct store_last *wanted = calloc(count + 1, sizeof *wanted);
    if (!wanted)
        return FG_ENOMEM;
    for (size_t i = 0; i < c->device_count; i++)
        for (size_t k = 0; k < c->devices[i].count; k++)
            wanted[at++] = (struct store_last){.device = (uint32_t)i,
                                               .point = (uint32_t)c->devices[i].counters[k].point};
    int err = store_last(s, wanted, count, LOOK_BACK_RECORDS);
    at = 0;
    for (size_t i = 0; i < c->device_count; i++)
        for (size_t k = 0; k < c->devices[i].count; k++, at++) {
            struct counter *counter = &c->devices[i].counters[k];
            counter->known = counter->based = wanted[at].found;
            counter->last = wanted[at].value;
        }
    free(wanted);
    return err;
}

/* An event that the store has no room for is counted there. */
static void tell_restart(const struct device *d, struct counter *c, struct decimal now, struct store *s,
                         const struct sample *sample)
{
    char before[DECIMAL_TEXT_MAX], after[DECIMAL_TEXT_MAX], text[EVENT_TEXT];
    c->restarts++;
    if (c->told && sample->mono_ms - c->told_mono_ms < EVENT_EVERY_MS)
        return;
    decimal_format(c->last, before);
    decimal_format(now, after);
    snprintf(text, sizeof text,
             "{\"event\":\"counter_restarted\",\"device\":\"%s\",\"point\":\"%s\",\"before\":%s,\"after\":%s,"
             "\"count\":%u}",
             d->name, c->name, before, after, c->restarts);
    c->restarts = 0;
    c->told = true;
    c->told_mono_ms = sample->mono_ms;
    (void)store_append_event(s, sample->wall_ms, text);
}

static void note(const struct device *d, struct counter *c, struct decimal now, struct store *s,
                 const struct sample *sample)
{
    struct decimal increment = {0};
    enum counter_step step = counter_step(c->known ? &c->last : NULL, now, c->wrap, &increment);
    switch (step) {
    case COUNTER_FIRST:
    case COUNTER_GROWTH:
    case COUNTER_WRAP:
        break;
    case COUNTER_RESTART:
        tell_restart(d, c, now, s, sample);
        break;
    case COUNTER_UNKNOWN:
        c->unknown = true;
        break;
    }
    if (c->based && decimal_add(c->pending, increment, &c->pending) < 0)
        c->unknown = true;
    c->urgent = step != COUNTER_GROWTH;
    c->known = true;
    c->last = now;
}

static bool is_number(const struct reading *r)
{
    return r->quality == QUALITY_GOOD && r->value.kind == VALUE_NUMBER;
}

/* NULL: the sample says nothing about counters. */
static struct device *device_of(struct gateway_counters *c, const struct sample *sample)
{
    struct device *d = sample->device < c->device_count ? &c->devices[sample->device] : NULL;
    return d && d->count > 0 && sample->failed == QUALITY_GOOD && sample->count == d->point_count ? d : NULL;
}

void gateway_counters_note(struct gateway_counters *c, struct store *s, const struct sample *sample)
{
    struct device *d = device_of(c, sample);
    for (size_t i = 0; d && i < d->count; i++) {
        const struct reading *r = &sample->readings[d->counters[i].point];
        d->counters[i].urgent = false;
        if (is_number(r))
            note(d, &d->counters[i], r->value.number, s, sample);
    }
}

bool gateway_counters_urgent(const struct gateway_counters *c, uint32_t device, size_t point)
{
    const struct device *d = device < c->device_count ? &c->devices[device] : NULL;
    for (size_t i = 0; d && i < d->count; i++)
        if (d->counters[i].point == point)
            return d->counters[i].urgent;
    return false;
}

static struct reading increment_of(const struct counter *c, const struct reading *raw)
{
    struct reading made = {.quality = raw->quality};
    if (!is_number(raw))
        return made;
    if (!c->based)
        made.quality = QUALITY_NOT_DUE;
    else if (c->unknown)
        made.quality = QUALITY_SENSOR_FAULT;
    else
        made.value = (struct value){.kind = VALUE_NUMBER, .number = c->pending};
    return made;
}

int gateway_counters_append(struct gateway_counters *c, struct store *s, const struct sample *sample)
{
    struct device *d = device_of(c, sample);
    if (!d)
        return store_append(s, sample);
    struct sample whole = *sample;
    for (size_t i = 0; i < d->point_count; i++)
        d->readings[i] = sample->readings[i];
    for (size_t i = 0; i < d->count; i++)
        d->readings[d->point_count + i] =
            increment_of(&d->counters[i], &sample->readings[d->counters[i].point]);
    whole.readings = d->readings;
    whole.count = d->point_count + d->count;
    int err = store_append(s, &whole);
    for (size_t i = 0; i < d->count && !err; i++) {
        struct counter *counter = &d->counters[i];
        if (!is_number(&sample->readings[counter->point]))
            continue;
        counter->based = true;
        counter->unknown = false;
        counter->pending = (struct decimal){0};
    }
    return err;
}
