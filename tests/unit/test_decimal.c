/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../gateway/decimal.h"
#include "../../gateway/err.h"

#define SEED 20261121u

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

static void assert_text(struct decimal d, const char *expected)
{
    char text[DECIMAL_TEXT_MAX];
    size_t len = decimal_format(d, text);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
}

static void assert_product(const char *a, const char *b, const char *expected)
{
    struct decimal d;
    assert_int_equal(decimal_multiply(parsed(a), parsed(b), &d), 0);
    assert_text(d, expected);
}

static void assert_sum(const char *a, const char *b, const char *expected)
{
    struct decimal d;
    assert_int_equal(decimal_add(parsed(a), parsed(b), &d), 0);
    assert_text(d, expected);
    assert_int_equal(decimal_add(parsed(b), parsed(a), &d), 0);
    assert_text(d, expected);
}

static void a_register_times_its_scale_is_exact(void **state)
{
    (void)state;
    assert_product("234", "0.1", "23.4");
    assert_product("-101", "0.1", "-10.1");
    assert_product("2500", "0.04", "100");
    assert_product("65535", "0.001", "65.535");
    assert_product("0", "-0.1", "0");
    assert_product("18446744073709551615", "1", "18446744073709551615");
    assert_product("18446744073709551615", "0.2", "3689348814741910323");
    assert_product("9223372036854775808", "1.953125", "18014398509481984000");
}

static void a_product_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct decimal d;
    assert_int_equal(decimal_multiply(parsed("18446744073709551615"), parsed("3"), &d), FG_ERANGE);
    assert_int_equal(decimal_multiply(parsed("1e30000"), parsed("1e30000"), &d), FG_ERANGE);
}

static void an_offset_is_added_exactly(void **state)
{
    (void)state;
    assert_sum("23.4", "-40", "-16.6");
    assert_sum("0.1", "0.2", "0.3");
    assert_sum("5", "-5", "0");
    assert_sum("1e3", "0.001", "1000.001");
    assert_sum("9999999999999999999", "1", "10000000000000000000");
    assert_sum("18446744073709551615", "5", "18446744073709551620");
    assert_sum("20000000000000000000", "-15000000000000000001", "4999999999999999999");
    assert_sum("0", "7.5", "7.5");
}

static void a_sum_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct decimal d;
    assert_int_equal(decimal_add(parsed("18446744073709551615"), parsed("1"), &d), FG_ERANGE);
    assert_int_equal(decimal_add(parsed("1e19"), parsed("0.01"), &d), FG_ERANGE);
    assert_int_equal(decimal_add(parsed("1e300"), parsed("1"), &d), FG_ERANGE);
}

static void whole_numbers_keep_all_64_bits(void **state)
{
    (void)state;
    assert_text(decimal_from_int(INT64_MIN), "-9223372036854775808");
    assert_text(decimal_from_int(-1), "-1");
    assert_text(decimal_from_int(0), "0");
    assert_text(decimal_from_uint(UINT64_MAX), "18446744073709551615");
    assert_text(decimal_from_uint(1000), "1000");
}

static void text_is_read_as_written(void **state)
{
    (void)state;
    struct decimal d = parsed("-40.50");
    assert_true(d.negative);
    assert_int_equal(d.magnitude, 405);
    assert_int_equal(d.exponent, -1);
    assert_text(parsed("1e-3"), "0.001");
    assert_text(parsed("1.5E+3"), "1500");
    assert_text(parsed("-0.0"), "0");
    assert_text(parsed("100000000000000000000"), "100000000000000000000");
    assert_text(parsed("0.000000000000000000000000000001"), "1e-30");
    assert_text(parsed("007"), "7");
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     "-",   ".",     "e5",  "1e",  "1e+", "0x10", "1 ",
        " 1",   "1,5", "1.2.3", "nan", "inf", "--1", "1f",   "12345678901234567890123x",
        "1e5.0"};
    struct decimal d;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (decimal_parse(bad[i], &d) != FG_EINVALID)
            fail_msg("\"%s\" was not refused", bad[i]);
    assert_int_equal(decimal_parse("12345678901234567890123", &d), FG_ERANGE);
    assert_int_equal(decimal_parse("1e99999999999", &d), FG_ERANGE);
}

static void comparison_is_exact_across_exponents(void **state)
{
    (void)state;
    static const char *const rising[] = {"-1e300",
                                         "-18446744073709551615",
                                         "-2",
                                         "-1.999999999999999999",
                                         "-1e-300",
                                         "0",
                                         "1e-300",
                                         "0.1",
                                         "0.10000000000000001",
                                         "1",
                                         "18446744073709551614",
                                         "18446744073709551615",
                                         "1.844674407370955162e19",
                                         "1e300"};
    size_t n = sizeof rising / sizeof *rising;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            int expected = i < k ? -1 : i > k;
            if (decimal_compare(parsed(rising[i]), parsed(rising[k])) != expected)
                fail_msg("compare(%s, %s) is not %d", rising[i], rising[k], expected);
        }
    }
    assert_int_equal(decimal_compare((struct decimal){.magnitude = 1000, .exponent = -1}, parsed("100")), 0);
    assert_int_equal(decimal_compare((struct decimal){.negative = true}, parsed("0")), 0);
}

static void formatting_is_the_shortest_json(void **state)
{
    (void)state;
    assert_text(parsed("1e20"), "100000000000000000000");
    assert_text(parsed("1e21"), "1e21");
    assert_text(parsed("123e30"), "1.23e32");
    assert_text(parsed("1e-9"), "0.000000001");
    assert_text(parsed("9.5e-10"), "9.5e-10");
    assert_text(parsed("-0.05"), "-0.05");
    assert_text((struct decimal){.magnitude = 23400, .exponent = -3}, "23.4");
    assert_text((struct decimal){.magnitude = 18446744073709551615u, .exponent = INT16_MIN},
                "1.8446744073709551615e-32749");
}

static void assert_float(float value, const char *expected)
{
    struct decimal d;
    assert_int_equal(decimal_from_float(value, &d), 0);
    assert_text(d, expected);
}

static void assert_double(double value, const char *expected)
{
    struct decimal d;
    assert_int_equal(decimal_from_double(value, &d), 0);
    assert_text(d, expected);
}

static void floats_take_their_shortest_form(void **state)
{
    (void)state;
    assert_float(23.4f, "23.4");
    assert_float(-0.0f, "0");
    assert_float(16777216.0f, "16777216");
    assert_float(0.1f, "0.1");
    assert_float(3.4028235e38f, "3.4028235e38");
    assert_float(1e-45f, "1e-45");
    assert_float(-1.17549435e-38f, "-1.1754944e-38");
    assert_double(0.1, "0.1");
    assert_double(0.1 + 0.2, "0.30000000000000004");
    assert_double(5e-324, "5e-324");
    assert_double(1.7976931348623157e308, "1.7976931348623157e308");
    assert_double(0x1p-44, "5.684341886080802e-14"); /* the nearest 16 digits do not read back, the next do */
    struct decimal d;
    assert_int_equal(decimal_from_float(NAN, &d), FG_ERANGE);
    assert_int_equal(decimal_from_double(-INFINITY, &d), FG_ERANGE);
}

static void any_float_reads_back_and_no_shorter_one_does(void **state)
{
    (void)state;
    uint64_t random = SEED;
    print_message("seed %u\n", SEED);
    for (int i = 0; i < 20000; i++) {
        uint32_t bits = (uint32_t)next_random(&random);
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        struct decimal d;
        assert_int_equal(decimal_from_float(value, &d), 0);
        char text[DECIMAL_TEXT_MAX];
        decimal_format(d, text);
        if (strtof(text, NULL) != value)
            fail_msg("%08x became %s", bits, text);
        int digits = snprintf(text, sizeof text, "%llu", (unsigned long long)d.magnitude);
        if (digits > 1) {
            snprintf(text, sizeof text, "%.*e", digits - 2, (double)value);
            assert_true(strtof(text, NULL) != value);
        }
    }
}

static void doubles_come_back_rounded_once(void **state)
{
    (void)state;
    assert_true(decimal_to_double(parsed("23.4")) == 23.4);
    assert_true(decimal_to_double(parsed("-1e-3")) == -0.001);
    assert_true(decimal_to_double(parsed("9007199254740993")) == 9007199254740992.0);
    uint64_t random = SEED + 1;
    print_message("seed %u\n", SEED + 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_random(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        struct decimal d;
        assert_int_equal(decimal_from_double(value, &d), 0);
        assert_true(decimal_to_double(d) == value);
    }
}

static void text_survives_a_round_trip(void **state)
{
    (void)state;
    uint64_t random = SEED + 2;
    print_message("seed %u\n", SEED + 2);
    for (int i = 0; i < 20000; i++) {
        struct decimal d = {.magnitude = next_random(&random) >> (next_random(&random) % 64),
                            .exponent = (int16_t)((int)(next_random(&random) % 81) - 40)};
        d.negative = d.magnitude != 0 && (next_random(&random) & 1);
        char text[DECIMAL_TEXT_MAX];
        decimal_format(d, text);
        assert_int_equal(decimal_compare(parsed(text), d), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_register_times_its_scale_is_exact),
        cmocka_unit_test(a_product_that_does_not_fit_is_refused),
        cmocka_unit_test(an_offset_is_added_exactly),
        cmocka_unit_test(a_sum_that_does_not_fit_is_refused),
        cmocka_unit_test(whole_numbers_keep_all_64_bits),
        cmocka_unit_test(text_is_read_as_written),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(comparison_is_exact_across_exponents),
        cmocka_unit_test(formatting_is_the_shortest_json),
        cmocka_unit_test(floats_take_their_shortest_form),
        cmocka_unit_test(any_float_reads_back_and_no_shorter_one_does),
        cmocka_unit_test(doubles_come_back_rounded_once),
        cmocka_unit_test(text_survives_a_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
