/* SPDX-License-Identifier: Apache-2.0 */
/* The dead band, on single readings and on random walks. */
#include "unit.h"

#include "../../gateway/report.h"

#define SECOND 1000

static struct decimal parsed(const char *text)
{
    struct decimal d;
    assert_int_equal(decimal_parse(text, &d), 0);
    return d;
}

static struct reading number(struct decimal value)
{
    return (struct reading){.quality = QUALITY_GOOD, .value = {.kind = VALUE_NUMBER, .number = value}};
}

static struct reading yes_no(bool value)
{
    return (struct reading){.quality = QUALITY_GOOD, .value = {.kind = VALUE_BOOL, .boolean = value}};
}

/* One point under a rule; say() offers a reading a minute later. */
struct world {
    struct report_rule rule;
    struct report_state state;
    int64_t now_ms;
};

static struct world world_of(const char *change)
{
    return (struct world){.rule = {parsed(change), 15 * 60 * SECOND, 60 * SECOND}};
}

static bool offer(struct world *w, struct reading r)
{
    w->now_ms += 60 * SECOND;
    bool wanted = report_wants(&w->rule, &w->state, &r, w->now_ms);
    if (wanted)
        report_told(&w->state, &r, w->now_ms);
    return wanted;
}

static bool offer_text(struct world *w, const char *value)
{
    return offer(w, number(parsed(value)));
}

static void the_first_value_is_reported_and_an_equal_one_is_not(void **state)
{
    (void)state;
    struct world w = world_of("0.2");
    assert_true(offer_text(&w, "23.4"));
    assert_false(offer_text(&w, "23.4"));
    assert_false(offer_text(&w, "23.5"));
}

static void a_value_that_moved_by_exactly_the_change_is_reported(void **state)
{
    (void)state;
    struct world w = world_of("0.2");
    assert_true(offer_text(&w, "23.4"));
    assert_true(offer_text(&w, "23.6"));
    assert_true(offer_text(&w, "23.4"));
    assert_true(offer_text(&w, "-40"));
}

static void a_slow_drift_is_measured_from_the_last_reported_value(void **state)
{
    (void)state;
    struct world w = world_of("0.2");
    assert_true(offer_text(&w, "10"));
    assert_false(offer_text(&w, "10.1"));
    assert_true(offer_text(&w, "10.2"));
    assert_false(offer_text(&w, "10.3"));
    assert_true(offer_text(&w, "10.4"));
}

static void without_a_change_every_other_value_counts(void **state)
{
    (void)state;
    struct world w = world_of("0");
    assert_true(offer_text(&w, "3"));
    assert_false(offer_text(&w, "3"));
    assert_true(offer_text(&w, "4"));
    assert_true(offer(&w, yes_no(true)));
    assert_false(offer(&w, yes_no(true)));
    assert_true(offer(&w, yes_no(false)));
}

static void every_change_of_quality_is_reported_once(void **state)
{
    (void)state;
    struct world w = world_of("5");
    struct reading silent = {.quality = QUALITY_NO_REPLY}, garbled = {.quality = QUALITY_BAD_CRC};
    assert_true(offer_text(&w, "1"));
    assert_true(offer(&w, silent));
    assert_false(offer(&w, silent));
    assert_true(offer(&w, garbled));
    assert_true(offer_text(&w, "1"));
    assert_false(offer_text(&w, "1"));
}

static void a_doubtful_value_is_held_back_by_the_same_measure(void **state)
{
    (void)state;
    struct world w = world_of("5");
    struct reading doubtful = number(parsed("6553.5"));
    doubtful.quality = QUALITY_OUT_OF_RANGE;
    assert_true(offer(&w, doubtful));
    assert_false(offer(&w, doubtful));
    doubtful.value.number = parsed("6540");
    assert_true(offer(&w, doubtful));
}

static void what_was_not_due_is_never_reported(void **state)
{
    (void)state;
    struct world w = world_of("0.2");
    assert_false(offer(&w, (struct reading){.quality = QUALITY_NOT_DUE}));
}

static void an_unchanged_value_is_reported_with_the_reading_nearest_to_the_heartbeat(void **state)
{
    (void)state;
    struct world w = world_of("0.2");
    assert_true(offer_text(&w, "1"));
    for (int round = 0; round < 3; round++) {
        for (int i = 1; i < 15; i++)
            assert_false(offer_text(&w, "1"));
        w.now_ms -= 3; /* a poll is never on the millisecond */
        assert_true(offer_text(&w, "1"));
        w.now_ms += 3;
    }
}

static void numbers_of_very_different_size_are_reported(void **state)
{
    (void)state;
    struct world w = world_of("0.2");
    assert_true(offer_text(&w, "1e300"));
    assert_true(offer_text(&w, "1e-300"));
}

/* ---- random walks ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void whoever_holds_the_last_reported_value_is_never_further_off_nor_older_than_promised(void **state)
{
    (void)state;
    const char *given = getenv("FG_SEED");
    uint64_t seed = given ? (uint64_t)strtoull(given, NULL, 10) : (uint64_t)getpid();
    print_message("FG_SEED=%llu\n", (unsigned long long)seed);
    for (int walk = 0; walk < 200; walk++) {
        const int64_t every_ms = 1 + (int64_t)(next_random(&seed) % 60000);
        const int64_t change = (int64_t)(next_random(&seed) % 20);
        const int64_t at_least_ms = every_ms * (1 + (int64_t)(next_random(&seed) % 40));
        struct report_rule rule = {{(uint64_t)change, -1, false}, at_least_ms, every_ms};
        struct report_state held = {0};
        int64_t value = (int64_t)(next_random(&seed) % 1000) - 500, known = 0, known_ms = 0, now_ms = 0;
        for (int i = 0; i < 500; i++) {
            struct decimal d = decimal_from_int(value);
            d.exponent = (int16_t)(d.exponent - 1);
            struct reading r = number(d);
            now_ms += every_ms + (int64_t)(next_random(&seed) % 3) - 1;
            if (report_wants(&rule, &held, &r, now_ms)) {
                report_told(&held, &r, now_ms);
                known = value;
                known_ms = now_ms;
            }
            assert_true(value == known || llabs(value - known) < change);
            assert_true(now_ms - known_ms < at_least_ms + every_ms);
            value += (int64_t)(next_random(&seed) % 9) - 4;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_value_is_reported_and_an_equal_one_is_not),
        cmocka_unit_test(a_value_that_moved_by_exactly_the_change_is_reported),
        cmocka_unit_test(a_slow_drift_is_measured_from_the_last_reported_value),
        cmocka_unit_test(without_a_change_every_other_value_counts),
        cmocka_unit_test(every_change_of_quality_is_reported_once),
        cmocka_unit_test(a_doubtful_value_is_held_back_by_the_same_measure),
        cmocka_unit_test(what_was_not_due_is_never_reported),
        cmocka_unit_test(an_unchanged_value_is_reported_with_the_reading_nearest_to_the_heartbeat),
        cmocka_unit_test(numbers_of_very_different_size_are_reported),
        cmocka_unit_test(whoever_holds_the_last_reported_value_is_never_further_off_nor_older_than_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
