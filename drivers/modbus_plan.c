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

/* A read that grows point by point from where it begins. */
struct growing {
    const struct modbus_plan_input *in;
    const struct modbus_plan_rules *rules;
    struct modbus_block block;
    uint32_t covered; /* up to here everything behind the beginning is declared, or was counted as a hole */
    uint32_t hole;    /* undeclared registers behind the block's end */
    bool closed;      /* nothing may be added that lies behind closed_at */
    uint16_t closed_at;
};

static uint32_t length_limit(const struct modbus_plan_rules *rules, enum point_register table)
{
    if (!is_bit_table(table))
        return rules->max_registers;
    uint32_t limit = rules->max_registers * 16u;
    return limit < MODBUS_BITS_MAX ? limit : MODBUS_BITS_MAX;
}

static struct growing begin_at(const struct modbus_plan_input *in, const struct modbus_plan_rules *rules,
                               size_t k)
{
    const struct point *p = &in->points[in->order[k]];
    return (struct growing){
        .in = in,
        .rules = rules,
        .block = {.table = p->table, .address = p->address, .count = point_width(p), .first = k, .last = k},
        .covered = end_of(p)};
}

static void cover(struct growing *g, const struct point *p)
{
    if (p->address > g->covered)
        g->hole += p->address - g->covered;
    if (end_of(p) > g->covered)
        g->covered = end_of(p);
}

/* A declared point that is not to be read: its registers are there. */
static void pass(struct growing *g, size_t k)
{
    const struct point *p = &g->in->points[g->in->order[k]];
    if (!g->in->apart[g->in->order[k]]) {
        cover(g, p);
    } else if (!g->closed) {
        g->closed = true;
        g->closed_at = p->address;
    }
}

/* Whether bridging to this address can pay at all: else a read that begins there is better in any plan. */
static bool pays(const struct growing *g, const struct point *next)
{
    uint32_t end = (uint32_t)g->block.address + g->block.count;
    if (next->address <= end)
        return true;
    struct modbus_cost data_only = {.byte_ns = g->rules->cost.byte_ns};
    /* Eight bits may share a byte with what is read anyway. */
    uint32_t crossed = next->address - end;
    if (is_bit_table(next->table))
        crossed -= crossed < 7 ? crossed : 7;
    return modbus_cost_read_us(&data_only, next->table, crossed) <= g->rules->cost.request_us + 1;
}

/* Adds the selected point in position k; false when it, and so any later one, cannot be in this read. */
static bool grow(struct growing *g, size_t k)
{
    uint32_t index = g->in->order[k];
    const struct point *next = &g->in->points[index], *first = &g->in->points[g->in->order[g->block.first]];
    if (next->table != g->block.table || g->in->apart[index] || g->in->apart[g->in->order[g->block.first]])
        return false;
    if (g->rules->singly && (next->address != first->address || point_width(next) != point_width(first)))
        return false;
    if ((g->closed && next->address > g->closed_at) || !pays(g, next))
        return false;
    uint32_t end = (uint32_t)g->block.address + g->block.count;
    uint32_t new_end = end_of(next) > end ? end_of(next) : end;
    cover(g, next);
    if (new_end - g->block.address > length_limit(g->rules, next->table) || g->hole > g->rules->max_hole)
        return false;
    g->block.count = (uint16_t)(new_end - g->block.address);
    g->block.crosses_hole |= g->hole > 0;
    g->block.last = k;
    g->hole = 0;
    return true;
}

/* Offers every read that begins with the point in position k to the places where it may end. `before`: the
 * position behind the last selected point before it. */
static void offer(const struct modbus_plan_input *in, const struct modbus_plan_rules *rules, size_t k,
                  size_t before, struct modbus_block *best)
{
    int64_t so_far_us = before > 0 ? best[before - 1].total_us : 0;
    struct growing g = begin_at(in, rules, k);
    for (size_t e = k; e < in->count; e++) {
        if (in->points[in->order[e]].table != g.block.table)
            return;
        if (!in->selected[in->order[e]]) {
            pass(&g, e);
            continue;
        }
        if (e > k && !grow(&g, e))
            return;
        int64_t total_us = so_far_us + modbus_cost_read_us(&rules->cost, g.block.table, g.block.count);
        if (best[e].total_us >= 0 && best[e].total_us <= total_us)
            continue;
        best[e] = g.block;
        best[e].total_us = total_us;
        best[e].before = before;
    }
}

/* Follows the cheapest way back from the end, and moves its blocks to the front. */
static size_t collect(struct modbus_block *best, size_t end)
{
    size_t count = 0, next = 0;
    for (size_t at = end; at > 0;) { /* turn the links round */
        size_t before = best[at - 1].before;
        best[at - 1].before = next;
        next = at;
        at = before;
    }
    for (size_t at = next; at > 0; count++) {
        size_t follower = best[at - 1].before;
        best[count] = best[at - 1];
        at = follower;
    }
    return count;
}

size_t modbus_plan(const struct modbus_plan_input *in, const struct modbus_plan_rules *rules,
                   struct modbus_block *ret)
{
    size_t end = 0;
    for (size_t k = 0; k < in->count; k++)
        ret[k].total_us = -1;
    for (size_t k = 0; k < in->count; k++) {
        if (!in->selected[in->order[k]])
            continue;
        offer(in, rules, k, end, ret);
        end = k + 1;
    }
    return collect(ret, end);
}
