/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../drivers/modbus_load.h"
#include "../../gateway/busload.h"

#define POINTS 40

struct table {
    int64_t point_us, poll_us;
    unsigned calls;
};

/* A poll takes poll_us, and point_us more for every point. */
static int64_t by_table(void *context, size_t device, const bool *due)
{
    struct table *t = context;
    (void)device;
    int64_t sum = t->poll_us;
    for (size_t i = 0; i < 3; i++)
        sum += due[i] ? t->point_us : 0;
    t->calls++;
    return sum;
}

static void a_tenth_of_a_second_each_second_is_a_tenth(void **state)
{
    (void)state;
    bool due[POINTS];
    struct table t = {.poll_us = 70000, .point_us = 10000};
    struct busload_device d[2] = {{.every_ms = 1000, .point_count = 3}, {.every_ms = 500, .point_count = 3}};
    assert_int_equal(busload_compute(d, 1, by_table, &t, due, BUSLOAD_FULL_PERMILLE).permille, 100);
    assert_int_equal(busload_compute(d, 2, by_table, &t, due, BUSLOAD_FULL_PERMILLE).permille, 300);
    assert_int_equal(busload_compute(d, 0, by_table, &t, due, BUSLOAD_FULL_PERMILLE).permille, 0);
    assert_int_equal(busload_compute(d, 2, by_table, &t, due, BUSLOAD_FULL_PERMILLE).fit_ms, 0);
}

/* Points of 1 s, 2 s and 6 s in one device: in 6 s there are 6 polls with 6 + 3 + 1 points. */
static void intervals_of_one_device_fall_due_together(void **state)
{
    (void)state;
    bool due[POINTS];
    const int64_t every[] = {0, 2000, 6000};
    struct table t = {.poll_us = 60000, .point_us = 6000};
    struct busload_device d = {.every_ms = 1000, .point_count = 3, .point_every_ms = every};
    assert_int_equal(busload_compute(&d, 1, by_table, &t, due, BUSLOAD_FULL_PERMILLE).permille,
                     (6 * 60 + 10 * 6) * 1000 / 6000);
    assert_true(t.calls <= 4); /* each set of points is priced once */
}

/* Points of 2 s and 3 s: in 6 s at 0, 2, 3 and 4. */
static void intervals_that_do_not_fit_each_other_are_walked_until_they_meet(void **state)
{
    (void)state;
    bool due[POINTS];
    const int64_t every[] = {2000, 3000, 3000};
    struct table t = {.poll_us = 60000};
    struct busload_device d = {.every_ms = 1000, .point_count = 3, .point_every_ms = every};
    assert_int_equal(busload_compute(&d, 1, by_table, &t, due, BUSLOAD_FULL_PERMILLE).permille,
                     4 * 60 * 1000 / 6000);
}

static void an_overloaded_bus_is_told_an_interval_that_fits(void **state)
{
    (void)state;
    bool due[POINTS];
    struct table t = {.poll_us = 130000};
    struct busload_device d[10];
    for (size_t i = 0; i < 10; i++)
        d[i] = (struct busload_device){.every_ms = i == 9 ? 60000 : 1000, .point_count = 3};
    struct busload load = busload_compute(d, 10, by_table, &t, due, BUSLOAD_FULL_PERMILLE);
    assert_int_equal(load.permille, 1172); /* 9 x 130 ms each second, and 2 permille */
    assert_int_equal(load.fit_ms, 2000);
    t.poll_us = 100000; /* 900 permille: high, but it can be kept */
    assert_int_equal(busload_compute(d, 10, by_table, &t, due, BUSLOAD_FULL_PERMILLE).fit_ms, 0);
    t.poll_us = 3600000LL * 1000; /* nothing helps */
    assert_int_equal(busload_compute(d, 10, by_table, &t, due, BUSLOAD_FULL_PERMILLE).fit_ms, 0);
}

/* ---- with the planner ---- */

struct farm {
    struct point points[POINTS];
    struct modbus_device_options devices[10];
    struct busload_device intervals[10];
};

static struct busload load_of(struct farm *f, size_t devices, size_t registers, enum modbus_protocol protocol)
{
    for (size_t i = 0; i < registers; i++)
        f->points[i] = (struct point){.name = (char[]){"p"},
                                      .table = POINT_HOLDING,
                                      .address = (uint16_t)i,
                                      .type = POINT_UINT16,
                                      .scale = {1, 0, false}};
    for (size_t i = 0; i < devices; i++) {
        f->devices[i] = (struct modbus_device_options){.name = "d",
                                                       .unit = (int)i + 1,
                                                       .line = {9600, "8N1"},
                                                       .points = f->points,
                                                       .point_count = registers};
        f->intervals[i] = (struct busload_device){.every_ms = 1000, .point_count = registers};
    }
    struct modbus_options o = {.protocol = protocol, .devices = f->devices, .device_count = devices};
    struct modbus_load *l;
    struct err_note note = {0};
    bool due[POINTS];
    if (modbus_load_new(&o, &l, &note) < 0)
        fail_msg("%s", note.text);
    struct busload load =
        busload_compute(f->intervals, devices, modbus_load_cost_us, l, due, BUSLOAD_FULL_PERMILLE);
    modbus_load_free(l);
    return load;
}

/* 8 + 45 characters of 10 bits at 9600 are 55.208 ms (rounded up in two parts), 4.011 ms of silence and
 * 20 ms of latency: 79.2 ms a poll. */
static void ten_sensors_each_second_are_four_fifths_of_a_slow_line(void **state)
{
    (void)state;
    struct farm f;
    assert_in_range(load_of(&f, 1, 20, MODBUS_RTU).permille, 79, 79);
    assert_in_range(load_of(&f, 10, 20, MODBUS_RTU).permille, 792, 793);
    assert_in_range(load_of(&f, 10, 20, MODBUS_TCP).permille, 50, 50);
    struct busload full = load_of(&f, 10, 40, MODBUS_RTU);
    assert_in_range(full.permille, 1208, 1211);
    assert_int_equal(full.fit_ms, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tenth_of_a_second_each_second_is_a_tenth),
        cmocka_unit_test(intervals_of_one_device_fall_due_together),
        cmocka_unit_test(intervals_that_do_not_fit_each_other_are_walked_until_they_meet),
        cmocka_unit_test(an_overloaded_bus_is_told_an_interval_that_fits),
        cmocka_unit_test(ten_sensors_each_second_are_four_fifths_of_a_slow_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
