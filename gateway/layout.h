/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout - the map of devices and points that was in force when a sample was taken, read from its stored
 * text.
 *
 * Threads    A layout is read-only after layout_parse(); any thread may read it.
 * Ownership  layout_free() frees everything; names are lent.
 * Errors     layout_parse(): FG_EINVALID or FG_ENOMEM.
 *
 * The text (built by config_layout(), stored by the store, published in the birth message) is a JSON object:
 *   {"models":{"cwt-soil-npk-s":{"points":[{"name":"soil_moisture","type":"number","unit":"%","min":0,"max":100},
 *                                          {"name":"running","type":"bool"}]},
 *              "gauge":{"points":[{"name":"rain","type":"number","unit":"mm","counter":true,"scale":0.1,"wrap":6553.6},
 *                                 {"name":"rain_increment","type":"number","unit":"mm","increment_of":"rain"}]}},
 *    "devices":[{"name":"soil-a1","model":"cwt-soil-npk-s","every_ms":60000,"labels":{"plot":"A1"}}]}
 * Device indexes in samples are positions in "devices"; reading indexes are positions in the model's
 * "points".
 */
#ifndef FG_LAYOUT_H
#define FG_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

struct layout;

int layout_parse(const char *text, size_t len, struct layout **ret);
void layout_free(struct layout *l);
size_t layout_device_count(const struct layout *l);
/* NULL when there is no such device or point. */
const char *layout_device_name(const struct layout *l, size_t device);
size_t layout_point_count(const struct layout *l, size_t device);
const char *layout_point_name(const struct layout *l, size_t device, size_t point);
/* NULL also when the point has no unit. */
const char *layout_point_unit(const struct layout *l, size_t device, size_t point);
/* Whether the point is the same counter of the same device in both: its numbers can be compared. */
bool layout_same_counter(const struct layout *a, size_t device_a, size_t point_a, const struct layout *b,
                         size_t device_b, size_t point_b);

#endif
