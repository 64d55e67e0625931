/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the shipped models a device is, from what its registers say. */
#include "unit.h"

#include "../../gateway/scan_expect.h"
#include "../../gateway/scan_guess.h"

/* ---- expect ---- */

static int fits(const char *expect, int unit, uint16_t a, uint16_t b, uint16_t c)
{
    const uint16_t words[] = {a, b, c};
    return scan_expect_fits(expect, unit, words, 3);
}

static void expect_speaks_of_one_register_a_word(void **state)
{
    (void)state;
    assert_int_equal(fits("unit 0..2", 37, 37, 1, 9), 1);
    assert_int_equal(fits("unit 0..2", 37, 36, 1, 9), 0);
    assert_int_equal(fits("unit 0..2", 37, 37, 3, 9), 0);
    assert_int_equal(fits("0x3343", 1, 0x3343, 0, 0), 1);
    assert_int_equal(fits("0x3343", 1, 0x3344, 0, 0), 0);
    assert_int_equal(fits("- 17", 1, 999, 17, 0), 1);
    assert_int_equal(fits("2400|4800|9600", 1, 4800, 0, 0), 1);
    assert_int_equal(fits("2400|4800|9600", 1, 4801, 0, 0), 0);
}

static void expect_knows_floats_of_two_registers(void **state)
{
    (void)state;
    assert_int_equal(fits("float32 40..300", 1, 0x435C, 0x0000, 0), 1); /* 220 */
    assert_int_equal(fits("float32 40..300", 1, 0x41BC, 0x0000, 0), 0); /* 23.5 */
    assert_int_equal(fits("float32 40..300 7", 1, 0x435C, 0x0000, 7), 1);
    assert_int_equal(fits("float32 40..300", 1, 0x7FC0, 0x0000, 0), 0); /* NaN */
}

static void what_expect_does_not_understand_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(fits("", 1, 0, 0, 0), FG_EINVALID);
    assert_int_equal(fits("abc", 1, 0, 0, 0), FG_EINVALID);
    assert_int_equal(fits("1..", 1, 0, 0, 0), FG_EINVALID);
    assert_int_equal(fits("..5", 1, 0, 0, 0), FG_EINVALID);
    assert_int_equal(fits("1|", 1, 0, 0, 0), FG_EINVALID);
    assert_int_equal(fits("float32", 1, 0, 0, 0), FG_EINVALID);
    assert_int_equal(fits("1 2 3 4", 1, 1, 2, 3), FG_ERANGE);
}

/* ---- guesses, over the shipped profiles ---- */

struct device {
    uint16_t words[4][65536];
    bool there[4][65536];
    int reads;
};

static int read_device(void *context, enum point_register table, uint16_t address, uint16_t count,
                       uint16_t *words)
{
    struct device *d = context;
    d->reads++;
    for (int i = 0; i < count; i++) {
        if (!d->there[table][address + i])
            return FG_EINVALID;
        words[i] = d->words[table][address + i];
    }
    return 0;
}

static void put(struct device *d, enum point_register table, uint16_t address, uint16_t value)
{
    d->words[table][address] = value;
    d->there[table][address] = true;
}

struct fixture {
    struct scan_profiles profiles;
    struct device device;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct config_options options = {.path = "config/fieldgate.yaml", .profile_dir = "config/profiles"};
    assert_int_equal(scan_profiles_load(&options, &f->profiles), 0);
    assert_true(f->profiles.count >= 30);
    assert_int_equal(f->profiles.broken, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    scan_profiles_free(&f->profiles);
    free(f);
    return 0;
}

static int guess(struct fixture *f, int unit, int baud, struct scan_guess ret[SCAN_GUESSES_MAX])
{
    struct scan_device d = {.unit = unit, .read = read_device, .context = &f->device};
    if (baud)
        d.line = (struct modbus_line){baud, "8N1"};
    int n = scan_guess(&d, &f->profiles, ret);
    assert_in_range(n, 0, SCAN_GUESSES_MAX);
    return n;
}

/* A nine-value soil probe with its number 37 and speed code in the usual place. */
static void make_soil_probe(struct device *d)
{
    static const uint16_t values[] = {154, 0xFFF5, 44, 49, 14, 9, 24, 24, 24};
    for (uint16_t i = 0; i < 9; i++)
        put(d, POINT_HOLDING, i, values[i]);
    put(d, POINT_HOLDING, 0x07D0, 37);
    put(d, POINT_HOLDING, 0x07D1, 1);
}

static void a_soil_probe_is_recognised_by_what_its_profile_expects(void **state)
{
    struct fixture *f = *state;
    struct scan_guess g[SCAN_GUESSES_MAX];
    make_soil_probe(&f->device);
    assert_true(guess(f, 37, 4800, g) >= 1);
    assert_string_equal(g[0].profile->name, "cwt-soil-npk-s");
    assert_true(g[0].identified && g[0].score >= 80);
    assert_int_equal(g[0].good, 9);
    for (int i = 1; i < SCAN_GUESSES_MAX; i++)
        assert_true(g[i].score <= g[i - 1].score);
}

static void a_register_that_holds_another_number_counts_against_a_model(void **state)
{
    struct fixture *f = *state;
    struct scan_guess right[SCAN_GUESSES_MAX], wrong[SCAN_GUESSES_MAX];
    make_soil_probe(&f->device);
    assert_true(guess(f, 37, 4800, right) >= 1);
    put(&f->device, POINT_HOLDING, 0x07D0, 500);
    int n = guess(f, 37, 4800, wrong);
    for (int i = 0; i < n; i++)
        assert_true(wrong[i].score <= right[0].score - 20 && !wrong[i].identified);
}

static void a_meter_over_tcp_needs_no_line(void **state)
{
    struct fixture *f = *state;
    struct scan_guess g[SCAN_GUESSES_MAX];
    static const uint16_t pzem[] = {2200, 1500, 0, 3300, 0, 1234, 0, 500, 95, 0};
    for (uint16_t i = 0; i < 10; i++)
        put(&f->device, POINT_INPUT, i, pzem[i]);
    assert_true(guess(f, 5, 0, g) >= 1);
    assert_string_equal(g[0].profile->name, "pzem-004t");
    assert_true(g[0].score <= 75); /* without `expect` nothing is sure */
}

static void a_device_that_refuses_everything_is_no_model(void **state)
{
    struct fixture *f = *state;
    struct scan_guess g[SCAN_GUESSES_MAX];
    assert_int_equal(guess(f, 1, 9600, g), 0);
}

static void one_plausible_number_is_weak_evidence(void **state)
{
    struct fixture *f = *state;
    struct scan_guess g[SCAN_GUESSES_MAX];
    put(&f->device, POINT_HOLDING, 0, 154);
    int n = guess(f, 1, 4800, g);
    for (int i = 0; i < n; i++)
        assert_true(g[i].score <= 40);
}

static void registers_full_of_zeros_prove_nothing(void **state)
{
    struct fixture *f = *state;
    struct scan_guess g[SCAN_GUESSES_MAX];
    memset(f->device.there, true, sizeof f->device.there);
    int n = guess(f, 1, 9600, g);
    for (int i = 0; i < n; i++)
        assert_true(g[i].score < 50);
}

static void no_register_is_read_twice(void **state)
{
    struct fixture *f = *state;
    struct scan_guess g[SCAN_GUESSES_MAX];
    make_soil_probe(&f->device);
    guess(f, 37, 4800, g);
    assert_true(f->device.reads < 40 * (int)f->profiles.count / 10);
}

static void a_device_at_an_address_for_all_tells_its_own_number(void **state)
{
    struct fixture *f = *state;
    struct scan_device d = {.read = read_device, .context = &f->device};
    assert_int_equal(scan_own_unit(&d, &f->profiles), 0);
    make_soil_probe(&f->device);
    assert_int_equal(scan_own_unit(&d, &f->profiles), 37);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expect_speaks_of_one_register_a_word),
        cmocka_unit_test(expect_knows_floats_of_two_registers),
        cmocka_unit_test(what_expect_does_not_understand_is_an_error),
        TEST(a_soil_probe_is_recognised_by_what_its_profile_expects),
        TEST(a_register_that_holds_another_number_counts_against_a_model),
        TEST(a_meter_over_tcp_needs_no_line),
        TEST(a_device_that_refuses_everything_is_no_model),
        TEST(one_plausible_number_is_weak_evidence),
        TEST(registers_full_of_zeros_prove_nothing),
        TEST(no_register_is_read_twice),
        TEST(a_device_at_an_address_for_all_tells_its_own_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
