/* SPDX-License-Identifier: Apache-2.0 */
#include "status_bus.h"

#include <stddef.h>
#include <stdio.h>

#include "prom.h"

/* All are uint64_t. `trouble`: a kind of failure in metrics.prom. */
static const struct counter {
    const char *key;
    size_t offset;
    const char *trouble;
} counters[] = {
#define COUNTER(key, member, trouble)                                                                        \
    {                                                                                                        \
        key, offsetof(struct driver_stats, member), trouble                                                  \
    }
    COUNTER("requests", requests, NULL),
    COUNTER("replies", replies, NULL),
    COUNTER("timeouts", timeouts, "silence"),
    COUNTER("bad_crc", bad_crc, "bad_crc"),
    COUNTER("bad_frame", bad_frame, NULL),
    COUNTER("short", short_frames, "short"),
    COUNTER("wrong_unit", wrong_unit, "wrong_unit"),
    COUNTER("wrong_function", wrong_function, "wrong_function"),
    COUNTER("garbage", garbage, "garbage"),
    COUNTER("foreign", foreign, "foreign"),
    COUNTER("foreign_bytes", foreign_bytes, NULL),
    COUNTER("echoes", echoes, NULL),
    COUNTER("late", late, "late"),
    COUNTER("held_back", held_back, "held_back"),
    COUNTER("reconnects", reconnects, NULL),
    COUNTER("exceptions", exceptions, NULL),
#undef COUNTER
};
#define COUNTERS (sizeof counters / sizeof counters[0])

static uint64_t value_of(const struct driver_stats *s, const struct counter *c)
{
    return *(const uint64_t *)((const char *)s + c->offset);
}

static uint64_t mean_ms(const struct driver_stats *s)
{
    return s->replies ? s->reply_total_ms / s->replies : 0;
}

/* The word of an exception in place i of the counters: "1" to "11", "other". */
static const char *code_word(size_t i, char ret[8])
{
    snprintf(ret, 8, i == 0 ? "other" : "%zu", i);
    return ret;
}

void status_bus_counters(const struct driver_stats *s, struct buf *out)
{
    buf_addc(out, '{');
    for (size_t i = 0; i < COUNTERS; i++)
        buf_member_uint(out, counters[i].key, value_of(s, &counters[i]));
    buf_add_key(out, "exception_codes");
    buf_addc(out, '{');
    for (size_t i = 0; i < DRIVER_EXCEPTIONS; i++) {
        char word[8];
        if (s->exception_codes[i] > 0)
            buf_member_uint(out, code_word(i, word), s->exception_codes[i]);
    }
    buf_addc(out, '}');
    buf_member_uint(out, "reply_min_ms", s->reply_min_ms);
    buf_member_uint(out, "reply_mean_ms", mean_ms(s));
    buf_member_uint(out, "reply_max_ms", s->reply_max_ms);
    buf_member_uint(out, "busy_ms", (uint64_t)s->busy_us / 1000);
    buf_addc(out, '}');
}

static void add_bus(struct buf *out, const struct status_bus *bus)
{
    struct driver_stats sum = {0};
    uint64_t missed = 0;
    for (size_t d = 0; d < bus->device_count; d++) {
        driver_stats_add(&sum, &bus->devices[d].polls.stats);
        missed += bus->devices[d].polls.missed;
    }
    buf_addc(out, '{');
    buf_member_text(out, "name", bus->name);
    buf_member_uint(out, "busy_permille", bus->stats.busy_permille);
    buf_member_uint(out, "missed", missed);
    buf_member_uint(out, "stray_frames", bus->stats.foreign_frames);
    buf_member_uint(out, "stray_bytes", bus->stats.foreign_bytes);
    buf_add_key(out, "counters");
    status_bus_counters(&sum, out);
    buf_addc(out, '}');
}

void status_bus_json(const struct status_figures *f, struct buf *out)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < f->bus_count; i++) {
        if (i > 0)
            buf_addc(out, ',');
        add_bus(out, &f->buses[i]);
    }
    buf_addc(out, ']');
}

/* ---- metrics.prom ---- */

/* Samples of one device; labels: its own two, with room for another. */
typedef void device_metric(struct buf *out, const char *name, struct prom_label labels[4],
                           const struct driver_stats *s);

static void requests(struct buf *out, const char *name, struct prom_label labels[4],
                     const struct driver_stats *s)
{
    prom_add(out, name, labels, (int64_t)s->requests);
}

static void replies(struct buf *out, const char *name, struct prom_label labels[4],
                    const struct driver_stats *s)
{
    prom_add(out, name, labels, (int64_t)s->replies);
}

/* What has never happened is left out: with all kinds for all devices the file would be mostly zeros. */
static void failures(struct buf *out, const char *name, struct prom_label labels[4],
                     const struct driver_stats *s)
{
    for (size_t i = 0; i < COUNTERS; i++) {
        if (!counters[i].trouble || value_of(s, &counters[i]) == 0)
            continue;
        labels[2] = (struct prom_label){"kind", counters[i].trouble};
        prom_add(out, name, labels, (int64_t)value_of(s, &counters[i]));
    }
}

static void exceptions(struct buf *out, const char *name, struct prom_label labels[4],
                       const struct driver_stats *s)
{
    for (size_t i = 0; i < DRIVER_EXCEPTIONS; i++) {
        char word[8];
        if (s->exception_codes[i] == 0)
            continue;
        labels[2] = (struct prom_label){"code", code_word(i, word)};
        prom_add(out, name, labels, (int64_t)s->exception_codes[i]);
    }
}

static void reply_times(struct buf *out, const char *name, struct prom_label labels[4],
                        const struct driver_stats *s)
{
    const struct {
        const char *stat;
        uint64_t ms;
    } times[] = {{"min", s->reply_min_ms}, {"mean", mean_ms(s)}, {"max", s->reply_max_ms}};
    for (size_t i = 0; s->replies > 0 && i < sizeof times / sizeof times[0]; i++) {
        labels[2] = (struct prom_label){"stat", times[i].stat};
        prom_add_milli(out, name, labels, times[i].ms);
    }
}

static void bus_metrics(const struct status_figures *f, struct buf *out)
{
    static const char BUSY[] = "fieldgate_bus_busy_ratio", STRAY[] = "fieldgate_bus_stray_frames_total";
    prom_head(out, BUSY, "gauge", "Share of the last minute in which the line was in use.");
    for (size_t i = 0; i < f->bus_count; i++)
        prom_add_milli(out, BUSY, (struct prom_label[]){{"bus", f->buses[i].name}, {0}},
                       f->buses[i].stats.busy_permille);
    prom_head(out, STRAY, "counter", "Sound frames between our questions that nobody waits for.");
    for (size_t i = 0; i < f->bus_count; i++)
        prom_add(out, STRAY, (struct prom_label[]){{"bus", f->buses[i].name}, {0}},
                 (int64_t)f->buses[i].stats.foreign_frames);
}

void status_bus_metrics(const struct status_figures *f, struct buf *out)
{
    static const struct {
        const char *name, *type, *help;
        device_metric *add;
    } metrics[] = {
        {"fieldgate_device_requests_total", "counter", "Questions sent, repeated ones too.", requests},
        {"fieldgate_device_replies_total", "counter", "Sound answers, refusals too.", replies},
        {"fieldgate_device_failures_total", "counter", "Questions without a sound answer, by kind.",
         failures},
        {"fieldgate_device_exceptions_total", "counter", "Refusals by Modbus exception code.", exceptions},
        {"fieldgate_device_reply_seconds", "gauge", "From question to answer, since start.", reply_times},
    };
    bus_metrics(f, out);
    for (size_t m = 0; m < sizeof metrics / sizeof metrics[0]; m++) {
        prom_head(out, metrics[m].name, metrics[m].type, metrics[m].help);
        for (size_t i = 0; i < f->bus_count; i++)
            for (size_t d = 0; d < f->buses[i].device_count; d++) {
                const struct status_device *device = &f->buses[i].devices[d];
                struct prom_label labels[4] = {{"bus", f->buses[i].name}, {"device", device->options->name}};
                metrics[m].add(out, metrics[m].name, labels, &device->polls.stats);
            }
    }
}
