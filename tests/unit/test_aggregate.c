/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics against a plain reckoning of the same numbers, and windows through steps of the clock. */
#include "unit.h"

#include <math.h>

#include "../../gateway/aggregate.h"

#define MINUTE 60000
#define WINDOW (5 * MINUTE)
#define NOON INT64_C(1795230000000) /* lies on a window's edge */

static struct reading number(const char *text)
{
    struct reading r = {.quality = QUALITY_GOOD, .value.kind = VALUE_NUMBER};
    assert_int_equal(decimal_parse(text, &r.value.number), 0);
    return r;
}

static void assert_number(struct decimal d, const char *expected)
{
    char text[DECIMAL_TEXT_MAX];
    decimal_format(d, text);
    assert_string_equal(text, expected);
}

static void only_good_numbers_count_and_the_others_are_counted(void **state)
{
    (void)state;
    struct aggregate a;
    struct reading bad = {.quality = QUALITY_SENSOR_FAULT}, doubtful = number("6553.5"),
                   not_due = {.quality = QUALITY_NOT_DUE}, first = number("23.1"), second = number("23.4");
    doubtful.quality = QUALITY_OUT_OF_RANGE;
    aggregate_clear(&a);
    aggregate_add(&a, &bad);
    assert_int_equal(aggregate_stats(&a).n, 0);
    aggregate_add(&a, &first);
    aggregate_add(&a, &doubtful);
    aggregate_add(&a, &not_due);
    aggregate_add(&a, &second);
    struct sample_stats s = aggregate_stats(&a);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.bad, 2);
    assert_number(s.min, "23.1");
    assert_number(s.mean, "23.25");
    assert_number(s.max, "23.4");
}

static void a_mean_has_two_digits_more_than_the_readings(void **state)
{
    (void)state;
    struct aggregate a;
    struct reading readings[] = {number("1"), number("2"), number("2")};
    aggregate_clear(&a);
    for (size_t i = 0; i < 3; i++)
        aggregate_add(&a, &readings[i]);
    assert_number(aggregate_stats(&a).mean, "1.67");
}

static void the_mean_of_equal_readings_is_that_reading(void **state)
{
    (void)state;
    static const char *const values[] = {"0.1", "-40", "9007199254740993", "1e300", "3.4028235e38", "1e-300"};
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        struct aggregate a;
        struct reading r = number(values[v]);
        aggregate_clear(&a);
        for (int i = 0; i < 1000; i++)
            aggregate_add(&a, &r);
        assert_int_equal(decimal_compare(aggregate_stats(&a).mean, r.value.number), 0);
    }
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void statistics_of_random_readings_are_those_of_a_plain_reckoning(void **state)
{
    (void)state;
    const char *given = getenv("FG_SEED");
    uint64_t seed = given ? (uint64_t)strtoull(given, NULL, 10) : (uint64_t)getpid();
    print_message("FG_SEED=%llu\n", (unsigned long long)seed);
    for (int round = 0; round < 300; round++) {
        struct aggregate a;
        int64_t n = 1 + (int64_t)(next_random(&seed) % 300), min = INT64_MAX, max = INT64_MIN, sum = 0;
        int16_t exponent = (int16_t)(-(int)(next_random(&seed) % 5));
        aggregate_clear(&a);
        for (int64_t i = 0; i < n; i++) {
            int64_t raw = (int64_t)(next_random(&seed) % 65536) - 32768;
            struct reading r = {.value = {.kind = VALUE_NUMBER, .number = decimal_from_int(raw)}};
            if (raw != 0)
                r.value.number.exponent = (int16_t)(r.value.number.exponent + exponent);
            aggregate_add(&a, &r);
            sum += raw;
            min = raw < min ? raw : min;
            max = raw > max ? raw : max;
        }
        struct sample_stats s = aggregate_stats(&a);
        double unit = pow(10, exponent), mean = (double)sum / (double)n * unit;
        assert_int_equal(s.n, n);
        assert_true(fabs(decimal_to_double(s.min) - (double)min * unit) < unit / 1000);
        assert_true(fabs(decimal_to_double(s.max) - (double)max * unit) < unit / 1000);
        assert_true(fabs(decimal_to_double(s.mean) - mean) <= unit / 199);
    }
}

/* ---- windows ---- */

static struct aggregate_time at(int64_t wall_ms)
{
    return (struct aggregate_time){wall_ms, wall_ms - NOON + 7000, true};
}

static void a_window_lies_on_the_wall_clock(void **state)
{
    (void)state;
    struct aggregate_window w = {.length_ms = WINDOW};
    struct aggregate_time first = at(NOON + 17), last = at(NOON + WINDOW - 1), next = at(NOON + WINDOW);
    assert_false(aggregate_is_over(&w, &first));
    aggregate_enter(&w, &first);
    assert_false(aggregate_is_over(&w, &last));
    aggregate_enter(&w, &last);
    assert_true(aggregate_is_over(&w, &next));
    struct aggregate_span s = aggregate_close(&w, &next);
    assert_int_equal(s.until.wall_ms, NOON + WINDOW);
    assert_int_equal(s.until.mono_ms, WINDOW + 7000);
    assert_int_equal(s.span_ms, WINDOW);
    assert_null(s.partial);
    assert_false(w.open);
}

static void a_first_window_begins_with_its_first_reading_and_says_so(void **state)
{
    (void)state;
    struct aggregate_window w = {.length_ms = WINDOW, .partial = "started"};
    struct aggregate_time first = at(NOON + 2 * MINUTE), next = at(NOON + WINDOW + 40);
    aggregate_enter(&w, &first);
    struct aggregate_span s = aggregate_close(&w, &next);
    assert_string_equal(s.partial, "started");
    assert_int_equal(s.span_ms, 3 * MINUTE);
    aggregate_enter(&w, &next);
    next = at(NOON + 2 * WINDOW);
    s = aggregate_close(&w, &next);
    assert_null(s.partial);
    assert_int_equal(s.span_ms, WINDOW);
}

static void windows_in_which_nothing_was_measured_are_not_made_up(void **state)
{
    (void)state;
    struct aggregate_window w = {.length_ms = WINDOW};
    struct aggregate_time first = at(NOON), late = at(NOON + 10 * WINDOW + 5);
    aggregate_enter(&w, &first);
    assert_int_equal(aggregate_close(&w, &late).until.wall_ms, NOON + WINDOW);
    aggregate_enter(&w, &late);
    assert_int_equal(w.from.wall_ms, NOON + 10 * WINDOW);
}

static void a_step_of_the_clock_cuts_a_window_and_begins_another(void **state)
{
    (void)state;
    static const int64_t steps[] = {-3600000, -1500, 1500, 400000};
    for (size_t i = 0; i < 4; i++) {
        struct aggregate_window w = {.length_ms = WINDOW};
        struct aggregate_time first = at(NOON), second = at(NOON + MINUTE), stepped = at(NOON + 2 * MINUTE);
        stepped.wall_ms += steps[i];
        aggregate_enter(&w, &first);
        aggregate_enter(&w, &second);
        assert_true(aggregate_is_over(&w, &stepped));
        struct aggregate_span s = aggregate_close(&w, &stepped);
        assert_string_equal(s.partial, "clock");
        assert_int_equal(s.until.wall_ms, second.wall_ms);
        assert_int_equal(s.span_ms, MINUTE);
        aggregate_enter(&w, &stepped);
        assert_int_equal(w.from.wall_ms, stepped.wall_ms);
    }
}

static void a_clock_that_is_slewed_cuts_nothing(void **state)
{
    (void)state;
    struct aggregate_window w = {.length_ms = WINDOW};
    for (int64_t i = 0; i < 5; i++) {
        struct aggregate_time now = at(NOON + i * MINUTE);
        now.mono_ms -= i * 900; /* in all more than a step may be */
        assert_false(aggregate_is_over(&w, &now));
        aggregate_enter(&w, &now);
    }
}

static void without_a_trusted_clock_a_window_lies_on_the_monotonic_one(void **state)
{
    (void)state;
    struct aggregate_window w = {.length_ms = WINDOW};
    struct aggregate_time first = {1000, WINDOW + 5, false}, next = {WINDOW + 995, 2 * WINDOW, false};
    aggregate_enter(&w, &first);
    assert_true(aggregate_is_over(&w, &next));
    struct aggregate_span s = aggregate_close(&w, &next);
    assert_int_equal(s.until.mono_ms, 2 * WINDOW);
    assert_int_equal(s.span_ms, WINDOW);
    assert_null(s.partial);
}

static void a_clock_that_comes_to_be_trusted_cuts_a_window(void **state)
{
    (void)state;
    struct aggregate_window w = {.length_ms = WINDOW};
    struct aggregate_time first = at(NOON), next = at(NOON + MINUTE);
    first.trusted = false;
    aggregate_enter(&w, &first);
    assert_true(aggregate_is_over(&w, &next));
    assert_string_equal(aggregate_close(&w, &next).partial, "clock");
}

static void a_stop_cuts_a_window_at_its_newest_reading(void **state)
{
    (void)state;
    struct aggregate_window w = {.length_ms = WINDOW};
    struct aggregate_time first = at(NOON), last = at(NOON + 2 * MINUTE);
    aggregate_enter(&w, &first);
    aggregate_enter(&w, &last);
    struct aggregate_span s = aggregate_close(&w, NULL);
    assert_string_equal(s.partial, "stopped");
    assert_int_equal(s.until.wall_ms, last.wall_ms);
    assert_int_equal(s.span_ms, 2 * MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_good_numbers_count_and_the_others_are_counted),
        cmocka_unit_test(a_mean_has_two_digits_more_than_the_readings),
        cmocka_unit_test(the_mean_of_equal_readings_is_that_reading),
        cmocka_unit_test(statistics_of_random_readings_are_those_of_a_plain_reckoning),
        cmocka_unit_test(a_window_lies_on_the_wall_clock),
        cmocka_unit_test(a_first_window_begins_with_its_first_reading_and_says_so),
        cmocka_unit_test(windows_in_which_nothing_was_measured_are_not_made_up),
        cmocka_unit_test(a_step_of_the_clock_cuts_a_window_and_begins_another),
        cmocka_unit_test(a_clock_that_is_slewed_cuts_nothing),
        cmocka_unit_test(without_a_trusted_clock_a_window_lies_on_the_monotonic_one),
        cmocka_unit_test(a_clock_that_comes_to_be_trusted_cuts_a_window),
        cmocka_unit_test(a_stop_cuts_a_window_at_its_newest_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
