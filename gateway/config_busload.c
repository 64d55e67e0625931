/* SPDX-License-Identifier: Apache-2.0 */
/* How much of its buses' time a configuration needs: see config.h. */
#include <stdlib.h>

#include "../drivers/modbus_load.h"
#include "config_load.h"
#include "config_tables.h"
#include "config_value.h"
#include "text.h"

/* The devices of one bus, as planner and arithmetic want them. */
struct bus_view {
    struct modbus_device_options *devices;
    struct busload_device *intervals;
    size_t count;
    int64_t *every; /* of all points */
    bool *due;
};

static void fini(struct bus_view *v)
{
    free(v->devices);
    free(v->intervals);
    free(v->every);
    free(v->due);
}

struct modbus_device_options config_device_options(const struct config_device *d)
{
    return (struct modbus_device_options){
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
}

static void add_device(struct bus_view *v, const struct config_device *d, int64_t *every)
{
    v->devices[v->count] = config_device_options(d);
    for (size_t i = 0; i < d->point_count; i++)
        every[i] = d->points[i].every_ms;
    v->intervals[v->count++] = (struct busload_device){
        .every_ms = d->every_ms, .point_count = d->point_count, .point_every_ms = every};
}

static int view(const struct config *c, size_t bus, struct bus_view *ret)
{
    size_t points = 0, most = 0;
    for (size_t i = 0; i < c->device_count; i++) {
        points += c->devices[i].point_count;
        if (c->devices[i].point_count > most)
            most = c->devices[i].point_count;
    }
    *ret = (struct bus_view){.devices = calloc(c->device_count + 1, sizeof(*ret->devices)),
                             .intervals = calloc(c->device_count + 1, sizeof(*ret->intervals)),
                             .every = calloc(points + 1, sizeof(*ret->every)),
                             .due = calloc(most + 1, sizeof(*ret->due))};
    if (!ret->devices || !ret->intervals || !ret->every || !ret->due)
        return FG_ENOMEM;
    int64_t *every = ret->every;
    for (size_t i = 0; i < c->device_count; i++)
        if (c->devices[i].enabled && c->devices[i].bus == bus) {
            add_device(ret, &c->devices[i], every);
            every += c->devices[i].point_count;
        }
    return 0;
}

int config_bus_load(const struct config *c, size_t bus, struct busload *ret)
{
    struct bus_view v;
    struct modbus_load *load = NULL;
    struct err_note note;
    int err = view(c, bus, &v);
    struct modbus_options options = {
        .protocol = c->buses[bus].protocol, .devices = v.devices, .device_count = v.count};
    if (err == 0)
        err = v.count > 0 ? modbus_load_new(&options, &load, &note) : FG_ENOTFOUND;
    if (err == 0)
        *ret = busload_compute(v.intervals, v.count, modbus_load_cost_us, load, v.due, BUSLOAD_FULL_PERMILLE);
    modbus_load_free(load);
    fini(&v);
    return err;
}

static void show_interval(int64_t ms, struct buf *out)
{
    struct config_key key = {.kind = CONFIG_DURATION, .width = sizeof(ms)};
    config_value_show(&key, &ms, out);
}

static void warn(const struct config_loader *l, size_t bus, const struct busload *load)
{
    struct config_at list = {.key = "buses"}, at = {.up = &list, .index = bus};
    const struct yaml_node *place = config_item(l->root, "buses", bus);
    const char *name = l->config->buses[bus].name;
    long long percent = (long long)(load->permille + 5) / 10;
    struct buf fits = BUF_INIT;
    if (load->permille < BUSLOAD_FULL_PERMILLE) {
        config_warning(
            &l->file, place, &at,
            _("the devices of %s need %lld %% of the line's time; little is left for a slow answer "
              "or a second try. Ask less often (every:), set a higher baud, or spread the devices "
              "over two buses"),
            name, percent);
    } else if (load->fit_ms == 0) {
        config_warning(&l->file, place, &at,
                       _("the devices of %s need %lld %% of the line's time and would miss periods; spread "
                         "them over several buses, or set a higher baud"),
                       name, percent);
    } else {
        show_interval(load->fit_ms, &fits);
        config_warning(&l->file, place, &at,
                       _("the devices of %s need %lld %% of the line's time and would miss periods; write "
                         "every: %s or longer for them, set a higher baud, or spread them over two buses"),
                       name, percent, buf_ok(&fits) ? fits.data : "?");
    }
    buf_fini(&fits);
}

int config_check_busload(struct config_loader *l)
{
    for (size_t i = 0; i < l->config->bus_count; i++) {
        struct busload load;
        int err = config_bus_load(l->config, i, &load);
        if (err == FG_ENOMEM)
            return err;
        if (err == 0 && load.permille > BUSLOAD_HIGH_PERMILLE)
            warn(l, i, &load);
    }
    return 0;
}
