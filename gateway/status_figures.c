/* SPDX-License-Identifier: Apache-2.0 */
#include "status_figures.h"

#include <stdlib.h>

static int look_at_records(const struct status_view *v, struct status_figures *f)
{
    struct store_uplink_status *records = calloc(v->uplink_count + 1, sizeof *records);
    if (!records)
        return FG_ENOMEM;
    store_status_all(v->store, &f->store, records);
    for (size_t i = 0; i < v->uplink_count; i++) {
        f->uplinks[i].records = records[i];
        uplink_status(v->uplinks[i], &f->uplinks[i].link);
    }
    free(records);
    return 0;
}

static struct status_device look_at_device(const struct status_view *v, struct poller *p, size_t index,
                                           const struct config_device *const *enabled)
{
    struct status_device d = {.poller = p, .index = index, .options = poller_device(p, index)};
    d.config = enabled[d.options->layout_index];
    poller_device_status(p, index, &d.polls);
    gateway_reports_status(v->reports, d.options->layout_index, &d.report);
    return d;
}

static int look_at_buses(const struct status_view *v, struct status_figures *f)
{
    /* What is switched off is in no layout and on no bus. */
    const struct config_device **enabled = calloc(v->config->device_count + 1, sizeof *enabled);
    if (!enabled)
        return FG_ENOMEM;
    for (size_t i = 0, n = 0; i < v->config->device_count; i++)
        if (v->config->devices[i].enabled)
            enabled[n++] = &v->config->devices[i];
    for (size_t i = 0, at = 0; i < f->bus_count; i++) {
        struct poller *p = v->pollers[i];
        struct status_bus *bus = &f->buses[i];
        *bus = (struct status_bus){.name = poller_bus(p), .devices = &f->devices[at]};
        poller_bus_status(p, &bus->stats);
        for (bus->device_count = 0; bus->device_count < poller_device_count(p); bus->device_count++)
            f->devices[at++] = look_at_device(v, p, bus->device_count, enabled);
    }
    free(enabled);
    return 0;
}

int status_figures_look(const struct status_view *v, struct status_figures *ret)
{
    *ret = (struct status_figures){.bus_count = v->poller_count};
    for (size_t i = 0; i < v->poller_count; i++)
        ret->device_count += poller_device_count(v->pollers[i]);
    ret->uplinks = calloc(v->uplink_count + 1, sizeof *ret->uplinks);
    ret->buses = calloc(ret->bus_count + 1, sizeof *ret->buses);
    ret->devices = calloc(ret->device_count + 1, sizeof *ret->devices);
    int err = ret->uplinks && ret->buses && ret->devices ? 0 : FG_ENOMEM;
    if (err == 0)
        err = look_at_records(v, ret);
    if (err == 0)
        err = look_at_buses(v, ret);
    if (err < 0)
        status_figures_forget(ret);
    return err;
}

void status_figures_forget(struct status_figures *f)
{
    free(f->uplinks);
    free(f->buses);
    free(f->devices);
    *f = (struct status_figures){0};
}
