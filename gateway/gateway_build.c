/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../drivers/modbus.h"

enum {
    TRIES = 2, /* cheap sensors miss a request now and then: one retry before a poll has failed */
    PUBACK_TIMEOUT_MS = 30000,
    CONNECT_TIMEOUT_MS = 20000,
    /* Rows of devices on Modbus TCP (schedule.h). On a serial line a question takes so long that waking up
     * for it costs little beside. Where an endpoint has such a line behind it, a row's last device waits for
     * the others, always alike. */
    TCP_APART_MS = 500,
};

/* ---- what the parts call back ---- */

bool gateway_clock_trusted(void *context)
{
    struct gateway *g = context;
    return atomic_load_explicit(&g->clock_trusted, memory_order_relaxed);
}

static void take_sample(void *context, const struct sample *s)
{
    struct gateway *g = context;
    gateway_reports_take(g->reports, s);
}

static void committed(void *context)
{
    struct gateway *g = context;
    if (!atomic_load_explicit(&g->uplinks_ready, memory_order_acquire))
        return;
    for (size_t i = 0; i < g->uplink_count; i++)
        uplink_wake(g->uplinks[i]);
}

/* ---- buses ---- */

static size_t devices_on(const struct config *c, size_t bus, size_t *ret_points)
{
    size_t count = 0;
    *ret_points = 0;
    for (size_t i = 0; i < c->device_count; i++)
        if (c->devices[i].enabled && c->devices[i].bus == bus) {
            count++;
            *ret_points += c->devices[i].point_count;
        }
    return count;
}

static void describe_where(const struct config_bus *b, char *ret, size_t cap)
{
    if (b->protocol == MODBUS_RTU)
        snprintf(ret, cap, "%s", b->port);
    else
        snprintf(ret, cap, "%s:%d", b->host, b->tcp_port);
}

/* Fills the driver's and the poller's view of the devices of one bus. */
static void describe_devices(const struct config *c, size_t bus, struct modbus_device_options *modbus,
                             struct bus_parts *parts)
{
    size_t at = 0, point = 0;
    uint32_t layout_index = 0;
    for (size_t i = 0; i < c->device_count; i++) {
        const struct config_device *d = &c->devices[i];
        if (!d->enabled)
            continue;
        if (d->bus == bus) {
            modbus[at] = config_device_options(d);
            parts->devices[at] = (struct poller_device){
                .name = d->name,
                .unit = d->unit,
                .layout_index = layout_index,
                .every_ms = d->every_ms,
                .point_count = d->point_count,
                .point_names = parts->names + point,
                .point_every_ms = parts->every + point,
            };
            for (size_t p = 0; p < d->point_count; p++, point++) {
                parts->names[point] = d->points[p].name;
                parts->every[point] = d->points[p].every_ms;
            }
            at++;
        }
        layout_index++;
    }
}

int gateway_open_driver(const struct config_bus *b, const struct modbus_device_options *devices, size_t count,
                        struct driver **ret, struct err_note *note)
{
    struct modbus_options options = {
        .bus = b->name,
        .protocol = b->protocol,
        .port = b->port,
        .rs485 = b->rs485,
        .host = b->host,
        .tcp_port = b->tcp_port,
        .tries = TRIES,
        .devices = devices,
        .device_count = count,
    };
    return modbus_driver_open(&options, ret, note);
}

static int open_poller(struct gateway *g, const struct config_bus *b, struct bus_parts *parts, size_t count,
                       struct driver *driver, struct err_note *note)
{
    describe_where(b, parts->where, sizeof parts->where);
    struct poller_options options = {
        .bus = b->name,
        .where = parts->where,
        .driver = driver,
        .devices = parts->devices,
        .device_count = count,
        .sink = take_sample,
        .sink_context = g,
        .clock_trusted = gateway_clock_trusted,
        .apart_ms = b->protocol == MODBUS_TCP ? TCP_APART_MS : 0,
        .seed = (uint64_t)g->started_wall_ms + g->bus_count,
    };
    int err = poller_new(&options, &parts->poller);
    if (err < 0) {
        driver->ops->close(driver);
        return err_note(note, err, "bus %s: %s", b->name, err_text(err));
    }
    return 0;
}

static int build_bus(struct gateway *g, size_t bus, struct err_note *note)
{
    const struct config *c = g->options.config;
    size_t points, count = devices_on(c, bus, &points);
    if (count == 0)
        return 0;
    struct bus_parts *parts = &g->buses[g->bus_count];
    struct modbus_device_options *modbus = calloc(count, sizeof *modbus);
    parts->devices = calloc(count, sizeof *parts->devices);
    parts->names = calloc(points + 1, sizeof *parts->names);
    parts->every = calloc(points + 1, sizeof *parts->every);
    struct driver *driver = NULL;
    int err = FG_ENOMEM;
    if (modbus && parts->devices && parts->names && parts->every) {
        describe_devices(c, bus, modbus, parts);
        err = gateway_open_driver(&c->buses[bus], modbus, count, &driver, note);
    }
    if (err == 0)
        err = open_poller(g, &c->buses[bus], parts, count, driver, note);
    g->pollers[g->bus_count++] = parts->poller; /* counted also on failure, so that gateway_free() finds it */
    free(modbus);
    return err;
}

int gateway_build_buses(struct gateway *g, struct err_note *note)
{
    size_t count = g->options.config->bus_count;
    g->buses = calloc(count + 1, sizeof *g->buses);
    g->pollers = calloc(count + 1, sizeof(struct poller *));
    if (!g->buses || !g->pollers)
        return FG_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int err = build_bus(g, i, note);
        if (err < 0)
            return err;
    }
    return 0;
}

/* ---- store ---- */

int gateway_build_store(struct gateway *g, struct err_note *note)
{
    const struct config *c = g->options.config;
    struct store_uplink *uplinks = calloc(c->uplink_count + 1, sizeof *uplinks);
    if (!uplinks)
        return FG_ENOMEM;
    for (size_t i = 0; i < c->uplink_count; i++)
        uplinks[i] = (struct store_uplink){.name = c->uplinks[i].name,
                                           .start_now = c->uplinks[i].start_now,
                                           .max_age_ms = c->uplinks[i].max_age_ms};
    config_layout(c, &g->layout);
    struct store_options options = {
        .path = c->store.path,
        .max_bytes = c->store.max_size,
        .commit_every_ms = c->store.commit_every_ms,
        .keep_delivered_ms = c->store.keep_delivered_ms,
        .layout = g->layout.data,
        .layout_len = g->layout.len,
        .software = "fieldgate " FG_VERSION,
        .uplinks = uplinks,
        .uplink_count = c->uplink_count,
        .hold_untrusted = true,
        .hold_ms = c->clock.hold_ms,
        .clock_trusted = gateway_clock_trusted(g),
        .on_commit = committed,
        .on_commit_context = g,
    };
    int err = buf_ok(&g->layout) ? store_open(&options, &g->store, note) : FG_ENOMEM;
    free(uplinks);
    if (err == 0)
        err = gateway_counters_new(c, &g->counters);
    /* What cannot be read back is damaged and told so by the store; its counters begin anew. */
    if (err == 0 && gateway_counters_recall(g->counters, g->store) == FG_ENOMEM)
        err = FG_ENOMEM;
    if (err == 0)
        err = gateway_reports_new(c, g->counters, g->store, &g->reports);
    return err;
}

/* ---- uplinks ---- */

static void describe_place(struct gateway *g)
{
    const struct config_gateway *where = &g->options.config->gateway;
    buf_addc(&g->labels, '{');
    for (size_t i = 0; i < where->labels.count; i++)
        buf_member_text(&g->labels, where->labels.items[i].name, where->labels.items[i].value);
    buf_addc(&g->labels, '}');
    if (!where->has_position)
        return;
    char latitude[DECIMAL_TEXT_MAX], longitude[DECIMAL_TEXT_MAX];
    decimal_format(where->latitude, latitude);
    decimal_format(where->longitude, longitude);
    buf_addf(&g->position, "{\"latitude\":%s,\"longitude\":%s}", latitude, longitude);
}

static size_t enabled_devices(const struct config *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->device_count; i++)
        count += c->devices[i].enabled;
    return count;
}

static int build_uplink(struct gateway *g, size_t index, struct uplink **ret, struct err_note *note)
{
    const struct config *c = g->options.config;
    const struct config_uplink *u = &c->uplinks[index];
    struct uplink_options options = {
        .name = u->name,
        .store_index = index,
        .store = g->store,
        .urls = (const char *const *)u->urls,
        .url_count = u->url_count,
        .topic = u->topic,
        .format = payload_format(u->format),
        .gzip = u->gzip,
        .mqtt = {.client_id = u->client_id,
                 .version = u->version,
                 .ca_file = u->ca_file,
                 .cert_file = u->cert_file,
                 .key_file = u->key_file,
                 .any_host_name = u->any_host_name,
                 .keepalive_ms = u->keepalive_ms,
                 .connect_timeout_ms = CONNECT_TIMEOUT_MS},
        .username = u->username,
        .password_path = u->password_path,
        .who = {.gateway = g->options.gateway_id,
                .name = c->gateway.name,
                .software = "fieldgate " FG_VERSION,
                .uplink = u->name,
                .position_json = g->position.len ? g->position.data : NULL,
                .labels_json = g->labels.data},
        .oldest_first = u->order == CONFIG_OLDEST_FIRST,
        .max_rate = u->max_rate,
        .max_age_ms = u->max_age_ms,
        .batch_samples = u->batch_samples,
        .batch_bytes = u->batch_bytes,
        .batch_delay_ms = u->batch_delay_ms,
        .live_depth = enabled_devices(c) + 1,
        .puback_timeout_ms = PUBACK_TIMEOUT_MS,
        .first_retry_max_ms = g->options.first_retry_max_ms,
        .refusal_first_ms = g->options.refusal_first_ms,
        .return_every_ms = g->options.return_every_ms,
        .config_state = g->options.config_state,
        .state_dir = g->options.state_dir,
        .clock_trusted = gateway_clock_trusted,
        .context = g,
        .seed = (uint64_t)g->started_wall_ms * 31 + index,
        .commands = (const char *const *)u->commands,
        .command_count = u->command_count,
        .handlers = gateway_handlers(g),
    };
    return uplink_new(&options, ret, note);
}

int gateway_build_uplinks(struct gateway *g, struct err_note *note)
{
    size_t count = g->options.config->uplink_count;
    g->uplinks = calloc(count + 1, sizeof(struct uplink *));
    if (!g->uplinks)
        return FG_ENOMEM;
    describe_place(g);
    if (!buf_ok(&g->labels) || !buf_ok(&g->position))
        return FG_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int err = build_uplink(g, i, &g->uplinks[i], note);
        if (err < 0)
            return err;
        g->uplink_count++;
    }
    atomic_store_explicit(&g->uplinks_ready, true, memory_order_release);
    return 0;
}
