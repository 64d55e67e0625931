/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_plan.h"

#include <stdlib.h>

#include "../drivers/modbus_plan.h"
#include "err.h"

static bool joins(const struct probe_block *b, const struct point *p, uint16_t max_registers)
{
    int most = p->table == POINT_COIL || p->table == POINT_DISCRETE_INPUT ? MODBUS_BITS_MAX : max_registers;
    int end = p->address + point_width(p);
    return b->table == p->table && p->address <= b->address + b->count && end - b->address <= most;
}

int probe_plan(const struct point *points, size_t count, uint16_t max_registers, struct probe_plan *ret)
{
    struct probe_plan plan = {.order = calloc(count + 1, sizeof *plan.order),
                              .blocks = calloc(count + 1, sizeof *plan.blocks)};
    if (!plan.order || !plan.blocks) {
        probe_plan_free(&plan);
        return FG_ENOMEM;
    }
    modbus_plan_sort(points, count, plan.order);
    for (size_t k = 0; k < count; k++) {
        const struct point *p = &points[plan.order[k]];
        struct probe_block *b = plan.count ? &plan.blocks[plan.count - 1] : NULL;
        if (b && joins(b, p, max_registers ? max_registers : MODBUS_REGISTERS_MAX)) {
            int end = p->address + point_width(p);
            if (end > b->address + b->count)
                b->count = (uint16_t)(end - b->address);
            b->last = k;
        } else {
            plan.blocks[plan.count++] = (struct probe_block){p->table, p->address, point_width(p), k, k};
        }
    }
    *ret = plan;
    return 0;
}

void probe_plan_free(struct probe_plan *p)
{
    free(p->order);
    free(p->blocks);
    *p = (struct probe_plan){0};
}
