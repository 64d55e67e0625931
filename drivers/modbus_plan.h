/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_plan - joins the points of a device that are due into the reads that take the least time.
 *
 * Threads    Pure functions.
 * Ownership  The caller's arrays; nothing is allocated.
 * Errors     None: points wider than the limits are the caller's bug (modbus_driver_open() refuses them).
 *
 * The plan is made anew for every poll, because which points are due changes from poll to poll. A read never
 * crosses from one table into another and never cuts a point. Registers that no point declares are only read
 * across as far as max_hole allows: some devices answer an exception there, and some answer the *next*
 * request wrongly. Registers of points that are not due are known to exist. Whatever may be crossed is
 * crossed only where that costs less of the line's time than another request. A point kept apart is never
 * read together with or across.
 *
 * Among all ways to cut the sorted points into reads this finds the cheapest (and of equally cheap ones that
 * with the longest last read): a greedy walk does not, because a limit on the length makes a bridge taken
 * early cost a request later.
 */
#ifndef FG_MODBUS_PLAN_H
#define FG_MODBUS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modbus_cost.h"
#include "point.h"

#define MODBUS_REGISTERS_MAX 125
#define MODBUS_BITS_MAX 2000

struct modbus_plan_rules {
    uint16_t max_registers; /* per read, 1..125; of bits 16 times as many, at most 2000 */
    uint16_t max_hole;      /* undeclared registers or bits that a read may cross */
    bool singly;            /* join nothing but points on the very same registers */
    struct modbus_cost cost;
};

struct modbus_block {
    enum point_register table;
    uint16_t address, count;
    bool crosses_hole; /* undeclared registers are inside */
    size_t first,
        last;         /* positions in the sorted order; the selected points between them are in this block */
    int64_t total_us; /* what the plan up to this block takes */
    size_t before;    /* the planner's own */
};

/* Fills order with the positions 0..count-1 of the points sorted by table, address and width. */
void modbus_plan_sort(const struct point *points, size_t count, uint32_t *order);

struct modbus_plan_input {
    const struct point *points;
    const uint32_t *order; /* from modbus_plan_sort() */
    size_t count;
    const bool *selected; /* one per point: is to be read */
    const bool *apart;    /* one per point: is not to be read across, nor joined */
};

/* Writes the blocks in order of table and address and returns how many; ret has room for `count`. The last
 * block's total_us is what all of them take. */
size_t modbus_plan(const struct modbus_plan_input *in, const struct modbus_plan_rules *rules,
                   struct modbus_block *ret);

#endif
