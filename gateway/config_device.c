/* SPDX-License-Identifier: Apache-2.0 */
/* Completes devices from their bus and profile: see config_load.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_counter.h"
#include "config_load.h"
#include "config_number.h"
#include "config_point.h"
#include "config_rule.h"
#include "config_value.h"
#include "text.h"

static void near_profile(const struct config_folders *folders, struct config_near *near, char keep[256])
{
    for (size_t i = 0; folders->list[i]; i++) {
        DIR *dir = opendir(folders->list[i]);
        struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
            size_t len = strlen(entry->d_name);
            if (len < 6 || len > 200 || strcmp(entry->d_name + len - 5, ".yaml") != 0)
                continue;
            char name[256];
            memcpy(name, entry->d_name, len - 5);
            name[len - 5] = '\0';
            const char *best = near->best;
            config_near_try(near, name);
            if (near->best != best)
                near->best = strcpy(keep, name);
        }
        if (dir)
            closedir(dir);
    }
}

static void unknown_profile(struct config_loader *l, const char *name, const struct yaml_node *place,
                            const struct config_at *at)
{
    const char *const *folders = l->folders.list;
    char keep[256], meant[300] = "";
    struct config_near near;
    config_near_begin(&near, name);
    near_profile(&l->folders, &near, keep);
    if (near.best)
        snprintf(meant, sizeof(meant), _("; did you mean \"%s\"?"), near.best);
    config_error(&l->file, place, at, _("there is no %s.yaml in %s%s%s%s"), name, folders[0],
                 folders[1] ? _(" or ") : "", folders[1] ? folders[1] : "", meant);
}

static int remember(struct config_loader *l, const char *name, struct config_profile *p)
{
    struct config_loaded_profile *profiles =
        realloc(l->profiles, (l->profile_count + 1) * sizeof(*l->profiles));
    if (profiles)
        l->profiles = profiles;
    char *copy = profiles ? strdup(name) : NULL;
    if (!copy) {
        config_profile_free(p);
        return FG_ENOMEM;
    }
    l->profiles[l->profile_count++] = (struct config_loaded_profile){.name = copy, .profile = p};
    return 0;
}

static int keep_source(struct config *c, const struct config_source *source)
{
    struct config_source *sources = realloc(c->sources, (c->source_count + 1) * sizeof(*sources));
    if (!sources || !source->name) {
        c->sources = sources ? sources : c->sources;
        free(source->name);
        free(source->text);
        return FG_ENOMEM;
    }
    c->sources = sources;
    c->sources[c->source_count++] = *source;
    return 0;
}

int config_use_profile(struct config_loader *l, const char *name, const struct yaml_node *place,
                       const struct config_at *at, const struct config_profile **ret)
{
    for (size_t i = 0; i < l->profile_count; i++)
        if (strcmp(l->profiles[i].name, name) == 0) {
            *ret = l->profiles[i].profile;
            return *ret ? 0 : FG_EINVALID;
        }
    struct config_profile *p = NULL;
    struct config_source source = {0};
    int err = config_profile_read(l->folders.list, name, &p, &source, l->file.problems);
    if (err == FG_ENOTFOUND) {
        unknown_profile(l, name, place, at);
        return FG_EINVALID;
    }
    if (err == FG_ENOMEM)
        return err;
    int kept = err == 0 ? keep_source(l->config, &source) : 0;
    int remembered = remember(l, name, p);
    if (kept < 0 || remembered < 0)
        return FG_ENOMEM;
    *ret = p;
    return err;
}

static int copy_point(struct point *to, const struct point *from)
{
    *to = *from;
    to->name = strdup(from->name);
    to->unit = from->unit ? strdup(from->unit) : NULL;
    return to->name && (to->unit || !from->unit) ? 0 : FG_ENOMEM;
}

/* The profile's points first, then the device's own. */
static int add_profile_points(struct config_device *d, const struct config_profile *p)
{
    size_t count = p->point_count + d->point_count;
    struct point *points = calloc(count + 1, sizeof(*points));
    if (!points)
        return FG_ENOMEM;
    if (d->point_count > 0)
        memcpy(points + p->point_count, d->points, d->point_count * sizeof(*points));
    free(d->points);
    d->points = points;
    d->point_count = count;
    d->profile_points = p->point_count;
    int err = 0;
    for (size_t i = 0; i < p->point_count && err == 0; i++)
        err = copy_point(&points[i], &p->points[i]);
    return err;
}

/* Where a device stands in the file, and what has been found out about it. */
struct job {
    struct config_loader *l;
    struct config_device *d;
    const struct yaml_node *map;
    const struct config_at *at;
    const struct config_bus *bus;         /* NULL: not known */
    const struct config_profile *profile; /* NULL: none */
};

static void find_bus(struct job *j)
{
    const struct config *c = j->l->config;
    const struct yaml_node *node = yaml_doc_find(j->map, "bus");
    struct config_at at = {.up = j->at, .key = "bus"};
    if (!node || node->kind != YAML_SCALAR || config_name_check(node->text, NULL) < 0)
        return;
    struct config_near near;
    config_near_begin(&near, node->text);
    for (size_t i = 0; i < c->bus_count; i++) {
        if (!c->buses[i].name)
            continue;
        if (strcmp(c->buses[i].name, node->text) == 0) {
            j->d->bus = i;
            j->bus = &c->buses[i];
            return;
        }
        config_near_try(&near, c->buses[i].name);
    }
    if (near.best)
        config_error(&j->l->file, node, &at, _("there is no bus \"%s\"; did you mean \"%s\"?"), node->text,
                     near.best);
    else
        config_error(&j->l->file, node, &at, _("there is no bus \"%s\"; add it under buses:"), node->text);
}

static void check_own_names(const struct job *j)
{
    for (size_t i = 0; i < j->d->point_count; i++)
        for (size_t k = 0; k < j->profile->point_count; k++) {
            const struct yaml_node *map = config_item(j->map, "points", i);
            if (!j->d->points[i].name || strcmp(j->d->points[i].name, j->profile->points[k].name) != 0)
                continue;
            struct config_at list = {.up = j->at, .key = "points"}, entry = {.up = &list, .index = i};
            config_error(&j->l->file, config_place(map, "name"), &entry,
                         _("\"%s\" is already a point of the profile %s; give it another name"),
                         j->d->points[i].name, j->d->profile);
        }
}

/* The increment of a counter on one side, a point of that name on the other. */
static void check_increment_names(const struct job *j)
{
    const struct point *theirs = j->profile->points;
    size_t count = j->profile->point_count;
    for (size_t i = 0; i < j->d->point_count; i++) {
        const struct point *own = &j->d->points[i], *counter = NULL, *clash = NULL;
        struct config_at list = {.up = j->at, .key = "points"}, entry = {.up = &list, .index = i};
        if (own->name)
            counter = config_counter_of(theirs, count, own->name);
        for (size_t k = 0; k < count && !counter; k++)
            if (config_counter_of(own, 1, theirs[k].name))
                clash = &theirs[k];
        if (counter || clash)
            config_error(&j->l->file, config_place(config_item(j->map, "points", i), "name"), &entry,
                         _("\"%s\" is both a point and what the increment of the counter %s is called "
                           "(profile %s); give it another name"),
                         counter ? own->name : clash->name, counter ? counter->name : own->name,
                         j->d->profile);
    }
}

static void check_interval(const struct job *j, int64_t every_ms, const struct yaml_node *place,
                           const struct config_at *at)
{
    struct buf least = BUF_INIT;
    config_value_show(&(struct config_key){.kind = CONFIG_DURATION, .width = sizeof(int64_t)},
                      &j->profile->min_every_ms, &least);
    if (every_ms < j->profile->min_every_ms && buf_ok(&least))
        config_warning(&j->l->file, place, at,
                       _("the sensor (%s) has nothing new within %s; write %s or longer"), j->d->profile,
                       least.data, least.data);
    buf_fini(&least);
}

static void check_point_intervals(const struct job *j)
{
    struct config_at list = {.up = j->at, .key = "points"};
    for (size_t i = 0; i < j->d->point_count; i++) {
        struct config_at entry = {.up = &list, .index = i}, every = {.up = &entry, .key = "every"};
        if (j->d->points[i].every_ms > 0)
            check_interval(j, j->d->points[i].every_ms,
                           config_place(config_item(j->map, "points", i), "every"), &every);
    }
}

static int take_profile(struct job *j)
{
    struct config_at at = {.up = j->at, .key = "profile"}, every = {.up = j->at, .key = "every"};
    if (!j->d->profile)
        return 0;
    int err = config_use_profile(j->l, j->d->profile, config_place(j->map, "profile"), &at, &j->profile);
    if (err < 0)
        return err == FG_ENOMEM ? err : 0;
    j->d->max_registers = j->profile->max_registers;
    j->d->max_hole = j->profile->max_hole;
    check_own_names(j);
    check_increment_names(j);
    check_interval(j, j->d->every_ms, config_place(j->map, "every"), &every);
    check_point_intervals(j);
    if (!j->d->report.given && j->d->aggregate_ms == 0) {
        j->d->report = j->profile->report;
        j->d->aggregate_ms = j->profile->aggregate_ms;
    }
    return add_profile_points(j->d, j->profile);
}

static void check_line(const struct job *j, bool baud_given, bool format_given)
{
    const struct modbus_line *factory = &j->profile->line, *line = &j->d->line;
    bool baud = !baud_given && factory->baud > 0 && factory->baud != line->baud;
    bool format = !format_given && factory->format[0] && strcmp(factory->format, line->format) != 0;
    if (!baud && !format)
        return;
    int factory_baud = factory->baud > 0 ? factory->baud : line->baud;
    const char *factory_format = factory->format[0] ? factory->format : line->format;
    config_warning(
        &j->l->file, config_place(j->map, "profile"), &(struct config_at){.up = j->at, .key = "profile"},
        _("%s leaves the factory with %d %s and is read with %d %s here; set the sensor to that, or write "
          "line: {baud: %d, format: %s}"),
        j->d->profile, factory_baud, factory_format, line->baud, line->format, factory_baud, factory_format);
}

/* A profile's factory line is never applied: the bus is what the technician set the port and the sensors to.
 */
static void take_line(const struct job *j)
{
    struct config_device *d = j->d;
    bool baud_given = d->line.baud > 0, format_given = d->line.format[0] != '\0';
    if (!baud_given)
        d->line.baud = j->bus->line.baud;
    if (!format_given)
        memcpy(d->line.format, j->bus->line.format, sizeof(d->line.format));
    if (j->bus->protocol == MODBUS_RTU && j->profile)
        check_line(j, baud_given, format_given);
}

static void take_times(const struct job *j)
{
    struct config_device *d = j->d;
    if (!yaml_doc_find(j->map, "timeout"))
        d->timeout_ms = j->bus->timeout_ms;
    if (yaml_doc_find(j->map, "gap"))
        return;
    d->gap_ms = j->bus->gap_ms;
    if (j->profile && j->profile->pause_ms > d->gap_ms)
        d->gap_ms = j->profile->pause_ms;
}

static void check_unit(const struct job *j)
{
    struct config_at at = {.up = j->at, .key = "unit"};
    const struct yaml_node *node = yaml_doc_find(j->map, "unit");
    if (!node || node->kind != YAML_SCALAR || j->bus->protocol == MODBUS_TCP)
        return;
    int64_t written;
    if (config_int_parse(node->text, &written, NULL, NULL) < 0)
        return;
    if (written == 0)
        config_error(&j->l->file, node, &at, _("0 speaks to all devices and none answers; write 1 to 247"));
    else if (written > 247 && written <= 255)
        config_error(
            &j->l->file, node, &at,
            _("%d is reserved on a serial line; give the device an address from 1 to 247 and write that"),
            j->d->unit);
}

static int complete(struct job *j)
{
    struct config_device *d = j->d;
    d->own_points = d->point_count > 0;
    config_points_finish(&j->l->file, j->at, j->map, d->points, d->point_count);
    config_rule_finish(&j->l->file, j->at, j->map, NULL, &d->report, &d->aggregate_ms);
    if (!yaml_doc_find(j->map, "profile") && d->point_count == 0)
        config_error(&j->l->file, j->map, j->at, _("has nothing to read; write profile: MODEL or points:"));
    find_bus(j);
    int err = take_profile(j);
    if (err == 0)
        config_rule_check(&j->l->file, j->at, j->map, d);
    if (err < 0 || !j->bus)
        return err;
    int64_t ignored;
    size_t bus = d->bus;
    take_line(j);
    take_times(j);
    if (config_given_word(&config_bus_keys, config_item(j->l->root, "buses", bus), "protocol", &ignored) >
        0) {
        check_unit(j);
        config_check_protocol_keys(&j->l->file, j->at, &config_device_keys, j->map,
                                   config_protocol_bit((int)j->bus->protocol));
    }
    return 0;
}

int config_complete_devices(struct config_loader *l)
{
    struct config_at list = {.key = "devices"};
    int err = 0;
    for (size_t i = 0; i < l->config->device_count && err == 0; i++) {
        struct config_at at = {.up = &list, .index = i};
        struct job j = {
            .l = l, .d = &l->config->devices[i], .map = config_item(l->root, "devices", i), .at = &at};
        if (j.map->kind == YAML_MAP)
            err = complete(&j);
    }
    return err;
}
