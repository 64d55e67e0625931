/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "status_bus.h"

#define DAY_MS 86400000.0
#define MOST_DAYS 36500.0 /* "more than anybody needs" */

static void add_string(struct buf *out, const char *key, const char *value)
{
    buf_add_key(out, key);
    if (value)
        buf_add_json(out, value);
    else
        buf_adds(out, "null");
}

static void add_bool(struct buf *out, const char *key, bool value)
{
    buf_add_key(out, key);
    buf_adds(out, value ? "true" : "false");
}

static void add_value(struct buf *out, const struct value *value)
{
    char text[DECIMAL_TEXT_MAX];
    switch (value->kind) {
    case VALUE_NONE:
        buf_adds(out, "null");
        return;
    case VALUE_BOOL:
        buf_adds(out, value->boolean ? "true" : "false");
        return;
    case VALUE_NUMBER:
        decimal_format(value->number, text);
        buf_adds(out, text);
        return;
    case VALUE_STATS: /* a poll gives none */
        buf_adds(out, "null");
        return;
    }
}

static void add_last_good(struct buf *out, const struct poller_last *last, int64_t now_mono_ms)
{
    buf_add_key(out, "last_good");
    buf_adds(out, "{\"value\":");
    add_value(out, &last->good);
    buf_member_int(out, "age_ms", now_mono_ms - last->good_mono_ms);
    buf_addc(out, '}');
}

static void add_readings(struct buf *out, const struct config_device *d, const struct poller_last *last)
{
    const int64_t now = clock_mono_ms();
    buf_add_key(out, "readings");
    buf_addc(out, '[');
    for (size_t p = 0; p < d->point_count; p++) {
        if (p)
            buf_addc(out, ',');
        buf_addc(out, '{');
        add_string(out, "name", d->points[p].name);
        add_string(out, "unit", d->points[p].unit);
        const struct reading *r = &last[p].reading;
        add_string(out, "quality", quality_word(r->quality));
        buf_add_key(out, "value");
        add_value(out, &r->value);
        if (r->quality != QUALITY_NOT_DUE)
            buf_member_int(out, "age_ms", now - last[p].mono_ms);
        if (r->quality != QUALITY_GOOD && last[p].good_mono_ms)
            add_last_good(out, &last[p], now);
        buf_addc(out, '}');
    }
    buf_addc(out, ']');
}

static void add_last_readings(struct buf *out, const struct status_device *d)
{
    struct poller_last *last = calloc(d->config->point_count + 1, sizeof *last);
    int64_t wall_ms, newest_ms = 0;
    if (last && poller_last_readings(d->poller, d->index, last, &wall_ms)) {
        for (size_t p = 0; p < d->config->point_count; p++)
            newest_ms = last[p].mono_ms > newest_ms ? last[p].mono_ms : newest_ms;
        buf_member_int(out, "ts", wall_ms);
        if (newest_ms > 0)
            buf_member_int(out, "age_ms", clock_mono_ms() - newest_ms);
        add_readings(out, d->config, last);
    }
    free(last);
}

static void add_counters(struct buf *out, const struct poller_device_status *s,
                         const struct gateway_report_status *r)
{
    buf_member_uint(out, "polls", s->polls);
    buf_member_uint(out, "failed", s->failed);
    buf_member_uint(out, "missed", s->missed);
    buf_member_uint(out, "suppressed", r->suppressed);
    buf_member_uint(out, "aggregates", r->aggregates);
    buf_member_int(out, "timeout_ms", s->stats.timeout_ms);
    buf_add_key(out, "counters");
    status_bus_counters(&s->stats, out);
}

static void add_device(struct buf *out, const char *bus, const struct status_device *d)
{
    const struct poller_device_status *s = &d->polls;
    buf_addc(out, '{');
    add_string(out, "name", d->options->name);
    add_string(out, "bus", bus);
    buf_member_int(out, "unit", d->options->unit);
    add_string(out, "model", d->config->profile);
    buf_member_int(out, "every_ms", d->options->every_ms);
    add_string(out, "state", s->state);
    if (s->last_failed != QUALITY_GOOD)
        add_string(out, "failed_with", quality_word(s->last_failed));
    if (s->last_failed == QUALITY_EXCEPTION)
        buf_member_int(out, "exception", s->exception);
    if (s->trouble != DRIVER_NO_TROUBLE)
        add_string(out, "trouble", driver_trouble_word(s->trouble));
    if (s->last_good_mono_ms)
        buf_member_int(out, "last_good_age_ms", clock_mono_ms() - s->last_good_mono_ms);
    add_counters(out, s, &d->report);
    add_last_readings(out, d);
    buf_addc(out, '}');
}

static void add_devices(struct buf *out, const struct status_figures *f)
{
    buf_add_key(out, "devices");
    buf_addc(out, '[');
    for (size_t i = 0; i < f->bus_count; i++)
        for (size_t d = 0; d < f->buses[i].device_count; d++) {
            const struct status_device *device = &f->buses[i].devices[d];
            if (device != f->devices)
                buf_addc(out, ',');
            add_device(out, f->buses[i].name, device);
        }
    buf_addc(out, ']');
}

int64_t status_room_ms(const struct store_status *s, int64_t records_per_day)
{
    if (s->room_records < 0 || records_per_day <= 0)
        return -1;
    double ms = (double)s->room_records * DAY_MS / (double)records_per_day;
    return ms < MOST_DAYS * DAY_MS ? (int64_t)ms : (int64_t)(MOST_DAYS * DAY_MS);
}

static void add_store(struct buf *out, const struct status_view *v, const struct store_status *s)
{
    buf_add_key(out, "store");
    buf_addc(out, '{');
    add_string(out, "path", v->config->store.path);
    add_string(out, "stream", s->stream);
    buf_member_uint(out, "layout", s->layout);
    buf_member_uint(out, "newest", s->newest);
    buf_member_uint(out, "records", s->records);
    buf_member_uint(out, "commits", s->commits);
    buf_member_int(out, "bytes", s->bytes);
    buf_member_int(out, "max_bytes", s->max_bytes);
    buf_member_int(out, "records_per_day", v->records_per_day);
    buf_member_int(out, "room_ms", status_room_ms(s, v->records_per_day));
    add_bool(out, "durable", s->durable);
    buf_member_uint(out, "in_memory", s->in_memory);
    add_bool(out, "failing", s->disk_failing);
    if (s->disk_failing)
        add_string(out, "why", s->disk_note.text);
    buf_member_int(out, "stalled_ms", s->stalled_ms);
    buf_member_uint(out, "queue_dropped", s->queue_dropped);
    buf_addc(out, '}');
}

static void add_commands(struct buf *out, const struct uplink_commands *c)
{
    buf_add_key(out, "commands");
    buf_addc(out, '{');
    buf_member_uint(out, "received", c->received);
    for (int i = 0; i < COMMAND_RESULTS; i++)
        buf_member_uint(out, command_result_word((enum command_result)i), c->results[i]);
    buf_member_uint(out, "unanswered", c->unanswered);
    buf_member_uint(out, "replies_lost", c->replies_lost);
    buf_addc(out, '}');
}

static void add_reasons(struct buf *out, const struct store_uplink_status *n)
{
    buf_add_key(out, "dropped_by");
    buf_addc(out, '{');
    for (int i = 0; i < STORE_LOSS_REASONS; i++)
        if (n->dropped_by[i] > 0)
            buf_member_uint(out, store_loss_word((enum store_loss_reason)i), n->dropped_by[i]);
    buf_addc(out, '}');
}

/* "unheard" is there only while it is so. */
static void add_unheard(struct buf *out, const struct uplink_status *s)
{
    static const char *const LANES[UPLINK_LANES] = {"live", "backlog"};
    bool any = false;
    buf_member_uint(out, "unheard_records", s->unheard_records);
    for (size_t i = 0; i < UPLINK_LANES; i++) {
        if (!s->unheard[i])
            continue;
        buf_adds(out, any ? ",\"" : ",\"unheard\":[\"");
        buf_adds(out, LANES[i]);
        buf_addc(out, '"');
        any = true;
    }
    if (any)
        buf_addc(out, ']');
}

static void add_uplink(struct buf *out, const struct status_view *v, size_t index,
                       const struct status_uplink *u)
{
    const struct uplink_status *s = &u->link;
    const struct store_uplink_status *n = &u->records;
    int64_t now = clock_mono_ms();
    buf_addc(out, '{');
    add_string(out, "name", v->config->uplinks[index].name);
    add_bool(out, "connected", s->connected);
    add_string(out, "url", s->url);
    buf_member_int(out, "for_ms", s->since_mono_ms ? now - s->since_mono_ms : 0);
    if (!s->connected) {
        add_string(out, "reason", s->reason);
        buf_member_int(out, "next_try_in_ms", s->next_try_mono_ms > now ? s->next_try_mono_ms - now : 0);
    }
    if (s->topic_clash)
        add_bool(out, "topic_clash", true);
    if (s->id_clash)
        add_bool(out, "id_clash", true);
    buf_member_uint(out, "accepted", n->accepted);
    buf_member_uint(out, "delivered", n->delivered);
    buf_member_uint(out, "waiting", n->waiting);
    buf_member_uint(out, "dropped", n->dropped);
    add_reasons(out, n);
    buf_member_int(out, "oldest_waiting_ts", n->oldest_waiting_ms);
    buf_member_uint(out, "connects", s->connects);
    buf_member_uint(out, "messages", s->messages);
    buf_member_uint(out, "bytes", s->bytes);
    buf_member_uint(out, "refused", s->refused);
    add_unheard(out, s);
    buf_member_int(out, "drain_ms", s->drain_ms);
    if (v->config->uplinks[index].command_count > 0)
        add_commands(out, &s->commands);
    buf_addc(out, '}');
}

void status_json(const struct status_view *v, const struct status_figures *f, struct buf *out)
{
    buf_addc(out, '{');
    buf_member_int(out, "v", 1);
    add_string(out, "gateway", v->gateway_id);
    add_string(out, "name", v->config->gateway.name);
    add_string(out, "software", "fieldgate " FG_VERSION);
    buf_member_int(out, "pid", getpid());
    buf_member_int(out, "ts", clock_wall_ms());
    buf_member_int(out, "started_ts", v->started_wall_ms);
    buf_member_int(out, "uptime_ms", clock_mono_ms() - v->started_mono_ms);
    add_string(out, "config", v->config_state);
    add_string(out, "language", config_language_word(v->config->language));
    add_string(out, "config_path", v->config_path);
    add_string(out, "clock", v->clock_trusted ? "trusted" : "untrusted");
    buf_member_int(out, "written_bytes", v->written_bytes);
    buf_member_int(out, "written_bytes_per_day", v->written_per_day);
    add_store(out, v, &f->store);
    buf_add_key(out, "uplinks");
    buf_addc(out, '[');
    for (size_t i = 0; i < v->uplink_count; i++) {
        if (i)
            buf_addc(out, ',');
        add_uplink(out, v, i, &f->uplinks[i]);
    }
    buf_addc(out, ']');
    buf_add_key(out, "buses");
    status_bus_json(f, out);
    add_devices(out, f);
    buf_adds(out, "}\n");
}
