/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_counter - what a point needs that is marked `counter`, and the points that are made of counters.
 *
 * Threads    One thread builds; config_derived() is a pure function of a finished device.
 * Ownership  Units are lent by the device.
 * Errors     None; what is wrong becomes a problem.
 */
#ifndef FG_CONFIG_COUNTER_H
#define FG_CONFIG_COUNTER_H

#include "config_problem.h"

/* What follows a device's own points, in its layout and in its samples: <counter>_increment. */
struct config_derived {
    size_t point; /* the counter it is made of */
    char name[64];
    const char *unit; /* NULL: none */
};
/* The index-th of a device; false when it has no more. */
bool config_derived(const struct config_device *d, size_t index, struct config_derived *ret);

/* Checks a number point of this map, and finds out where its counter wraps when nobody said so. */
void config_counter_finish(const struct config_file *f, const struct config_at *at,
                           const struct yaml_node *map, struct point *p);
/* The counter among these points whose increment has this name; NULL when the name is free. */
const struct point *config_counter_of(const struct point *points, size_t count, const char *name);

#endif
