/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_point - what a table cannot say about points: which keys go together, and what follows from what.
 *
 * Threads    One thread.
 * Ownership  Nothing is kept.
 * Errors     None; what is wrong becomes a problem.
 */
#ifndef FG_CONFIG_POINT_H
#define FG_CONFIG_POINT_H

#include "config_problem.h"

/* Completes and checks points that config_parse_map() has filled from the list under `points` of this map. */
void config_points_finish(const struct config_file *f, const struct config_at *at,
                          const struct yaml_node *map, struct point *points, size_t count);

#endif
