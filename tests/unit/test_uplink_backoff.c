/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../gateway/uplink_backoff.h"

#define FLEET 2000

static void a_fleet_that_lost_its_broker_comes_back_spread_over_the_whole_time(void **state)
{
    (void)state;
    int tenths[10] = {0};
    for (uint64_t seed = 0; seed < FLEET; seed++) {
        struct uplink_backoff b;
        uplink_backoff_init(&b, seed, 20000);
        int64_t ms = uplink_backoff_lost(&b);
        assert_in_range(ms, 0, 20000);
        tenths[ms < 20000 ? ms / 2000 : 9]++;
    }
    for (int i = 0; i < 10; i++) {
        print_message("%d s: %d\n", i * 2, tenths[i]);
        assert_in_range(tenths[i], FLEET / 10 * 7 / 10, FLEET / 10 * 13 / 10);
    }
}

static void failures_wait_one_second_doubling_to_a_minute_give_or_take_a_fifth(void **state)
{
    (void)state;
    static const int64_t STEPS[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct uplink_backoff b;
        uplink_backoff_init(&b, seed, 20000);
        for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++)
            assert_in_range(uplink_backoff_failed(&b), STEPS[i] * 8 / 10, STEPS[i] * 12 / 10);
    }
}

static void the_jitter_uses_its_whole_width(void **state)
{
    (void)state;
    int64_t least = INT64_MAX, most = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct uplink_backoff b;
        uplink_backoff_init(&b, seed, 0);
        int64_t ms = uplink_backoff_failed(&b);
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
    }
    assert_in_range(least, 800, 850);
    assert_in_range(most, 1150, 1200);
}

static void a_link_that_worked_begins_the_steps_anew(void **state)
{
    (void)state;
    struct uplink_backoff b;
    uplink_backoff_init(&b, 7, 20000);
    for (int i = 0; i < 10; i++)
        uplink_backoff_failed(&b);
    uplink_backoff_lost(&b);
    assert_in_range(uplink_backoff_failed(&b), 800, 1200);
}

static void without_a_spread_the_first_retry_is_at_once(void **state)
{
    (void)state;
    struct uplink_backoff b;
    uplink_backoff_init(&b, 1, 0);
    assert_int_equal(uplink_backoff_lost(&b), 0);
    uplink_backoff_init(&b, 1, -5);
    assert_int_equal(uplink_backoff_lost(&b), 0);
}

static void the_same_seed_gives_the_same_times(void **state)
{
    (void)state;
    struct uplink_backoff a, b;
    uplink_backoff_init(&a, 42, 20000);
    uplink_backoff_init(&b, 42, 20000);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(uplink_backoff_failed(&a), uplink_backoff_failed(&b));
        assert_int_equal(uplink_backoff_lost(&a), uplink_backoff_lost(&b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fleet_that_lost_its_broker_comes_back_spread_over_the_whole_time),
        cmocka_unit_test(failures_wait_one_second_doubling_to_a_minute_give_or_take_a_fifth),
        cmocka_unit_test(the_jitter_uses_its_whole_width),
        cmocka_unit_test(a_link_that_worked_begins_the_steps_anew),
        cmocka_unit_test(without_a_spread_the_first_retry_is_at_once),
        cmocka_unit_test(the_same_seed_gives_the_same_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
