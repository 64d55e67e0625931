/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../drivers/modbus_plan.h"

#define POINTS 60
#define SEED 4711u

static const bool yes[POINTS] = {[0 ... POINTS - 1] = true};
static const bool no[POINTS];

static struct point holding(uint16_t address, enum point_type type)
{
    return (struct point){.table = POINT_HOLDING, .address = address, .type = type};
}

/* 9600 baud, and a device that answers at once: a request is worth ten registers. */
static struct modbus_cost slow_line(int64_t latency_us)
{
    static const struct modbus_line line = {9600, "8N1"};
    return modbus_cost_of(MODBUS_RTU, &line, 0, latency_us);
}

static size_t plan(const struct point *points, size_t count, const bool *selected, const bool *apart,
                   struct modbus_plan_rules rules, struct modbus_block *ret)
{
    uint32_t order[POINTS];
    if (!rules.max_registers)
        rules.max_registers = MODBUS_REGISTERS_MAX;
    if (!rules.cost.request_us)
        rules.cost = slow_line(0);
    modbus_plan_sort(points, count, order);
    struct modbus_plan_input in = {points, order, count, selected, apart};
    return modbus_plan(&in, &rules, ret);
}

static void assert_block(const struct modbus_block *b, enum point_register table, int address, int count)
{
    assert_int_equal(b->table, table);
    assert_int_equal(b->address, address);
    assert_int_equal(b->count, count);
}

static void neighbours_are_read_together_and_holes_are_not_crossed(void **state)
{
    (void)state;
    struct point points[] = {holding(4, POINT_UINT16), holding(0, POINT_UINT16), holding(1, POINT_FLOAT32),
                             holding(1, POINT_UINT16)};
    struct modbus_block b[POINTS];
    assert_int_equal(plan(points, 4, yes, no, (struct modbus_plan_rules){0}, b), 2);
    assert_block(&b[0], POINT_HOLDING, 0, 3);
    assert_block(&b[1], POINT_HOLDING, 4, 1);
    assert_false(b[0].crosses_hole);
}

static void a_hole_is_crossed_where_the_device_allows_it(void **state)
{
    (void)state;
    struct point points[] = {holding(0, POINT_UINT16), holding(3, POINT_UINT16)};
    struct modbus_block b[POINTS];
    assert_int_equal(plan(points, 2, yes, no, (struct modbus_plan_rules){.max_hole = 1}, b), 2);
    assert_int_equal(plan(points, 2, yes, no, (struct modbus_plan_rules){.max_hole = 2}, b), 1);
    assert_block(&b[0], POINT_HOLDING, 0, 4);
    assert_true(b[0].crosses_hole);
}

static void registers_that_are_not_due_are_crossed_where_that_is_cheaper(void **state)
{
    (void)state;
    struct point points[12];
    bool due[12] = {true, [11] = true};
    for (uint16_t i = 0; i < 12; i++)
        points[i] = holding(i, POINT_UINT16);
    struct modbus_block b[POINTS];
    assert_int_equal(plan(points, 12, due, no, (struct modbus_plan_rules){0}, b), 1);
    assert_block(&b[0], POINT_HOLDING, 0, 12);
    assert_false(b[0].crosses_hole);
    points[11].address = 12; /* an undeclared register at 11 */
    assert_int_equal(plan(points, 12, due, no, (struct modbus_plan_rules){.max_hole = 1}, b), 2);
    /* A device that takes 20 ms to answer makes a request worth twenty registers. */
    struct modbus_plan_rules slow = {.max_hole = 1, .cost = slow_line(20000)};
    assert_int_equal(plan(points, 12, due, no, slow, b), 1);
    assert_true(b[0].crosses_hole);
}

static void a_wide_point_sorted_before_the_block_opens_no_hole(void **state)
{
    (void)state;
    struct point points[] = {holding(0, POINT_UINT64), holding(1, POINT_UINT16), holding(4, POINT_UINT16)};
    bool due[] = {false, true, true};
    struct modbus_block b[POINTS];
    /* Registers 2 and 3 belong to the point at 0; sorted before the block, it is not seen: two reads, never a
     * read across something undeclared. */
    size_t n = plan(points, 3, due, no, (struct modbus_plan_rules){0}, b);
    assert_int_equal(n, 2);
}

static void tables_are_never_mixed(void **state)
{
    (void)state;
    struct point points[] = {holding(0, POINT_UINT16),
                             {.table = POINT_INPUT, .address = 1, .type = POINT_UINT16},
                             {.table = POINT_COIL, .address = 0},
                             {.table = POINT_DISCRETE_INPUT, .address = 1}};
    struct modbus_block b[POINTS];
    assert_int_equal(plan(points, 4, yes, no, (struct modbus_plan_rules){.max_hole = 100}, b), 4);
}

static void a_point_kept_apart_is_neither_joined_nor_crossed(void **state)
{
    (void)state;
    struct point points[] = {holding(0, POINT_UINT16), holding(1, POINT_UINT16), holding(2, POINT_UINT16)};
    bool apart[] = {false, true, false}, due[] = {true, false, true};
    struct modbus_block b[POINTS];
    struct modbus_plan_rules rules = {.max_hole = 10};
    assert_int_equal(plan(points, 3, yes, apart, rules, b), 3);
    assert_int_equal(plan(points, 3, due, apart, rules, b), 2);
}

static void singly_only_the_very_same_registers_are_joined(void **state)
{
    (void)state;
    struct point points[] = {holding(0, POINT_UINT16), holding(0, POINT_BOOL), holding(0, POINT_UINT32),
                             holding(1, POINT_UINT16)};
    struct modbus_block b[POINTS];
    assert_int_equal(plan(points, 4, yes, no, (struct modbus_plan_rules){.singly = true}, b), 3);
    assert_block(&b[0], POINT_HOLDING, 0, 1);
    assert_block(&b[1], POINT_HOLDING, 0, 2);
    assert_block(&b[2], POINT_HOLDING, 1, 1);
}

static void a_full_map_takes_as_few_reads_as_possible(void **state)
{
    (void)state;
    struct point points[POINTS];
    for (size_t i = 0; i < POINTS; i++)
        points[i] = holding((uint16_t)(i * 2), POINT_FLOAT32);
    struct modbus_block b[POINTS];
    assert_int_equal(plan(points, POINTS, yes, no, (struct modbus_plan_rules){0}, b), 1);
    assert_int_equal(plan(points, POINTS, yes, no, (struct modbus_plan_rules){.max_registers = 31}, b), 4);
    assert_block(&b[0], POINT_HOLDING, 0, 30);
}

static void the_last_register_can_be_read(void **state)
{
    (void)state;
    struct point points[] = {holding(65534, POINT_UINT16), holding(65535, POINT_UINT16)};
    struct modbus_block b[POINTS];
    assert_int_equal(plan(points, 2, yes, no, (struct modbus_plan_rules){0}, b), 1);
    assert_block(&b[0], POINT_HOLDING, 65534, 2);
}

/* ---- random maps against the promises, stated register by register ---- */

struct map {
    struct point points[POINTS];
    size_t count;
    bool due[POINTS], apart[POINTS];
    struct modbus_plan_rules rules;
    uint8_t declared[4][256], refused[4][256];
};

static unsigned roll(uint32_t *random, unsigned sides)
{
    *random = *random * 1664525u + 1013904223u;
    return (*random >> 12) % sides;
}

static void make_map(struct map *m, uint32_t *random)
{
    memset(m, 0, sizeof *m);
    m->count = 1 + roll(random, POINTS);
    m->rules.max_registers = (uint16_t)(4 + roll(random, 30));
    m->rules.max_hole = (uint16_t)(roll(random, 3) ? 0 : roll(random, 8));
    m->rules.cost = slow_line(roll(random, 40000));
    for (size_t i = 0; i < m->count; i++) {
        struct point *p = &m->points[i];
        p->table = (enum point_register)roll(random, 4);
        p->address = (uint16_t)roll(random, 100);
        p->type =
            p->table <= POINT_DISCRETE_INPUT ? POINT_BOOL : (enum point_type)roll(random, POINT_FLOAT64 + 1);
        m->due[i] = roll(random, 3) != 0;
        m->apart[i] = roll(random, 12) == 0;
        for (uint16_t k = 0; k < point_width(p); k++)
            (m->apart[i] ? m->refused : m->declared)[p->table][p->address + k] = 1;
    }
}

static void check_block(const struct map *m, const struct modbus_block *b, const uint32_t *order)
{
    bool bits = b->table <= POINT_DISCRETE_INPUT;
    uint32_t limit = m->rules.max_registers * (bits ? 16u : 1u);
    assert_true(b->count >= 1 && b->count <= (limit > 4 ? limit : 4));
    bool is_apart = m->apart[order[b->first]];
    unsigned hole = 0;
    for (uint32_t a = b->address; a < (uint32_t)b->address + b->count; a++) {
        hole = m->declared[b->table][a] || is_apart ? 0 : hole + 1;
        assert_true(hole <= m->rules.max_hole);
    }
    for (size_t k = b->first; is_apart && k <= b->last; k++)
        assert_int_equal(b->first, b->last);
}

static void random_maps_are_read_whole_within_limits_and_nothing_undeclared(void **state)
{
    (void)state;
    print_message("seed %u\n", SEED);
    uint32_t random = SEED, order[POINTS];
    struct map m;
    for (int round = 0; round < 3000; round++) {
        make_map(&m, &random);
        struct modbus_block b[POINTS];
        size_t n = plan(m.points, m.count, m.due, m.apart, m.rules, b), seen = 0, due = 0;
        modbus_plan_sort(m.points, m.count, order);
        for (size_t i = 0; i < n; i++) {
            check_block(&m, &b[i], order);
            assert_true(i == 0 || b[i].first > b[i - 1].last);
            for (size_t k = b[i].first; k <= b[i].last; k++) {
                const struct point *p = &m.points[order[k]];
                if (!m.due[order[k]])
                    continue;
                seen++; /* whole, in one block */
                assert_int_equal(p->table, b[i].table);
                assert_true(p->address >= b[i].address);
                assert_true(p->address + point_width(p) <= b[i].address + b[i].count);
            }
        }
        for (size_t i = 0; i < m.count; i++)
            due += m.due[i];
        assert_int_equal(seen, due);
    }
}

static int64_t cost_of(const struct map *m, const struct modbus_block *b, size_t count)
{
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += modbus_cost_read_us(&m->rules.cost, b[i].table, b[i].count);
    return sum;
}

/* One request for every point that is due. */
static int64_t naive_cost(const struct map *m)
{
    int64_t sum = 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->due[i])
            sum += modbus_cost_read_us(&m->rules.cost, m->points[i].table, point_width(&m->points[i]));
    return sum;
}

/* Neighbours joined as long as they fit, nothing between them. */
static int64_t neighbours_cost(const struct map *m, const uint32_t *order)
{
    struct modbus_block joined[POINTS];
    size_t n = 0;
    bool closed = true;
    for (size_t k = 0; k < m->count; k++) {
        const struct point *p = &m->points[order[k]];
        if (!m->due[order[k]])
            continue;
        struct modbus_block *b = n > 0 ? &joined[n - 1] : NULL;
        uint32_t end = (uint32_t)p->address + point_width(p);
        uint32_t limit = m->rules.max_registers * (p->table <= POINT_DISCRETE_INPUT ? 16u : 1u);
        if (!closed && !m->apart[order[k]] && b->table == p->table && p->address <= b->address + b->count &&
            end - b->address <= limit) {
            if (end > (uint32_t)b->address + b->count)
                b->count = (uint16_t)(end - b->address);
            continue;
        }
        joined[n++] =
            (struct modbus_block){.table = p->table, .address = p->address, .count = point_width(p)};
        closed = m->apart[order[k]];
    }
    return cost_of(m, joined, n);
}

static void no_plan_takes_longer_than_point_by_point_or_than_neighbours_only(void **state)
{
    (void)state;
    print_message("seed %u\n", SEED + 1);
    uint32_t random = SEED + 1, order[POINTS];
    struct map m;
    size_t cheaper = 0;
    for (int round = 0; round < 3000; round++) {
        make_map(&m, &random);
        /* Where a point kept apart lies across others, joining them by address alone would read it. */
        if (round % 2)
            memset(m.apart, 0, sizeof m.apart);
        struct modbus_block b[POINTS];
        size_t n = plan(m.points, m.count, m.due, m.apart, m.rules, b);
        modbus_plan_sort(m.points, m.count, order);
        int64_t cost = cost_of(&m, b, n);
        assert_int_equal(cost, n > 0 ? b[n - 1].total_us : 0);
        assert_true(cost <= naive_cost(&m));
        if (round % 2)
            assert_true(cost <= neighbours_cost(&m, order));
        cheaper += round % 2 && cost < neighbours_cost(&m, order);
    }
    assert_true(cheaper > 300);
}

/* Every way to cut the due points into reads, by the bits of `cuts`; -1 when a read is not allowed. */
static int64_t cost_of_cuts(const struct map *m, const uint32_t *sorted, size_t n, unsigned cuts)
{
    int64_t sum = 0;
    uint32_t from = 0, end = 0;
    for (size_t i = 0; i < n; i++) {
        const struct point *p = &m->points[sorted[i]];
        uint32_t p_end = (uint32_t)p->address + point_width(p);
        if (i == 0 || (cuts >> (i - 1) & 1)) {
            from = p->address;
            end = p_end;
        } else {
            uint32_t undeclared = 0;
            for (uint32_t a = end; a < p->address; a++)
                undeclared += !m->declared[p->table][a];
            if (undeclared > m->rules.max_hole)
                return -1;
            end = p_end > end ? p_end : end;
        }
        if (end - from > m->rules.max_registers)
            return -1;
        if (i + 1 == n || (cuts >> i & 1))
            sum += modbus_cost_read_us(&m->rules.cost, p->table, end - from);
    }
    return sum;
}

static void small_maps_are_planned_as_cheaply_as_trying_every_way_does(void **state)
{
    (void)state;
    print_message("seed %u\n", SEED + 2);
    uint32_t random = SEED + 2, order[POINTS], sorted[POINTS];
    struct map m;
    for (int round = 0; round < 400; round++) {
        make_map(&m, &random);
        memset(&m.declared, 0, sizeof m.declared);
        memset(m.apart, 0, sizeof m.apart);
        m.count = m.count > 9 ? 9 : m.count;
        m.rules.max_registers = (uint16_t)(4 + roll(&random, 16));
        for (size_t i = 0; i < m.count; i++) {
            m.points[i] = holding((uint16_t)roll(&random, 40), (enum point_type)roll(&random, 8));
            m.points[i].type = m.points[i].type == POINT_BOOL ? POINT_UINT16 : m.points[i].type;
            for (uint16_t k = 0; k < point_width(&m.points[i]); k++)
                m.declared[POINT_HOLDING][m.points[i].address + k] = 1;
        }
        struct modbus_block b[POINTS];
        size_t n = plan(m.points, m.count, m.due, m.apart, m.rules, b), due = 0;
        modbus_plan_sort(m.points, m.count, order);
        for (size_t k = 0; k < m.count; k++)
            if (m.due[order[k]])
                sorted[due++] = order[k];
        int64_t best = due > 0 ? INT64_MAX : 0;
        for (unsigned cuts = 0; due > 0 && cuts < 1u << (due - 1); cuts++) {
            int64_t cost = cost_of_cuts(&m, sorted, due, cuts);
            if (cost >= 0 && cost < best)
                best = cost;
        }
        /* A wide point before the first due one may cover a gap that the planner takes for a hole. */
        assert_true(cost_of(&m, b, n) >= best);
        if (due == m.count)
            assert_int_equal(cost_of(&m, b, n), best);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_are_read_together_and_holes_are_not_crossed),
        cmocka_unit_test(a_hole_is_crossed_where_the_device_allows_it),
        cmocka_unit_test(registers_that_are_not_due_are_crossed_where_that_is_cheaper),
        cmocka_unit_test(a_wide_point_sorted_before_the_block_opens_no_hole),
        cmocka_unit_test(tables_are_never_mixed),
        cmocka_unit_test(a_point_kept_apart_is_neither_joined_nor_crossed),
        cmocka_unit_test(singly_only_the_very_same_registers_are_joined),
        cmocka_unit_test(a_full_map_takes_as_few_reads_as_possible),
        cmocka_unit_test(the_last_register_can_be_read),
        cmocka_unit_test(no_plan_takes_longer_than_point_by_point_or_than_neighbours_only),
        cmocka_unit_test(small_maps_are_planned_as_cheaply_as_trying_every_way_does),
        cmocka_unit_test(random_maps_are_read_whole_within_limits_and_nothing_undeclared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
