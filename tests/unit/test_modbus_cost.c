/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../drivers/modbus_cost.h"

static const struct modbus_line slow = {9600, "8N1"};

/* Measured: a master that loses no time reads 20 registers at 9600 8N1 15.93 times a second from a device
 * that answers after the silence, and 14.7 times from one that takes 5 ms. */
static void what_a_read_takes_agrees_with_measurement(void **state)
{
    (void)state;
    struct modbus_cost prompt = modbus_cost_of(MODBUS_RTU, &slow, 0, 0);
    double per_second = 1e6 / (double)modbus_cost_read_us(&prompt, POINT_HOLDING, 20);
    assert_true(per_second > 15.93 * 0.99 && per_second < 15.93 * 1.01);
    /* There the 5 ms came on top of the silence, of which the device keeps its own 3.5 characters. */
    struct modbus_cost lazy = modbus_cost_of(MODBUS_RTU, &slow, 0, 4011 + 5000);
    per_second = 1e6 / (double)modbus_cost_read_us(&lazy, POINT_HOLDING, 20);
    assert_true(per_second > 14.7 * 0.99 && per_second < 14.7 * 1.01);
}

/* 8 + 5 characters of 10 bits at 9600 are 13,542 us, each silence 4,011 us, two registers 4,167 us. */
static void a_read_is_frames_silences_and_latency(void **state)
{
    (void)state;
    struct modbus_cost c = modbus_cost_of(MODBUS_RTU, &slow, 0, 0);
    assert_int_equal(c.request_us, 13542 + 2 * 4011);
    assert_int_equal(modbus_cost_read_us(&c, POINT_INPUT, 2), 13542 + 2 * 4011 + 4167);
    c = modbus_cost_of(MODBUS_RTU, &slow, 50000, 20000);
    assert_int_equal(c.request_us, 13542 + 4011 + 20000 + 50000);
    c = modbus_cost_of(MODBUS_RTU, &slow, 0, -1);
    assert_int_equal(c.request_us, 13542 + 4011 + 20000);
}

static void eight_bits_cost_what_one_does(void **state)
{
    (void)state;
    struct modbus_cost c = modbus_cost_of(MODBUS_RTU, &slow, 0, 0);
    assert_int_equal(modbus_cost_read_us(&c, POINT_COIL, 1), modbus_cost_read_us(&c, POINT_COIL, 8));
    assert_true(modbus_cost_read_us(&c, POINT_COIL, 9) > modbus_cost_read_us(&c, POINT_COIL, 8));
}

static void on_tcp_the_round_trip_is_nearly_all(void **state)
{
    (void)state;
    struct modbus_cost c = modbus_cost_of(MODBUS_TCP, &slow, 0, -1);
    assert_int_equal(modbus_cost_read_us(&c, POINT_HOLDING, 125), 5020);
    c = modbus_cost_of(MODBUS_TCP, &slow, 1000, 700);
    assert_int_equal(c.request_us, 1700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_read_takes_agrees_with_measurement),
        cmocka_unit_test(a_read_is_frames_silences_and_latency),
        cmocka_unit_test(eight_bits_cost_what_one_does),
        cmocka_unit_test(on_tcp_the_round_trip_is_nearly_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
