/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <stdlib.h>
#include <string.h>

#include "gateway_build.h"
#include "gateway_news.h"
#include "health.h"
#include "log.h"
#include "status.h"
#include "text.h"

/* Together with the last commit a clean stop stays under 5 s. Whoever is waited for after a thread that hangs
 * still gets a moment: it must be cut off, so that it brings nothing to a store that is closed. */
enum { STOP_THREADS_MS = 2500, STOP_MOMENT_MS = 100, KEEP_ID_EVERY_MS = 10000 };
/* A loose card and a time server that comes and goes change their state all day. */
static const struct damp_limits DISK_LINES = {6, 4 * 3600000}, CLOCK_LINES = {6, 4 * 3600000};
/* From here on it is no correction any more: somebody, or a time server, has set another time. */
enum { CLOCK_STEP_MS = 10000, CLOCK_LOOK_MS = 1000 };
/* So soon after a disk that hung all loops have come round again. */
enum { AFTER_STALL_MS = 30000 };

int gateway_new(const struct gateway_options *options, struct gateway **ret, struct err_note *note)
{
    struct gateway *g = calloc(1, sizeof *g);
    if (!g)
        return err_note(note, FG_ENOMEM, "out of memory");
    g->options = *options;
    g->started_wall_ms = clock_wall_ms();
    g->started_mono_ms = clock_mono_ms();
    atomic_store(&g->records_per_day, -1);
    atomic_store(&g->written_bytes, -1);
    atomic_store(&g->written_per_day, -1);
    const bool trusted = clock_trusted(options->config->clock.trust);
    atomic_store(&g->clock_trusted, trusted);
    g->wall_less_mono_ms = g->started_wall_ms - g->started_mono_ms;
    g->clock_set = (struct damp_switch){.on = trusted, .said = trusted};
    err_note(note, 0, "%s", "out of memory");
    int err = gateway_build_buses(g, note);
    if (err == 0)
        err = gateway_build_store(g, note);
    if (err == 0)
        err = gateway_build_uplinks(g, note);
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
    gateway_open_control(g);
    gateway_news_tell(g);
    return 0;
}

/* Who waits for a disk that hangs is not late by itself: the store has a limit of its own for that. */
static bool waits_for_disk(const struct gateway *g, int64_t now)
{
    return g->stalled_mono_ms && now - g->stalled_mono_ms < AFTER_STALL_MS;
}

static bool all_progress(struct gateway *g)
{
    int64_t now = clock_mono_ms();
    bool waits = waits_for_disk(g, now);
    const char *late = NULL;
    if (pulse_late(store_pulse(g->store), now))
        late = "store";
    for (size_t i = 0; i < g->bus_count; i++)
        if (pulse_late(poller_pulse(g->pollers[i]), now))
            late = poller_bus(g->pollers[i]);
    for (size_t i = 0; !waits && i < g->uplink_count; i++)
        if (pulse_late(uplink_pulse(g->uplinks[i]), now))
            late = g->options.config->uplinks[i].name;
    if (!waits && g->control && pulse_late(control_pulse(g->control), now))
        late = CONTROL_NAME;
    if (late && late != g->late) /* once for each that hangs, not once a second */
        log_line(LOG_PRI_ERROR, "FG-LATE",
                 "part=%s: makes no progress; the watchdog will restart the service", late);
    g->late = late;
    return !late;
}

static void note_rates(struct gateway *g, const struct store_status *s)
{
    const int64_t now = clock_mono_ms(), written = health_written_bytes();
    rate_note(&g->records, now, (int64_t)s->recorded);
    atomic_store(&g->records_per_day, rate_per_day(&g->records, now, (int64_t)s->recorded));
    if (written >= 0)
        rate_note(&g->written, now, written);
    atomic_store(&g->written_bytes, written);
    atomic_store(&g->written_per_day, rate_per_day(&g->written, now, written));
}

static void tell_stall(struct gateway *g, const struct store_status *s)
{
    const int64_t now = clock_mono_ms();
    char changes[DAMP_CHANGES];
    if (s->stalled_ms > 0)
        g->stalled_mono_ms = now;
    if (!damp_switch_tell(&g->disk_hangs, &DISK_LINES, s->stalled_ms > 0, now, changes))
        return;
    if (s->stalled_ms > 0)
        log_line(
            LOG_PRI_ERROR, "FG-STORE-HANGS",
            "path=%s for=%llds%s: the disk does not finish what it was asked; measuring goes on, readings "
            "wait in memory and none is sent until it answers; check the card or disk (dmesg)",
            g->options.config->store.path, (long long)s->stalled_ms / 1000, changes);
    else
        log_line(LOG_PRI_NOTICE, "FG-STORE-ANSWERS", "path=%s%s: the disk answers again",
                 g->options.config->store.path, changes);
}

static void tell_store_changes(struct gateway *g, const struct store_status *s)
{
    char changes[DAMP_CHANGES];
    tell_stall(g, s);
    if (damp_switch_tell(&g->disk_failing, &DISK_LINES, s->disk_failing, clock_mono_ms(), changes)) {
        if (s->disk_failing)
            log_line(LOG_PRI_ERROR, "FG-STORE-FAILING",
                     "path=%s%s: %s; measuring and sending go on from memory: what is not delivered is lost "
                     "if the "
                     "power goes before the disk takes it",
                     g->options.config->store.path, changes, s->disk_note.text);
        else
            log_line(LOG_PRI_NOTICE, "FG-STORE-OK",
                     "path=%s%s: the disk takes readings again, those in memory are on it now",
                     g->options.config->store.path, changes);
    }
    if (s->queue_dropped && !g->queue_dropped)
        log_line(LOG_PRI_ERROR, "FG-QUEUE-FULL",
                 "path=%s: readings come faster than the disk takes them; some are lost and will be reported",
                 g->options.config->store.path);
    g->queue_dropped = s->queue_dropped;
}

static bool any_link(struct gateway *g)
{
    for (size_t i = 0; i < g->uplink_count; i++) {
        struct uplink_status s;
        uplink_status(g->uplinks[i], &s);
        if (s.connected)
            return true;
    }
    return false;
}

/* Order, ages and waiting do not go by the wall clock; but whoever reads the times wants to know. */
static void tell_clock_step(struct gateway *g, bool believed)
{
    const int64_t mono = clock_mono_ms(), wall = clock_wall_ms();
    if (clock_mono_ms() - mono > CLOCK_LOOK_MS)
        return; /* the machine stood still between the two */
    const int64_t by = wall - mono - g->wall_less_mono_ms;
    g->wall_less_mono_ms = wall - mono;
    if (!believed || llabs(by) < CLOCK_STEP_MS || !damp_allows(&g->step_lines, &CLOCK_LINES, mono))
        return;
    damp_take(&g->step_lines, &CLOCK_LINES, mono);
    log_line(
        LOG_PRI_WARNING, "FG-CLOCK-STEPPED",
        "by_ms=%lld: the time was set to another one while it was trusted; nothing is lost and readings keep "
        "their order, but from now on they carry the new time; look at the time source (timedatectl)",
        (long long)by);
}

static void tell_clock_changes(struct gateway *g)
{
    char changes[DAMP_CHANGES];
    bool now = clock_trusted(g->options.config->clock.trust);
    bool before = atomic_exchange(&g->clock_trusted, now);
    tell_clock_step(g, before && now);
    store_clock(g->store, now, any_link(g));
    if (!damp_switch_tell(&g->clock_set, &CLOCK_LINES, now, clock_mono_ms(), changes))
        return;
    if (now)
        log_line(LOG_PRI_NOTICE, "FG-CLOCK", "trusted=yes%s: the time is set", changes);
    else
        log_line(LOG_PRI_WARNING, "FG-CLOCK",
                 "trusted=no%s: the time is not set by network or hardware clock; readings are marked so",
                 changes);
}

static void keep_id(struct gateway *g)
{
    const int64_t now = clock_mono_ms();
    struct err_note note;
    if (!g->options.id_not_kept || now - g->id_tried_mono_ms < KEEP_ID_EVERY_MS)
        return;
    g->id_tried_mono_ms = now;
    if (gateway_id_keep(g->options.state_dir, g->options.gateway_id, &note) < 0)
        return;
    g->options.id_not_kept = false;
    log_line(LOG_PRI_NOTICE, "FG-ID", "gateway=%s: kept in %s now", g->options.gateway_id,
             g->options.state_dir);
}

bool gateway_tick(struct gateway *g)
{
    struct store_status s;
    store_status(g->store, &s);
    tell_store_changes(g, &s);
    if (s.stalled_ms == 0)
        gateway_news_tell(g);
    note_rates(g, &s);
    keep_id(g);
    tell_clock_changes(g);
    return all_progress(g);
}

struct status_view gateway_view(struct gateway *g)
{
    return (struct status_view){
        .config = g->options.config,
        .gateway_id = g->options.gateway_id,
        .config_path = g->options.config_path,
        .config_state = g->options.config_state,
        .started_wall_ms = g->started_wall_ms,
        .started_mono_ms = g->started_mono_ms,
        .clock_trusted = gateway_clock_trusted(g),
        .records_per_day = atomic_load(&g->records_per_day),
        .written_bytes = atomic_load(&g->written_bytes),
        .written_per_day = atomic_load(&g->written_per_day),
        .pollers = g->pollers,
        .poller_count = g->bus_count,
        .store = g->store,
        .reports = g->reports,
        .uplinks = g->uplinks,
        .uplink_count = g->uplink_count,
    };
}

void gateway_status(struct gateway *g, struct buf *json, struct buf *metrics)
{
    struct status_view view = gateway_view(g);
    struct status_figures figures;
    json->failed = metrics->failed = status_figures_look(&view, &figures) < 0;
    if (json->failed)
        return;
    status_json(&view, &figures, json);
    status_metrics(&view, &figures, metrics);
    status_figures_forget(&figures);
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
    buf_addf(text, _("%zu of %zu devices answer, %zu of %zu uplinks connected%s"), well, devices, up,
             g->uplink_count,
             strcmp(g->options.config_state, "fallback") == 0 ? _(", on the LAST GOOD configuration") : "");
}

/* The last word about the readings: whether all of them are on the disk. */
static void close_store(struct gateway *g, int64_t began_mono_ms)
{
    struct store_lost lost;
    bool open = g->store;
    int err = store_close(g->store, &lost);
    g->store = NULL;
    if (!open)
        return;
    if (err == 0)
        log_line(LOG_PRI_INFO, "FG-STOP", "took_ms=%lld: everything is committed",
                 (long long)(clock_mono_ms() - began_mono_ms));
    else
        log_line(
            LOG_PRI_ERROR, "FG-STOP-LOSS",
            "path=%s: the disk did not take the last %llu readings and events, and %llu of them were not "
            "delivered: those are lost; free space or check the disk",
            g->options.config->store.path, (unsigned long long)lost.records,
            (unsigned long long)lost.undelivered);
}

static int64_t time_to_stop(int64_t deadline_mono_ms)
{
    int64_t left = deadline_mono_ms - clock_mono_ms();
    return left > STOP_MOMENT_MS ? left : STOP_MOMENT_MS;
}

/* What rules still hold back of the devices of a bus, whose thread has ended. */
static void flush_reports(struct gateway *g, const struct poller *p)
{
    for (size_t i = 0; i < poller_device_count(p); i++)
        gateway_reports_flush(g->reports, poller_device(p, i)->layout_index);
}

bool gateway_stop(struct gateway *g)
{
    bool ended = true;
    const int64_t began = clock_mono_ms();
    /* First tell all, then wait for each: the waits overlap. */
    if (g->control)
        control_stop(g->control);
    for (size_t i = 0; i < g->bus_count; i++)
        poller_stop(g->pollers[i], 0);
    for (size_t i = 0; i < g->uplink_count; i++)
        uplink_stop(g->uplinks[i], 0);
    /* Its thread uses all parts; whatever it waits for has just been told to stop. */
    control_close(g->control);
    g->control = NULL;
    int64_t deadline = clock_mono_ms() + STOP_THREADS_MS;
    for (size_t i = 0; i < g->bus_count; i++) {
        bool this_one = poller_stop(g->pollers[i], time_to_stop(deadline));
        if (this_one)
            flush_reports(g, g->pollers[i]);
        ended = this_one && ended;
    }
    for (size_t i = 0; i < g->uplink_count; i++)
        ended = uplink_stop(g->uplinks[i], time_to_stop(deadline)) && ended;
    if (!ended)
        log_line(LOG_PRI_WARNING, "FG-STOP-SLOW",
                 "a name look-up still hangs; leaving without waiting for it");
    atomic_store(&g->uplinks_ready, false);
    /* Also with a thread still in the resolver: what was measured must be committed, and the process leaves
     * right after, long before the resolver gives that thread back. */
    close_store(g, began);
    return ended;
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
    gateway_reports_free(g->reports);
    gateway_counters_free(g->counters);
    store_close(g->store, NULL);
    buf_fini(&g->layout);
    buf_fini(&g->labels);
    buf_fini(&g->position);
    free(g);
}
