/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_plan - joins points on adjoining registers into reads. Simpler than the poller's plan: nothing is
 * ever read across, because what lies between the points may not exist, and a probe is to show each
 * register's own answer.
 *
 * Threads    Pure.
 * Ownership  probe_plan_free() frees the arrays.
 * Errors     FG_ENOMEM.
 */
#ifndef FG_PROBE_PLAN_H
#define FG_PROBE_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "../drivers/point.h"

struct probe_block {
    enum point_register table;
    uint16_t address, count;
    size_t first, last; /* positions in order */
};

struct probe_plan {
    uint32_t *order; /* of the points */
    struct probe_block *blocks;
    size_t count;
};

/* max_registers 0: 125. */
int probe_plan(const struct point *points, size_t count, uint16_t max_registers, struct probe_plan *ret);
void probe_plan_free(struct probe_plan *p);

#endif
