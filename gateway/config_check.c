/* SPDX-License-Identifier: Apache-2.0 */
/* Buses, and devices among each other: see config_load.h. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config_load.h"
#include "config_number.h"
#include "text.h"

/* "a bus with protocol rtu", or several of them. */
static void list_protocols(unsigned protocols, struct buf *out)
{
    const struct config_word *words = config_key_find(&config_bus_keys, "protocol")->words;
    for (; words->word; words++)
        if (protocols & config_protocol_bit((int)words->value))
            buf_addf(out, "%s%s", out->len > 0 ? _(" or ") : "", words->word);
}

void config_check_protocol_keys(const struct config_file *f, const struct config_at *at,
                                const struct config_section *section, const struct yaml_node *map,
                                unsigned protocol)
{
    struct buf here = BUF_INIT;
    list_protocols(protocol, &here);
    for (size_t i = 0; i < section->key_count && buf_ok(&here); i++) {
        const struct config_key *key = &section->keys[i];
        const struct yaml_node *value = yaml_doc_find(map, key->name);
        struct config_at key_at = {.up = at, .key = key->name};
        struct buf there = BUF_INIT;
        list_protocols(key->protocols, &there);
        if (key->protocols != 0 && !(key->protocols & protocol) && value)
            config_error(f, value, &key_at, _("has no meaning with protocol: %s, only with %s; delete it"),
                         here.data, buf_ok(&there) ? there.data : "?");
        else if ((key->protocols & protocol) && key->required && !value)
            config_error(f, map, at, _("\"%s\" is missing, which protocol: %s needs: %s"), key->name,
                         here.data, _(key->text));
        buf_fini(&there);
    }
    buf_fini(&here);
}

void config_check_names(const struct config_loader *l, const char *list, const void *items, size_t count,
                        size_t size, size_t name)
{
    struct config_at list_at = {.key = list};
    for (size_t i = 1; i < count; i++)
        for (size_t k = 0; k < i; k++) {
            const char *mine = *(char *const *)((const char *)items + i * size + name);
            const char *other = *(char *const *)((const char *)items + k * size + name);
            if (!mine || !other || strcmp(mine, other) != 0)
                continue;
            struct config_at at = {.up = &list_at, .index = i}, name_at = {.up = &at, .key = "name"};
            config_error(&l->file, config_place(config_item(l->root, list, i), "name"), &name_at,
                         _("\"%s\" is already the name in line %d; give one of them another"), mine,
                         config_place(config_item(l->root, list, k), "name")->line);
            break;
        }
}

/* A by-id link and the ttyUSB it leads to are one port, as long as the adapters are plugged as they are. */
static bool same_device(const char *a, const char *b)
{
    char real_a[PATH_MAX], real_b[PATH_MAX];
    return realpath(a, real_a) && realpath(b, real_b) && strcmp(real_a, real_b) == 0;
}

/* Only the same text is an error: what a link leads to can change overnight, and then a configuration that
 * was good must not stop being loaded. */
static void check_other_port(const struct config_loader *l, const struct config_at *port, size_t i, size_t k)
{
    const struct config_bus *b = &l->config->buses[i], *other = &l->config->buses[k];
    const struct yaml_node *place = config_place(config_item(l->root, "buses", i), "port");
    int line = config_place(config_item(l->root, "buses", k), "port")->line;
    const char *name = other->name ? other->name : "?";
    if (!other->port || other->protocol != MODBUS_RTU)
        return;
    if (strcmp(b->port, other->port) == 0)
        config_error(
            &l->file, place, port,
            _("is the port of the bus %s in line %d too; devices on one port belong to one bus (they may "
              "differ in line:)"),
            name, line);
    else if (same_device(b->port, other->port))
        config_warning(
            &l->file, place, port,
            _("leads to the same adapter now as the port of the bus %s in line %d; correct one of them"),
            name, line);
}

static void check_port(const struct config_loader *l, const struct config_at *at, size_t i)
{
    const struct config_bus *b = &l->config->buses[i];
    const struct yaml_node *place = config_place(config_item(l->root, "buses", i), "port");
    struct config_at port = {.up = at, .key = "port"};
    if (!b->port || b->protocol != MODBUS_RTU)
        return;
    if (strncmp(b->port, "/dev/ttyUSB", 11) == 0 || strncmp(b->port, "/dev/ttyACM", 11) == 0)
        config_warning(&l->file, place, &port,
                       _("%s changes its number when adapters are plugged anew; write the path under "
                         "/dev/serial/by-id/ that leads to it (ls -l /dev/serial/by-id/)"),
                       b->port);
    for (size_t k = 0; k < i; k++)
        check_other_port(l, &port, i, k);
}

void config_check_buses(struct config_loader *l)
{
    const struct config *c = l->config;
    struct config_at list = {.key = "buses"};
    config_check_names(l, "buses", c->buses, c->bus_count, sizeof(*c->buses),
                       offsetof(struct config_bus, name));
    for (size_t i = 0; i < c->bus_count; i++) {
        const struct yaml_node *map = config_item(l->root, "buses", i);
        struct config_at at = {.up = &list, .index = i};
        int64_t protocol;
        if (config_given_word(&config_bus_keys, map, "protocol", &protocol) <= 0)
            continue;
        config_check_protocol_keys(&l->file, &at, &config_bus_keys, map, config_protocol_bit((int)protocol));
        check_port(l, &at, i);
    }
}

static const char *written_bus(const struct config_loader *l, size_t device)
{
    const struct yaml_node *node = yaml_doc_find(config_item(l->root, "devices", device), "bus");
    return node && node->kind == YAML_SCALAR ? node->text : "";
}

/* Not left out or wrong, which would leave 0 behind. */
static bool written_unit(const struct config_loader *l, size_t device)
{
    const struct yaml_node *node = yaml_doc_find(config_item(l->root, "devices", device), "unit");
    int64_t unit;
    return node && node->kind == YAML_SCALAR && config_int_parse(node->text, &unit, NULL, NULL) == 0 &&
           unit == l->config->devices[device].unit;
}

static bool collide(const struct config_loader *l, size_t a, size_t b)
{
    const struct config_device *d = l->config->devices;
    return d[a].enabled && d[b].enabled && d[a].unit == d[b].unit && written_unit(l, a) &&
           written_unit(l, b) && written_bus(l, a)[0] != '\0' &&
           strcmp(written_bus(l, a), written_bus(l, b)) == 0;
}

static void check_unit(const struct config_loader *l, size_t i)
{
    const struct config_device *d = l->config->devices;
    struct config_at list = {.key = "devices"}, at = {.up = &list, .index = i},
                     unit = {.up = &at, .key = "unit"};
    for (size_t k = 0; k < i; k++) {
        if (!collide(l, i, k))
            continue;
        config_error(&l->file, config_place(config_item(l->root, "devices", i), "unit"), &unit,
                     _("%d is also the unit of %s in line %d on the bus %s; both would answer at once. Give "
                       "one device "
                       "another address, or enabled: false"),
                     d[i].unit, d[k].name ? d[k].name : "?",
                     config_place(config_item(l->root, "devices", k), "unit")->line, written_bus(l, i));
        return;
    }
}

static void check_used(const struct config_loader *l, size_t bus)
{
    const struct config *c = l->config;
    struct config_at list = {.key = "buses"}, at = {.up = &list, .index = bus};
    if (!c->buses[bus].name)
        return;
    for (size_t i = 0; i < c->device_count; i++)
        if (strcmp(written_bus(l, i), c->buses[bus].name) == 0)
            return;
    config_warning(&l->file, config_item(l->root, "buses", bus), &at,
                   _("no device is on the bus %s; add one, or delete the bus"), c->buses[bus].name);
}

static bool any_enabled(const struct config *c)
{
    for (size_t i = 0; i < c->device_count; i++)
        if (c->devices[i].enabled)
            return true;
    return false;
}

void config_check_devices(struct config_loader *l)
{
    const struct config *c = l->config;
    config_check_names(l, "devices", c->devices, c->device_count, sizeof(*c->devices),
                       offsetof(struct config_device, name));
    for (size_t i = 0; i < c->device_count; i++)
        check_unit(l, i);
    for (size_t i = 0; i < c->bus_count; i++)
        check_used(l, i);
    if (c->device_count == 0)
        config_warning(&l->file, yaml_doc_find(l->root, "devices"), NULL,
                       _("there are no devices, so nothing is measured; add them under devices:"));
    else if (!any_enabled(c))
        config_warning(&l->file, yaml_doc_find(l->root, "devices"), NULL,
                       _("every device is switched off (enabled: false), so nothing is measured"));
}
