/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../drivers/modbus.h"
#include "log.h"
#include "poller.h"
#include "status.h"
#include "store.h"
#include "uplink.h"

enum {
    TRIES = 2, /* cheap sensors miss a request now and then: one retry before a poll has failed */
    PUBACK_TIMEOUT_MS = 30000,
    CONNECT_TIMEOUT_MS = 20000,
    STOP_THREADS_MS = 2000, /* together with the last commit a clean stop stays under 5 s */
};

/* What a bus' poller and driver borrow for their life. */
struct bus_parts {
    struct poller *poller;
    char where[160];
    struct poller_device *devices;
    const char **names; /* of all points of all devices, device by device */
    int64_t *every;     /* the same, intervals */
};

struct gateway {
    struct gateway_options options;
    struct bus_parts *buses; /* one for each bus that has enabled devices */
    struct poller **pollers; /* the same, for status */
    size_t bus_count;
    struct store *store;
    struct uplink **uplinks;
    size_t uplink_count;
    _Atomic bool uplinks_ready; /* the store's writer runs before the uplinks exist */
    _Atomic bool clock_trusted;
    struct buf layout, labels, position;
    int64_t started_wall_ms, started_mono_ms;
    bool disk_failing;
    uint64_t queue_dropped;
};

/* ---- what the parts call back ---- */

static bool trusted_now(void *context)
{
    struct gateway *g = context;
    return atomic_load_explicit(&g->clock_trusted, memory_order_relaxed);
}

static void take_sample(void *context, const struct sample *s)
{
    struct gateway *g = context;
    /* A full queue is counted by the store and becomes an event there; the poller goes on. */
    (void)store_append(g->store, s);
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
            modbus[at] = (struct modbus_device_options){
                .name = d->name,
                .unit = d->unit,
                .line = d->line,
                .timeout_ms = d->timeout_ms,
                .gap_ms = d->gap_ms,
                .max_registers = d->max_registers,
                .max_hole = d->max_hole,
                .points = d->points,
                .point_count = d->point_count,
            };
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

static int open_driver(const struct config_bus *b, const struct modbus_device_options *devices, size_t count,
                       struct driver **ret, struct err_note *note)
{
    struct modbus_options options = {
        .bus = b->name,
        .protocol = b->protocol,
        .port = b->port,
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
        .clock_trusted = trusted_now,
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
        err = open_driver(&c->buses[bus], modbus, count, &driver, note);
    }
    if (err == 0)
        err = open_poller(g, &c->buses[bus], parts, count, driver, note);
    g->pollers[g->bus_count++] = parts->poller; /* counted also on failure, so that gateway_free() finds it */
    free(modbus);
    return err;
}

static int build_buses(struct gateway *g, struct err_note *note)
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

static int build_store(struct gateway *g, struct err_note *note)
{
    const struct config *c = g->options.config;
    struct store_uplink *uplinks = calloc(c->uplink_count + 1, sizeof *uplinks);
    if (!uplinks)
        return FG_ENOMEM;
    for (size_t i = 0; i < c->uplink_count; i++)
        uplinks[i] = (struct store_uplink){.name = c->uplinks[i].name, .start_now = c->uplinks[i].start_now};
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
        .on_commit = committed,
        .on_commit_context = g,
    };
    int err = buf_ok(&g->layout) ? store_open(&options, &g->store, note) : FG_ENOMEM;
    free(uplinks);
    return err;
}

/* ---- uplinks ---- */

static void describe_place(struct gateway *g)
{
    const struct config_gateway *where = &g->options.config->gateway;
    buf_addc(&g->labels, '{');
    for (size_t i = 0; i < where->labels.count; i++) {
        buf_add_key(&g->labels, where->labels.items[i].name);
        buf_add_json(&g->labels, where->labels.items[i].value);
    }
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
        .batch_samples = u->batch_samples,
        .batch_bytes = u->batch_bytes,
        .batch_delay_ms = u->batch_delay_ms,
        .live_depth = enabled_devices(c) + 1,
        .puback_timeout_ms = PUBACK_TIMEOUT_MS,
        .first_retry_max_ms = g->options.first_retry_max_ms,
        .config_state = g->options.config_state,
        .state_dir = g->options.state_dir,
        .clock_trusted = trusted_now,
        .context = g,
        .seed = (uint64_t)g->started_wall_ms * 31 + index,
    };
    return uplink_new(&options, ret, note);
}

static int build_uplinks(struct gateway *g, struct err_note *note)
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

/* ---- life ---- */

int gateway_new(const struct gateway_options *options, struct gateway **ret, struct err_note *note)
{
    struct gateway *g = calloc(1, sizeof *g);
    if (!g)
        return err_note(note, FG_ENOMEM, "out of memory");
    g->options = *options;
    g->started_wall_ms = clock_wall_ms();
    g->started_mono_ms = clock_mono_ms();
    atomic_store(&g->clock_trusted, clock_trusted(options->config->clock.trust));
    err_note(note, 0, "%s", "out of memory");
    int err = build_buses(g, note);
    if (err == 0)
        err = build_store(g, note);
    if (err == 0)
        err = build_uplinks(g, note);
    if (err < 0) {
        gateway_free(g);
        return err;
    }
    *ret = g;
    return 0;
}

int gateway_start(struct gateway *g, struct err_note *note)
{
    for (size_t i = 0; i < g->uplink_count; i++) {
        int err = uplink_start(g->uplinks[i]);
        if (err < 0)
            return err_note(note, err, "uplink %s: cannot start a thread",
                            g->options.config->uplinks[i].name);
    }
    for (size_t i = 0; i < g->bus_count; i++) {
        int err = poller_start(g->pollers[i]);
        if (err < 0)
            return err_note(note, err, "bus %s: cannot start a thread", poller_bus(g->pollers[i]));
    }
    return 0;
}

static bool all_progress(struct gateway *g)
{
    int64_t now = clock_mono_ms();
    const char *late = NULL;
    if (pulse_late(store_pulse(g->store), now))
        late = "store";
    for (size_t i = 0; i < g->bus_count; i++)
        if (pulse_late(poller_pulse(g->pollers[i]), now))
            late = poller_bus(g->pollers[i]);
    for (size_t i = 0; i < g->uplink_count; i++)
        if (pulse_late(uplink_pulse(g->uplinks[i]), now))
            late = g->options.config->uplinks[i].name;
    if (late)
        log_line(LOG_PRI_ERROR, "FG-LATE",
                 "part=%s: makes no progress; the watchdog will restart the service", late);
    return !late;
}

static void tell_store_changes(struct gateway *g)
{
    struct store_status s;
    store_status(g->store, &s);
    if (s.disk_failing != g->disk_failing) {
        if (s.disk_failing)
            log_line(LOG_PRI_ERROR, "FG-STORE-FAILING",
                     "path=%s: %s; readings are kept in memory for now; free space or check the disk",
                     g->options.config->store.path, s.disk_note.text);
        else
            log_line(LOG_PRI_NOTICE, "FG-STORE-OK", "path=%s: the disk takes readings again",
                     g->options.config->store.path);
        g->disk_failing = s.disk_failing;
    }
    if (s.queue_dropped && !g->queue_dropped)
        log_line(LOG_PRI_ERROR, "FG-QUEUE-FULL",
                 "path=%s: readings come faster than the disk takes them; some are lost and will be reported",
                 g->options.config->store.path);
    g->queue_dropped = s.queue_dropped;
}

static void tell_clock_changes(struct gateway *g)
{
    bool now = clock_trusted(g->options.config->clock.trust);
    if (now == atomic_load(&g->clock_trusted))
        return;
    atomic_store(&g->clock_trusted, now);
    if (now)
        log_line(LOG_PRI_NOTICE, "FG-CLOCK", "trusted=yes: the time is set");
    else
        log_line(LOG_PRI_WARNING, "FG-CLOCK",
                 "trusted=no: the time is not set by network or hardware clock; readings are marked so");
}

bool gateway_tick(struct gateway *g)
{
    tell_store_changes(g);
    tell_clock_changes(g);
    return all_progress(g);
}

static struct status_view view_of(struct gateway *g)
{
    return (struct status_view){
        .config = g->options.config,
        .gateway_id = g->options.gateway_id,
        .config_path = g->options.config_path,
        .config_state = g->options.config_state,
        .started_wall_ms = g->started_wall_ms,
        .started_mono_ms = g->started_mono_ms,
        .clock_trusted = trusted_now(g),
        .pollers = g->pollers,
        .poller_count = g->bus_count,
        .store = g->store,
        .uplinks = g->uplinks,
        .uplink_count = g->uplink_count,
    };
}

void gateway_status(struct gateway *g, struct buf *json, struct buf *metrics)
{
    struct status_view view = view_of(g);
    status_json(&view, json);
    status_metrics(&view, metrics);
}

void gateway_summary(struct gateway *g, struct buf *text)
{
    size_t devices = 0, well = 0, up = 0;
    for (size_t i = 0; i < g->bus_count; i++)
        for (size_t d = 0; d < poller_device_count(g->pollers[i]); d++) {
            struct poller_device_status s;
            poller_device_status(g->pollers[i], d, &s);
            devices++;
            well += strcmp(s.state, "ok") == 0;
        }
    for (size_t i = 0; i < g->uplink_count; i++) {
        struct uplink_status s;
        uplink_status(g->uplinks[i], &s);
        up += s.connected;
    }
    buf_addf(text, "%zu of %zu devices answer, %zu of %zu uplinks connected%s", well, devices, up,
             g->uplink_count,
             strcmp(g->options.config_state, "fallback") == 0 ? ", on the LAST GOOD configuration" : "");
}

bool gateway_stop(struct gateway *g)
{
    bool ended = true;
    /* First tell all, then wait for each: the waits overlap. */
    for (size_t i = 0; i < g->bus_count; i++)
        poller_stop(g->pollers[i], 0);
    for (size_t i = 0; i < g->uplink_count; i++)
        uplink_stop(g->uplinks[i], 0);
    int64_t deadline = clock_mono_ms() + STOP_THREADS_MS;
    for (size_t i = 0; i < g->bus_count; i++) {
        int64_t left = deadline - clock_mono_ms();
        ended = poller_stop(g->pollers[i], left > 0 ? left : 0) && ended;
    }
    for (size_t i = 0; i < g->uplink_count; i++) {
        int64_t left = deadline - clock_mono_ms();
        ended = uplink_stop(g->uplinks[i], left > 0 ? left : 0) && ended;
    }
    if (!ended) {
        log_line(LOG_PRI_WARNING, "FG-STOP-SLOW",
                 "a name look-up still hangs; leaving without waiting for it");
        return false;
    }
    atomic_store(&g->uplinks_ready, false);
    store_close(g->store);
    g->store = NULL;
    return true;
}

void gateway_free(struct gateway *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->uplink_count; i++)
        uplink_free(g->uplinks[i]);
    free(g->uplinks);
    for (size_t i = 0; i < g->bus_count; i++) {
        poller_free(g->pollers[i]);
        free(g->buses[i].devices);
        free(g->buses[i].names);
        free(g->buses[i].every);
    }
    free(g->pollers);
    free(g->buses);
    store_close(g->store);
    buf_fini(&g->layout);
    buf_fini(&g->labels);
    buf_fini(&g->position);
    free(g);
}
