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

/* All attempts of one gateway after its broker went away for so long, by the second in which they are made.
 */
static int attempts_of_one(uint64_t seed, int64_t away_ms, int *seconds, int count)
{
    struct uplink_backoff b;
    uplink_backoff_init(&b, seed, UPLINK_BACKOFF_LOST_MS);
    int attempts = 1;
    int64_t ms = uplink_backoff_lost(&b);
    for (; ms < away_ms; attempts++) {
        assert_true(ms / 1000 < count);
        seconds[ms / 1000]++;
        ms += uplink_backoff_failed(&b);
    }
    seconds[ms / 1000]++;
    return attempts;
}

static void a_broker_away_for(int64_t away_s, uint64_t fleet)
{
    int seconds[400] = {0}, attempts = 0, most = 0;
    for (uint64_t gateway = 0; gateway < 300; gateway++)
        attempts += attempts_of_one(fleet * 1000 + gateway, away_s * 1000, seconds, 400);
    for (int s = 0; s < 400; s++)
        most = seconds[s] > most ? seconds[s] : most;
    if (most * 10 > attempts)
        fail_msg("fleet %llu, away %lld s: %d of %d attempts in a second", (unsigned long long)fleet,
                 (long long)away_s, most, attempts);
}

static void no_second_carries_a_tenth_of_the_attempts_of_300_gateways_after_any_outage(void **state)
{
    (void)state;
    static const int64_t AWAY_S[] = {0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60, 300};
    for (size_t i = 0; i < sizeof AWAY_S / sizeof AWAY_S[0]; i++)
        for (uint64_t fleet = 0; fleet < 100; fleet++)
            a_broker_away_for(AWAY_S[i], fleet);
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

static void a_link_that_worked_begins_the_steps_anew_at_a_third_of_the_spread(void **state)
{
    (void)state;
    struct uplink_backoff b;
    uplink_backoff_init(&b, 7, 30000);
    for (int i = 0; i < 10; i++)
        uplink_backoff_failed(&b);
    uplink_backoff_lost(&b);
    assert_in_range(uplink_backoff_failed(&b), 8000, 12000);
    assert_in_range(uplink_backoff_failed(&b), 16000, 24000);
}

static void without_a_spread_the_steps_begin_at_a_second(void **state)
{
    (void)state;
    struct uplink_backoff b;
    uplink_backoff_init(&b, 7, 0);
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
        cmocka_unit_test(no_second_carries_a_tenth_of_the_attempts_of_300_gateways_after_any_outage),
        cmocka_unit_test(failures_wait_one_second_doubling_to_a_minute_give_or_take_a_fifth),
        cmocka_unit_test(the_jitter_uses_its_whole_width),
        cmocka_unit_test(a_link_that_worked_begins_the_steps_anew_at_a_third_of_the_spread),
        cmocka_unit_test(without_a_spread_the_steps_begin_at_a_second),
        cmocka_unit_test(without_a_spread_the_first_retry_is_at_once),
        cmocka_unit_test(the_same_seed_gives_the_same_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
