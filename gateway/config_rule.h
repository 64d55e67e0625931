/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_rule - what `report` and `aggregate` come to: the one rule of each point, and whether it makes
 * sense.
 *
 * Threads    One thread builds; config_rule() is a pure function of a finished device.
 * Ownership  Values.
 * Errors     None; what is wrong becomes a problem.
 *
 * A point's own rule goes before its device's, and that before the profile's. A yes/no point cannot be
 * averaged: where its device aggregates, each of its changes is reported, and at least once a window.
 */
#ifndef FG_CONFIG_RULE_H
#define FG_CONFIG_RULE_H

#include "config_problem.h"

enum config_rule_kind { CONFIG_RULE_NONE, CONFIG_RULE_REPORT, CONFIG_RULE_AGGREGATE };

struct config_rule {
    enum config_rule_kind kind;
    struct decimal change; /* REPORT; 0: every other value */
    int64_t at_least_ms;   /* REPORT */
    int64_t window_ms;     /* AGGREGATE */
    int64_t every_ms;      /* how often the point is read */
};
struct config_rule config_rule(const struct config_device *d, size_t point);
/* Whether any point of the device has one. */
bool config_rule_any(const struct config_device *d);

/* Completes and checks what was written under `report` and `aggregate` of this map. p: the point they belong
 * to; NULL for a device's or profile's. */
void config_rule_finish(const struct config_file *f, const struct config_at *at, const struct yaml_node *map,
                        const struct point *p, struct point_report *report, int64_t *aggregate_ms);
/* Whether the rules of a complete device go with its intervals. map: where it stands. */
void config_rule_check(const struct config_file *f, const struct config_at *at, const struct yaml_node *map,
                       const struct config_device *d);
/* The members that state a written rule in the layout text, each behind a comma; nothing where there is none.
 */
void config_rule_layout(const struct point_report *report, int64_t aggregate_ms, struct buf *out);

#endif
