/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../gateway/counter.h"
#include "../../gateway/err.h"

#define SEED 20261122u

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct decimal parsed(const char *text)
{
    struct decimal d;
    assert_int_equal(decimal_parse(text, &d), 0);
    return d;
}

/* NULL for previous or wrap: there is none. NULL for the increment: none is given. */
static void assert_step(const char *previous, const char *current, const char *wrap,
                        enum counter_step expected, const char *increment)
{
    struct decimal before = {0}, limit = {0}, grown = {.magnitude = 4711};
    char text[DECIMAL_TEXT_MAX];
    if (previous)
        before = parsed(previous);
    if (wrap)
        limit = parsed(wrap);
    assert_int_equal(counter_step(previous ? &before : NULL, parsed(current), wrap ? &limit : NULL, &grown),
                     expected);
    decimal_format(grown, text);
    assert_string_equal(text, increment ? increment : "4711");
}

static void the_first_reading_has_nothing_to_grow_from(void **state)
{
    (void)state;
    assert_step(NULL, "12.3", "6553.6", COUNTER_FIRST, NULL);
    assert_step(NULL, "0", NULL, COUNTER_FIRST, NULL);
}

static void growth_is_exact_in_decimals(void **state)
{
    (void)state;
    assert_step("1002.2", "1002.3", NULL, COUNTER_GROWTH, "0.1");
    assert_step("0.3", "0.3", "6553.6", COUNTER_GROWTH, "0");
    assert_step("0", "18446744073709551615", NULL, COUNTER_GROWTH, "18446744073709551615");
    assert_step("-5", "3", NULL, COUNTER_GROWTH, "8");
}

static void a_counter_near_its_end_that_stands_low_again_has_wrapped(void **state)
{
    (void)state;
    assert_step("6553.5", "0", "6553.6", COUNTER_WRAP, "0.1");
    assert_step("6550", "2.4", "6553.6", COUNTER_WRAP, "6");
    assert_step("4294967295", "0", "4294967296", COUNTER_WRAP, "1");
    assert_step("999999.9", "0.1", "1000000", COUNTER_WRAP, "0.2");
}

static void a_quarter_of_the_range_is_too_much_for_a_wrap(void **state)
{
    (void)state;
    assert_step("76", "0", "100", COUNTER_WRAP, "24");
    assert_step("75", "0", "100", COUNTER_RESTART, "0");
    assert_step("99", "23", "100", COUNTER_WRAP, "24");
    assert_step("99", "24", "100", COUNTER_RESTART, "24");
}

static void a_counter_that_falls_without_wrapping_has_started_again(void **state)
{
    (void)state;
    assert_step("123.4", "0.2", "6553.6", COUNTER_RESTART, "0.2");
    assert_step("123.4", "0", NULL, COUNTER_RESTART, "0");
    assert_step("16777216", "5", NULL, COUNTER_RESTART, "5");
}

static void a_counter_beyond_its_stated_end_is_not_taken_for_wrapped(void **state)
{
    (void)state;
    assert_step("7000", "7001", "6553.6", COUNTER_GROWTH, "1");
    assert_step("7000", "500", "6553.6", COUNTER_RESTART, "500");
    assert_step("6553.6", "6553.5", "6553.6", COUNTER_RESTART, "6553.5");
}

static void what_tells_nothing_gives_no_increment(void **state)
{
    (void)state;
    assert_step("5", "-3", "100", COUNTER_UNKNOWN, NULL);
    assert_step("99", "-3", "100", COUNTER_UNKNOWN, NULL);
    assert_step("1e-30", "1e30", NULL, COUNTER_UNKNOWN, NULL);
    assert_step("1e30", "1e-30", "1e31", COUNTER_RESTART, "1e-30");
}

/* A gauge of 16 bits with steps of 0.1 that is read now and then, and the same gauge read by somebody who
 * misses nothing. */
static void over_any_number_of_wraps_the_increments_sum_up_to_the_true_growth(void **state)
{
    (void)state;
    uint64_t random = SEED;
    struct decimal scale = parsed("0.1"), wrap = parsed("6553.6"), sum = {0}, last = {0};
    uint64_t truth = next_random(&random) % 65536, first = truth;
    print_message("seed %u\n", SEED);
    assert_int_equal(decimal_multiply(decimal_from_uint(truth), scale, &last), 0);
    for (int i = 0; i < 20000; i++) {
        struct decimal now, grown;
        uint64_t step = next_random(&random) % 16384; /* below a quarter */
        truth += step;
        assert_int_equal(decimal_multiply(decimal_from_uint(truth % 65536), scale, &now), 0);
        enum counter_step what = counter_step(&last, now, &wrap, &grown);
        assert_int_equal(what, truth % 65536 >= (truth - step) % 65536 ? COUNTER_GROWTH : COUNTER_WRAP);
        assert_int_equal(decimal_add(sum, grown, &sum), 0);
        last = now;
    }
    struct decimal expected;
    assert_int_equal(decimal_multiply(decimal_from_uint(truth - first), scale, &expected), 0);
    assert_int_equal(decimal_compare(sum, expected), 0);
}

/* Any two numbers: the increment is never negative, and always one of the three that are defined. */
static void an_increment_is_never_negative_and_always_explained(void **state)
{
    (void)state;
    uint64_t random = SEED;
    print_message("seed %u\n", SEED);
    for (int i = 0; i < 50000; i++) {
        struct decimal n[3], grown = {0}, back;
        for (int k = 0; k < 3; k++)
            n[k] = (struct decimal){.magnitude = next_random(&random) >> (next_random(&random) % 64),
                                    .exponent = (int16_t)(next_random(&random) % 12) - 6,
                                    .negative = next_random(&random) % 8 == 0};
        switch (counter_step(&n[0], n[1], &n[2], &grown)) {
        case COUNTER_FIRST:
            fail();
            break;
        case COUNTER_GROWTH:
            assert_int_equal(decimal_add(n[0], grown, &back), 0);
            assert_int_equal(decimal_compare(back, n[1]), 0);
            break;
        case COUNTER_WRAP:
            assert_true(decimal_compare(n[1], n[0]) < 0 && decimal_compare(n[0], n[2]) < 0);
            assert_true(4 * decimal_to_double(grown) <= decimal_to_double(n[2]));
            break;
        case COUNTER_RESTART:
            assert_true(decimal_compare(n[1], n[0]) < 0);
            assert_int_equal(decimal_compare(grown, n[1]), 0);
            break;
        case COUNTER_UNKNOWN:
            continue;
        }
        assert_false(grown.negative && grown.magnitude > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_reading_has_nothing_to_grow_from),
        cmocka_unit_test(growth_is_exact_in_decimals),
        cmocka_unit_test(a_counter_near_its_end_that_stands_low_again_has_wrapped),
        cmocka_unit_test(a_quarter_of_the_range_is_too_much_for_a_wrap),
        cmocka_unit_test(a_counter_that_falls_without_wrapping_has_started_again),
        cmocka_unit_test(a_counter_beyond_its_stated_end_is_not_taken_for_wrapped),
        cmocka_unit_test(what_tells_nothing_gives_no_increment),
        cmocka_unit_test(over_any_number_of_wraps_the_increments_sum_up_to_the_true_growth),
        cmocka_unit_test(an_increment_is_never_negative_and_always_explained),
    };
    return cmocka_run_group_tests_name("counter", tests, NULL, NULL);
}
