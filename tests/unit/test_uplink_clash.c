/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../gateway/uplink_clash.h"

#define MINUTE_MS ((int64_t)60 * 1000)

static void a_broker_that_says_so_once_may_mean_a_tool_and_twice_is_a_clash(void **state)
{
    (void)state;
    struct uplink_clash c = {0};
    assert_int_equal(uplink_clash_closed(&c, true, 5 * MINUTE_MS, 1000), 0);
    assert_int_equal(uplink_clash_closed(&c, true, 5 * MINUTE_MS, 1000 + 16 * MINUTE_MS), 0);
    assert_false(uplink_clash_is_on(&c));
    assert_int_equal(uplink_clash_closed(&c, true, 5 * MINUTE_MS, 1000 + 21 * MINUTE_MS), 30000);
    assert_true(uplink_clash_is_on(&c));
}

static void a_broker_that_only_closes_is_believed_after_five_short_connections_in_a_row(void **state)
{
    (void)state;
    struct uplink_clash c = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(uplink_clash_closed(&c, false, 10000, 20000 * i), 0);
    assert_int_equal(uplink_clash_closed(&c, false, 61 * 1000, 150000), 0); /* not short: the row is broken */
    for (int i = 0; i < 4; i++)
        assert_int_equal(uplink_clash_closed(&c, false, 10000, 200000 + 20000 * i), 0);
    assert_false(uplink_clash_is_on(&c));
    assert_int_equal(uplink_clash_closed(&c, false, 10000, 300000), 30000);
    assert_true(uplink_clash_is_on(&c));
    assert_int_equal(uplink_clash_closed(&c, false, 10000, 400000),
                     30000); /* it may be a bad link after all */
}

static void a_link_that_flaps_is_no_clash(void **state)
{
    (void)state;
    struct uplink_clash c = {0};
    for (int64_t now = 0; now < 60 * MINUTE_MS; now += 20000) {
        uplink_clash_closed(&c, false, 5000, now);
        uplink_clash_closed(&c, false, 5000, now + 4000);
        uplink_clash_closed(&c, false, 5000, now + 8000);
        uplink_clash_closed(&c, false, 5000, now + 12000);
        uplink_clash_attempt_failed(&c);
        assert_false(uplink_clash_is_on(&c));
    }
}

static void where_the_broker_says_so_each_further_time_waits_longer_up_to_five_minutes(void **state)
{
    (void)state;
    static const int64_t WAITS[] = {0, 30000, 60000, 120000, 240000, 300000, 300000, 300000};
    struct uplink_clash c = {0};
    int64_t now = 5000;
    for (size_t i = 0; i < sizeof WAITS / sizeof WAITS[0]; i++) {
        int64_t wait = uplink_clash_closed(&c, true, 10 * MINUTE_MS, now);
        assert_int_equal(wait, WAITS[i]);
        now += wait + 5 * MINUTE_MS;
        if (uplink_clash_is_on(&c))
            uplink_clash_attempt_failed(&c); /* does not end it */
    }
}

static void two_gateways_on_a_silent_broker_take_turns_of_half_a_minute(void **state)
{
    (void)state;
    struct uplink_clash both[2] = {{0}};
    int64_t back[2] = {0}, since = 0, now = 0;
    int takeovers = 0;
    for (int owner = 0; now < 60 * MINUTE_MS; owner = 1 - owner) {
        now = back[1 - owner];
        back[owner] = now + 1000 + uplink_clash_closed(&both[owner], false, now - since, now);
        since = now;
        takeovers++;
    }
    print_message("%d takeovers in an hour\n", takeovers);
    assert_true(uplink_clash_is_on(&both[0]) && uplink_clash_is_on(&both[1]));
    assert_in_range(takeovers, 100, 140);
}

static void a_connection_that_lasts_ends_the_clash_and_says_so_once(void **state)
{
    (void)state;
    struct uplink_clash c = {0};
    uplink_clash_closed(&c, true, 1000, 0);
    uplink_clash_closed(&c, true, 1000, 1000);
    assert_false(uplink_clash_ends(&c, 2000, 2000 + 15 * MINUTE_MS));
    assert_true(uplink_clash_is_on(&c));
    assert_true(uplink_clash_ends(&c, 2000, 2001 + 15 * MINUTE_MS));
    assert_false(uplink_clash_is_on(&c));
    assert_false(uplink_clash_ends(&c, 2000, 2002 + 15 * MINUTE_MS));
    assert_int_equal(uplink_clash_closed(&c, true, 1000, 2003 + 15 * MINUTE_MS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broker_that_says_so_once_may_mean_a_tool_and_twice_is_a_clash),
        cmocka_unit_test(a_broker_that_only_closes_is_believed_after_five_short_connections_in_a_row),
        cmocka_unit_test(a_link_that_flaps_is_no_clash),
        cmocka_unit_test(where_the_broker_says_so_each_further_time_waits_longer_up_to_five_minutes),
        cmocka_unit_test(two_gateways_on_a_silent_broker_take_turns_of_half_a_minute),
        cmocka_unit_test(a_connection_that_lasts_ends_the_clash_and_says_so_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
