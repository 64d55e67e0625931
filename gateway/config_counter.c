/* SPDX-License-Identifier: Apache-2.0 */
#include "config_counter.h"

#include <stdio.h>
#include <string.h>

#include "config_parse.h"
#include "config_tables.h"
#include "text.h"

#define SUFFIX "_increment"
#define NAME_MAX_LEN 63 /* of any point */

bool config_derived(const struct config_device *d, size_t index, struct config_derived *ret)
{
    for (size_t i = 0; i < d->point_count; i++) {
        if (!d->points[i].counter || index-- > 0)
            continue;
        ret->point = i;
        ret->unit = d->points[i].unit;
        snprintf(ret->name, sizeof(ret->name), "%s" SUFFIX, d->points[i].name);
        return true;
    }
    return false;
}

const struct point *config_counter_of(const struct point *points, size_t count, const char *name)
{
    size_t len = strlen(name), suffix = strlen(SUFFIX);
    if (len <= suffix || strcmp(name + len - suffix, SUFFIX) != 0)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (points[i].counter && points[i].name && strlen(points[i].name) == len - suffix &&
            strncmp(points[i].name, name, len - suffix) == 0)
            return &points[i];
    return NULL;
}

/* Where an unsigned register jumps back to 0, as a value. Not told for other types (a float does not wrap, a
 * signed number jumps to below 0), nor for 64 bits, which no meter ever fills. */
static bool natural_wrap(const struct point *p, struct decimal *ret)
{
    int bits;
    if (p->has_bits)
        bits = p->bit_last - p->bit_first + 1;
    else if (p->type == POINT_UINT16)
        bits = 16;
    else if (p->type == POINT_UINT32)
        bits = 32;
    else
        return false;
    return decimal_multiply(decimal_from_uint(UINT64_C(1) << bits), p->scale, ret) == 0;
}

static void check_wrap(const struct config_file *f, const struct config_at *at, const struct yaml_node *map,
                       const struct point *p, const struct decimal *natural)
{
    struct config_at here = {.up = at, .key = "wrap"};
    char text[DECIMAL_TEXT_MAX];
    if (p->wrap.negative || p->wrap.magnitude == 0) {
        config_error(f, config_place(map, "wrap"), &here,
                     _("must be above 0: the value at which the counter starts again, like 6553.6"));
    } else if (natural && decimal_compare(p->wrap, *natural) > 0) {
        decimal_format(*natural, text);
        config_error(f, config_place(map, "wrap"), &here,
                     _("is never reached: with this type and scale the register itself wraps at %s"), text);
    }
}

static void check_counter(const struct config_file *f, const struct config_at *at,
                          const struct yaml_node *map, const struct point *p)
{
    struct config_at name = {.up = at, .key = "name"}, scale = {.up = at, .key = "scale"},
                     offset = {.up = at, .key = "offset"};
    if (p->name && strlen(p->name) > NAME_MAX_LEN - strlen(SUFFIX))
        config_error(f, config_place(map, "name"), &name,
                     _("is too long for a counter: with _increment behind it, 63 characters are possible"));
    if (p->scale.negative)
        config_error(f, config_place(map, "scale"), &scale,
                     _("is negative, so the counter would count down; write it positive, or delete counter"));
    if (p->offset.magnitude != 0)
        config_error(f, config_place(map, "offset"), &offset,
                     _("has no meaning for a counter, which begins at 0; delete one of the two"));
}

void config_counter_finish(const struct config_file *f, const struct config_at *at,
                           const struct yaml_node *map, struct point *p)
{
    struct config_at here = {.up = at, .key = "wrap"};
    struct decimal natural;
    if (!p->counter) {
        if (p->has_wrap)
            config_error(f, config_place(map, "wrap"), &here,
                         _("has no meaning without counter: true; add it, or delete wrap"));
        return;
    }
    check_counter(f, at, map, p);
    bool known = natural_wrap(p, &natural);
    if (p->has_wrap)
        check_wrap(f, at, map, p, known ? &natural : NULL);
    else if (known)
        p->wrap = natural;
    p->has_wrap = p->has_wrap || known;
}
