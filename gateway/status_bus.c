/* SPDX-License-Identifier: Apache-2.0 */
#include "status_bus.h"

#include <stddef.h>
#include <stdio.h>

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

static void add_bus(struct buf *out, struct poller *poller)
{
    struct driver_bus_stats bus;
    struct driver_stats sum = {0};
    uint64_t missed = 0;
    for (size_t d = 0; d < poller_device_count(poller); d++) {
        struct poller_device_status s;
        poller_device_status(poller, d, &s);
        driver_stats_add(&sum, &s.stats);
        missed += s.missed;
    }
    poller_bus_status(poller, &bus);
    buf_addc(out, '{');
    buf_member_text(out, "name", poller_bus(poller));
    buf_member_uint(out, "busy_permille", bus.busy_permille);
    buf_member_uint(out, "missed", missed);
    buf_member_uint(out, "stray_frames", bus.foreign_frames);
    buf_member_uint(out, "stray_bytes", bus.foreign_bytes);
    buf_add_key(out, "counters");
    status_bus_counters(&sum, out);
    buf_addc(out, '}');
}

void status_bus_json(struct poller *const *pollers, size_t count, struct buf *out)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_addc(out, ',');
        add_bus(out, pollers[i]);
    }
    buf_addc(out, ']');
}

/* ---- metrics.prom ---- */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A metric of one device; label: a further label with its value, or "". */
static void add_metric(struct buf *out, const char *name, struct poller *p, size_t device, const char *label,
                       uint64_t value)
{
    buf_addf(out, "%s{bus=\"%s\",device=\"%s\"%s} %llu\n", name, poller_bus(p),
             poller_device(p, device)->name, label, (unsigned long long)value);
}

static void add_ms_metric(struct buf *out, struct poller *p, size_t device, const char *stat, uint64_t ms)
{
    buf_addf(out, "fieldgate_device_reply_seconds{bus=\"%s\",device=\"%s\",stat=\"%s\"} %llu.%03llu\n",
             poller_bus(p), poller_device(p, device)->name, stat, (unsigned long long)(ms / 1000),
             (unsigned long long)(ms % 1000));
}

typedef void device_metric(struct buf *out, struct poller *p, size_t device, const struct driver_stats *s);

static void requests(struct buf *out, struct poller *p, size_t device, const struct driver_stats *s)
{
    add_metric(out, "fieldgate_device_requests_total", p, device, "", s->requests);
}

static void replies(struct buf *out, struct poller *p, size_t device, const struct driver_stats *s)
{
    add_metric(out, "fieldgate_device_replies_total", p, device, "", s->replies);
}

/* What has never happened is left out: with all kinds for all devices the file would be mostly zeros. */
static void failures(struct buf *out, struct poller *p, size_t device, const struct driver_stats *s)
{
    for (size_t i = 0; i < COUNTERS; i++) {
        char label[40];
        if (!counters[i].trouble || value_of(s, &counters[i]) == 0)
            continue;
        snprintf(label, sizeof label, ",kind=\"%s\"", counters[i].trouble);
        add_metric(out, "fieldgate_device_failures_total", p, device, label, value_of(s, &counters[i]));
    }
}

static void exceptions(struct buf *out, struct poller *p, size_t device, const struct driver_stats *s)
{
    for (size_t i = 0; i < DRIVER_EXCEPTIONS; i++) {
        char label[40], word[8];
        if (s->exception_codes[i] == 0)
            continue;
        snprintf(label, sizeof label, ",code=\"%s\"", code_word(i, word));
        add_metric(out, "fieldgate_device_exceptions_total", p, device, label, s->exception_codes[i]);
    }
}

static void reply_times(struct buf *out, struct poller *p, size_t device, const struct driver_stats *s)
{
    if (s->replies == 0)
        return;
    add_ms_metric(out, p, device, "min", s->reply_min_ms);
    add_ms_metric(out, p, device, "mean", mean_ms(s));
    add_ms_metric(out, p, device, "max", s->reply_max_ms);
}

static void bus_metrics(struct poller *const *pollers, size_t count, struct buf *out)
{
    head(out, "fieldgate_bus_busy_ratio", "gauge", "Share of the last minute in which the line was in use.");
    for (size_t i = 0; i < count; i++) {
        struct driver_bus_stats bus;
        poller_bus_status(pollers[i], &bus);
        buf_addf(out, "fieldgate_bus_busy_ratio{bus=\"%s\"} %u.%03u\n", poller_bus(pollers[i]),
                 bus.busy_permille / 1000, bus.busy_permille % 1000);
    }
    head(out, "fieldgate_bus_stray_frames_total", "counter",
         "Sound frames between our questions that nobody waits for.");
    for (size_t i = 0; i < count; i++) {
        struct driver_bus_stats bus;
        poller_bus_status(pollers[i], &bus);
        buf_addf(out, "fieldgate_bus_stray_frames_total{bus=\"%s\"} %llu\n", poller_bus(pollers[i]),
                 (unsigned long long)bus.foreign_frames);
    }
}

void status_bus_metrics(struct poller *const *pollers, size_t count, struct buf *out)
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
    bus_metrics(pollers, count, out);
    for (size_t m = 0; m < sizeof metrics / sizeof metrics[0]; m++) {
        head(out, metrics[m].name, metrics[m].type, metrics[m].help);
        for (size_t i = 0; i < count; i++)
            for (size_t d = 0; d < poller_device_count(pollers[i]); d++) {
                struct poller_device_status s;
                poller_device_status(pollers[i], d, &s);
                metrics[m].add(out, pollers[i], d, &s.stats);
            }
    }
}
