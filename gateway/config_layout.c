/* SPDX-License-Identifier: Apache-2.0 */
/* The layout text of a configuration: see layout.h. */
#include <string.h>

#include "config_counter.h"
#include "config_rule.h"

static void add_decimal(struct buf *out, const char *key, struct decimal value)
{
    char text[DECIMAL_TEXT_MAX];
    buf_add_key(out, key);
    buf_add(out, text, decimal_format(value, text));
}

static void add_point(struct buf *out, const struct point *p)
{
    buf_adds(out, "{");
    buf_member_text(out, "name", p->name);
    buf_member_text(out, "type", p->type == POINT_BOOL ? "bool" : "number");
    if (p->unit)
        buf_member_text(out, "unit", p->unit);
    if (p->has_min)
        add_decimal(out, "min", p->min);
    if (p->has_max)
        add_decimal(out, "max", p->max);
    if (p->counter) {
        buf_adds(out, ",\"counter\":true");
        add_decimal(out, "scale", p->scale);
    }
    if (p->counter && p->has_wrap)
        add_decimal(out, "wrap", p->wrap);
    config_rule_layout(&p->report, p->aggregate_ms, out);
    buf_adds(out, "}");
}

static void add_derived(struct buf *out, const struct config_device *d)
{
    struct config_derived made;
    for (size_t i = 0; config_derived(d, i, &made); i++) {
        buf_adds(out, ",{");
        buf_member_text(out, "name", made.name);
        buf_adds(out, ",\"type\":\"number\"");
        if (made.unit)
            buf_member_text(out, "unit", made.unit);
        buf_member_text(out, "increment_of", d->points[made.point].name);
        buf_adds(out, "}");
    }
}

/* Devices with points of their own cannot share their profile's model. */
static void add_model_name(struct buf *out, const struct config_device *d)
{
    struct buf name = BUF_INIT;
    if (d->own_points)
        buf_addf(&name, "own:%s", d->name);
    else
        buf_adds(&name, d->profile);
    if (buf_ok(&name))
        buf_add_json(out, name.data);
    else
        out->failed = true;
    buf_fini(&name);
}

/* Whether an earlier enabled device has brought the same model. */
static bool is_known(const struct config *c, size_t device)
{
    const struct config_device *d = &c->devices[device];
    for (size_t i = 0; i < device && !d->own_points; i++)
        if (c->devices[i].enabled && !c->devices[i].own_points &&
            strcmp(c->devices[i].profile, d->profile) == 0)
            return true;
    return false;
}

static void add_model(struct buf *out, const struct config_device *d)
{
    if (out->len > 0 && out->data[out->len - 1] != '{')
        buf_addc(out, ',');
    add_model_name(out, d);
    buf_adds(out, ":{\"points\":[");
    for (size_t i = 0; i < d->point_count; i++) {
        buf_adds(out, i > 0 ? "," : "");
        add_point(out, &d->points[i]);
    }
    add_derived(out, d);
    buf_adds(out, "]}");
}

static void add_device(struct buf *out, const struct config_device *d)
{
    buf_adds(out, "{");
    buf_member_text(out, "name", d->name);
    buf_add_key(out, "model");
    add_model_name(out, d);
    buf_member_int(out, "every_ms", d->every_ms);
    config_rule_layout(&d->report, d->aggregate_ms, out);
    if (d->labels.count > 0) {
        buf_add_key(out, "labels");
        buf_adds(out, "{");
        for (size_t i = 0; i < d->labels.count; i++)
            buf_member_text(out, d->labels.items[i].name, d->labels.items[i].value);
        buf_adds(out, "}");
    }
    buf_adds(out, "}");
}

void config_layout(const struct config *c, struct buf *out)
{
    buf_adds(out, "{\"models\":{");
    for (size_t i = 0; i < c->device_count; i++)
        if (c->devices[i].enabled && !is_known(c, i))
            add_model(out, &c->devices[i]);
    buf_adds(out, "},\"devices\":[");
    bool first = true;
    for (size_t i = 0; i < c->device_count; i++) {
        if (!c->devices[i].enabled)
            continue;
        buf_adds(out, first ? "" : ",");
        first = false;
        add_device(out, &c->devices[i]);
    }
    buf_adds(out, "]}");
}
