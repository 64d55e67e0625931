/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway does when a command asks for it: see gateway_build.h and command.h. Runs on the thread of
 * whoever carries the request; pollers lock by themselves. */
#include <stdlib.h>
#include <string.h>

#include "gateway_build.h"
#include "log.h"
#include "probe.h"
#include "status.h"
#include "text.h"

enum {
    PROBE_BUDGET_MS = 15000, /* for the reading itself */
    PROBE_WAIT_MS = 20000,   /* for the poll under way, too */
    PAUSE_WAIT_MS = 20000,
};

static struct poller *find_bus(struct gateway *g, const char *bus)
{
    for (size_t i = 0; i < g->bus_count; i++)
        if (strcmp(poller_bus(g->pollers[i]), bus) == 0)
            return g->pollers[i];
    return NULL;
}

static struct poller *find_device(struct gateway *g, const char *device, size_t *ret_index)
{
    for (size_t i = 0; i < g->bus_count; i++)
        for (size_t d = 0; d < poller_device_count(g->pollers[i]); d++)
            if (strcmp(poller_device(g->pollers[i], d)->name, device) == 0) {
                *ret_index = d;
                return g->pollers[i];
            }
    return NULL;
}

static int no_device(const char *device, struct err_note *note)
{
    return err_note(note, FG_ENOTFOUND,
                    _("the running gateway has no device \"%.63s\"; see `fieldgate status`"), device);
}

static int no_bus(const char *bus, struct err_note *note)
{
    return err_note(note, FG_ENOTFOUND,
                    _("the running gateway has no bus \"%.63s\" with devices; see `fieldgate status`"), bus);
}

static int explain(int err, const char *bus, struct err_note *note)
{
    const char *why = err_text(err);
    if (err == FG_ETIMEOUT)
        why = _("it is busy with a poll that takes long; try again");
    else if (err == FG_ERETRY)
        why = _("it is paused, or another probe is under way; try again later, or `fieldgate resume`");
    else if (err == FG_ECLOSED)
        why = _("the gateway is stopping");
    return err < 0 ? err_note(note, err, _("bus %s: %s"), bus, why) : 0;
}

static int do_status(void *context, struct buf *out, struct err_note *note)
{
    struct gateway *g = context;
    struct status_view view = gateway_view(g);
    struct status_figures figures;
    int err = status_figures_look(&view, &figures);
    (void)note;
    if (err)
        return err;
    status_json(&view, &figures, out);
    status_figures_forget(&figures);
    if (buf_ok(out) && out->data[out->len - 1] == '\n') /* a file ends in a line end, a value does not */
        out->data[--out->len] = '\0';
    return 0;
}

static int do_poll(void *context, const char *device, struct err_note *note)
{
    size_t index;
    struct poller *p = find_device(context, device, &index);
    if (!p)
        return no_device(device, note);
    poller_hurry(p, index);
    return 0;
}

struct probe_work {
    struct poller_work work; /* first */
    struct probe_target target;
    struct buf out;
};

static void run_probe(struct poller_work *w, struct driver *d)
{
    struct probe_work *p = (struct probe_work *)w;
    probe_run(d, &p->target, &p->out);
}

static void free_probe(struct poller_work *w)
{
    struct probe_work *p = (struct probe_work *)w;
    buf_fini(&p->out);
    free(p);
}

static const struct config_device *configured(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->device_count; i++)
        if (strcmp(c->devices[i].name, name) == 0)
            return &c->devices[i];
    return NULL;
}

static int do_probe(void *context, const char *device, struct buf *out, struct err_note *note)
{
    struct gateway *g = context;
    size_t index;
    struct poller *poller = find_device(g, device, &index);
    const struct config_device *d = configured(g->options.config, device);
    if (!poller || !d)
        return no_device(device, note);
    struct probe_work *w = calloc(1, sizeof *w);
    if (!w)
        return FG_ENOMEM;
    w->work = (struct poller_work){.run = run_probe, .free = free_probe};
    w->target = (struct probe_target){.device = d->name,
                                      .bus = poller_bus(poller),
                                      .index = index,
                                      .unit = d->unit,
                                      .max_registers = d->max_registers,
                                      .points = d->points,
                                      .point_count = d->point_count,
                                      .budget_ms = PROBE_BUDGET_MS};
    int err = poller_do(poller, &w->work, PROBE_WAIT_MS);
    if (err < 0)
        return explain(err, poller_bus(poller), note);
    if (buf_ok(&w->out))
        buf_add(out, w->out.data, w->out.len);
    else
        err = FG_ENOMEM;
    free_probe(&w->work);
    return err;
}

static int do_pause(void *context, const char *bus, int64_t for_ms, struct err_note *note)
{
    struct poller *p = find_bus(context, bus);
    if (!p)
        return no_bus(bus, note);
    return explain(poller_pause(p, for_ms, PAUSE_WAIT_MS), bus, note);
}

static int do_resume(void *context, const char *bus, struct err_note *note)
{
    struct poller *p = find_bus(context, bus);
    if (!p)
        return no_bus(bus, note);
    poller_resume(p);
    return 0;
}

static int no_uplink(const char *uplink, struct err_note *note)
{
    return err_note(note, FG_ENOTFOUND,
                    _("the running gateway has no uplink \"%.63s\"; see `fieldgate status`"), uplink);
}

static int do_rebirth(void *context, const char *uplink, struct err_note *note)
{
    struct gateway *g = context;
    for (size_t i = 0; i < g->uplink_count; i++)
        if (strcmp(g->options.config->uplinks[i].name, uplink) == 0) {
            uplink_rebirth(g->uplinks[i]);
            return 0;
        }
    return no_uplink(uplink, note);
}

static int64_t do_resend(void *context, const char *uplink, uint64_t first, uint64_t last,
                         struct err_note *note)
{
    struct gateway *g = context;
    for (size_t i = 0; i < g->uplink_count; i++) {
        if (strcmp(g->options.config->uplinks[i].name, uplink) != 0)
            continue;
        int64_t count = store_resend(g->store, i, first, last);
        if (count > 0)
            uplink_wake(g->uplinks[i]);
        return count;
    }
    return no_uplink(uplink, note);
}

struct command_handlers gateway_handlers(struct gateway *g)
{
    return (struct command_handlers){.context = g,
                                     .status = do_status,
                                     .rebirth = do_rebirth,
                                     .poll = do_poll,
                                     .probe = do_probe,
                                     .pause = do_pause,
                                     .resume = do_resume,
                                     .resend = do_resend};
}

static void answer(void *context, const char *text, size_t len, struct buf *out)
{
    struct command_handlers handlers = gateway_handlers(context);
    (void)command_run(&handlers, NULL, text, len, out, NULL);
}

void gateway_open_control(struct gateway *g)
{
    struct control_options options = {.runtime_dir = g->options.runtime_dir, .answer = answer, .context = g};
    struct err_note note = {0};
    if (!options.runtime_dir)
        return;
    if (control_open(&options, &g->control, &note) < 0)
        log_line(
            LOG_PRI_WARNING, "FG-CONTROL",
            "%s; `fieldgate probe`, `scan` and `pause` cannot reach this gateway; it measures all the same",
            note.text);
}
