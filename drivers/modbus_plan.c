/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_plan.h"

static bool is_bit_table(enum point_register table)
{
    return table == POINT_COIL || table == POINT_DISCRETE_INPUT;
}

static bool sorts_before(const struct point *a, const struct point *b)
{
    if (a->table != b->table)
        return a->table < b->table;
    if (a->address != b->address)
        return a->address < b->address;
    return point_width(a) < point_width(b);
}

void modbus_plan_sort(const struct point *points, size_t count, uint32_t *order)
{
    /* Insertion: maps are short and mostly written in order, and equal points keep theirs. */
    for (size_t i = 0; i < count; i++) {
        size_t k = i;
        for (; k > 0 && sorts_before(&points[i], &points[order[k - 1]]); k--)
            order[k] = order[k - 1];
        order[k] = (uint32_t)i;
    }
}

static uint32_t end_of(const struct point *p)
{
    return (uint32_t)p->address + point_width(p);
}

/* Walks the declared points between a block's end and the next wanted address: how many registers there are
 * undeclared, and whether a point kept apart is in the way. */
static uint32_t undeclared_between(const struct modbus_plan_input *in, const struct modbus_block *b,
                                   uint32_t end, const struct point *next, bool *ret_blocked)
{
    uint32_t covered = end, undeclared = 0;
    /* From the block's first point on, because an earlier wide point may reach into the gap. */
    for (size_t k = b->first; k < in->count; k++) {
        const struct point *p = &in->points[in->order[k]];
        if (p->table != next->table || p->address >= next->address)
            break;
        if (in->apart[in->order[k]]) {
            *ret_blocked |= end_of(p) > b->address;
            continue;
        }
        if (end_of(p) <= covered)
            continue;
        if (p->address > covered)
            undeclared += p->address - covered;
        covered = end_of(p);
    }
    if (next->address > covered)
        undeclared += next->address - covered;
    return undeclared;
}

static bool joins(const struct modbus_plan_input *in, const struct modbus_plan_rules *rules, uint32_t index,
                  struct modbus_block *b)
{
    const struct point *next = &in->points[index];
    const struct point *first = &in->points[in->order[b->first]];
    if (next->table != b->table || in->apart[index] || in->apart[in->order[b->first]])
        return false;
    if (rules->singly)
        return next->address == first->address && point_width(next) == point_width(first);
    uint32_t scale = is_bit_table(b->table) ? 16 : 1;
    uint32_t limit = rules->max_registers * scale;
    if (scale > 1 && limit > MODBUS_BITS_MAX)
        limit = MODBUS_BITS_MAX;
    uint32_t end = (uint32_t)b->address + b->count, new_end = end_of(next) > end ? end_of(next) : end;
    if (new_end - b->address > limit)
        return false;
    bool blocked = false;
    uint32_t undeclared = undeclared_between(in, b, end, next, &blocked);
    uint32_t crossed = next->address > end ? next->address - end : 0;
    uint32_t worth = rules->max_bridge * scale;
    if (blocked || undeclared > rules->max_hole || (crossed > worth && crossed > rules->max_hole))
        return false;
    b->count = (uint16_t)(new_end - b->address);
    b->crosses_hole |= undeclared > 0;
    return true;
}

size_t modbus_plan(const struct modbus_plan_input *in, const struct modbus_plan_rules *rules,
                   struct modbus_block *ret)
{
    size_t blocks = 0;
    for (size_t k = 0; k < in->count; k++) {
        uint32_t index = in->order[k];
        if (!in->selected[index])
            continue;
        if (blocks > 0 && joins(in, rules, index, &ret[blocks - 1])) {
            ret[blocks - 1].last = k;
            continue;
        }
        const struct point *p = &in->points[index];
        ret[blocks++] = (struct modbus_block){
            .table = p->table, .address = p->address, .count = point_width(p), .first = k, .last = k};
    }
    return blocks;
}
