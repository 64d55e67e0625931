/* SPDX-License-Identifier: Apache-2.0 */
/* What is in effect, as YAML: see config.h. */
#include <string.h>

#include "config.h"
#include "config_tables.h"
#include "config_value.h"
#include "text.h"

struct writer {
    const struct config *config;
    struct buf *out;
    unsigned protocol; /* CONFIG_ON_* of the bus or device being written; 0: neither */
};

static void show_section(const struct writer *w, const struct config_section *section, const void *base,
                         int indent, bool entry);

static void begin_line(struct buf *out, int indent, bool *entry)
{
    buf_addf(out, "%*s%s", *entry ? indent - 2 : indent, "", *entry ? "- " : "");
    *entry = false;
}

/* A device's profile brings points that are not its own: told in a comment, because the profile says them. */
static void show_profile_points(const struct config_device *d, struct buf *out, int indent)
{
    buf_addf(out, "%*s# ", indent, "");
    buf_addf(out, _("points of the profile:"));
    for (size_t i = 0; i < d->profile_points; i++)
        buf_addf(out, "%s %s", i > 0 ? "," : "", d->points[i].name);
    buf_addc(out, '\n');
}

static unsigned protocol_of(const struct writer *w, const struct config_section *section, const void *item)
{
    if (section == &config_bus_keys)
        return config_protocol_bit((int)((const struct config_bus *)item)->protocol);
    if (section == &config_device_keys)
        return config_protocol_bit((int)w->config->buses[((const struct config_device *)item)->bus].protocol);
    return w->protocol;
}

static void show_list(const struct writer *w, const struct config_key *key, const void *base, size_t from,
                      int indent, bool *entry)
{
    const char *items = *(const char *const *)config_field_const(key, base);
    size_t count = config_count_get(key, base);
    if (from >= count)
        return;
    begin_line(w->out, indent, entry);
    buf_addf(w->out, "%s:\n", key->name);
    for (size_t i = from; i < count; i++) {
        const void *item = items + i * key->section->size;
        struct writer inner = *w;
        inner.protocol = protocol_of(w, key->section, item);
        show_section(&inner, key->section, item, indent + 4, true);
    }
}

static void show_key(const struct writer *w, const struct config_section *section,
                     const struct config_key *key, const void *base, int indent, bool *entry)
{
    const struct config_device *d = section == &config_device_keys ? base : NULL;
    if (key->kind == CONFIG_LIST) {
        if (d && d->profile_points > 0)
            show_profile_points(d, w->out, indent);
        show_list(w, key, base, d ? d->profile_points : 0, indent, entry);
        return;
    }
    begin_line(w->out, indent, entry);
    buf_addf(w->out, "%s:", key->name);
    if (key->kind == CONFIG_MAP) {
        buf_addc(w->out, '\n');
        show_section(w, key->section, config_field_const(key, base), indent + 2, false);
        return;
    }
    buf_addc(w->out, ' ');
    if (key->kind == CONFIG_BUS)
        buf_adds(w->out, w->config->buses[d->bus].name);
    else
        config_value_show(key, base, w->out);
    buf_addc(w->out, '\n');
}

/* A map in which nothing would stand is not written at all. */
static bool is_empty_map(const struct config_key *key, const void *base)
{
    if (key->kind != CONFIG_MAP)
        return false;
    for (size_t i = 0; i < key->section->key_count; i++)
        if (!config_value_absent(&key->section->keys[i], config_field_const(key, base)))
            return false;
    return true;
}

/* A point says scale and the like only where it is a number. */
static bool is_pointless(const struct config_section *section, const struct config_key *key, const void *base)
{
    if (section != &config_point_keys || ((const struct point *)base)->type != POINT_BOOL)
        return false;
    return strcmp(key->name, "scale") == 0 || strcmp(key->name, "offset") == 0 ||
           strcmp(key->name, "order") == 0;
}

static void show_section(const struct writer *w, const struct config_section *section, const void *base,
                         int indent, bool entry)
{
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        if (key->protocols != 0 && !(key->protocols & w->protocol))
            continue;
        if (key->kind != CONFIG_LIST &&
            (config_value_absent(key, base) || is_empty_map(key, base) || is_pointless(section, key, base)))
            continue;
        show_key(w, section, key, base, indent, &entry);
    }
}

void config_show(const struct config *c, struct buf *out)
{
    struct writer w = {.config = c, .out = out};
    show_section(&w, &config_root, c, 0, false);
}
