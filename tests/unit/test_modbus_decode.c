/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../drivers/modbus_decode.h"

static struct decimal number(const char *text)
{
    struct decimal d;
    assert_int_equal(decimal_parse(text, &d), 0);
    return d;
}

static struct reading decode(const struct point *p, uint64_t value, size_t bytes)
{
    /* Written from the definition of the orders: which byte of the value, A first, comes when. */
    static const size_t of4[4][4] = {{0, 1, 2, 3}, {2, 3, 0, 1}, {1, 0, 3, 2}, {3, 2, 1, 0}};
    static const size_t of8[4][8] = {{0, 1, 2, 3, 4, 5, 6, 7},
                                     {6, 7, 4, 5, 2, 3, 0, 1},
                                     {1, 0, 3, 2, 5, 4, 7, 6},
                                     {7, 6, 5, 4, 3, 2, 1, 0}};
    static const size_t of2[4][2] = {{0, 1}, {0, 1}, {1, 0}, {1, 0}};
    const size_t *order = bytes == 2 ? of2[p->order] : bytes == 4 ? of4[p->order] : of8[p->order];
    uint8_t wire[8];
    for (size_t i = 0; i < bytes; i++)
        wire[i] = (uint8_t)(value >> 8 * (bytes - 1 - order[i]));
    struct reading r;
    modbus_decode_registers(p, wire, &r);
    return r;
}

static void assert_number(struct reading r, const char *expected)
{
    char text[DECIMAL_TEXT_MAX];
    assert_int_equal(r.quality, QUALITY_GOOD);
    assert_int_equal(r.value.kind, VALUE_NUMBER);
    decimal_format(r.value.number, text);
    assert_string_equal(text, expected);
}

static void assert_every_order(enum point_type type, uint64_t pattern, size_t bytes, const char *expected)
{
    for (int order = POINT_ABCD; order <= POINT_DCBA; order++) {
        struct point p = {.type = type, .order = (enum point_order)order, .scale = number("1")};
        assert_number(decode(&p, pattern, bytes), expected);
    }
}

static void every_type_is_read_in_every_order(void **state)
{
    (void)state;
    assert_every_order(POINT_UINT16, 0xFF9B, 2, "65435");
    assert_every_order(POINT_INT16, 0xFF9B, 2, "-101");
    assert_every_order(POINT_INT16, 0x8000, 2, "-32768");
    assert_every_order(POINT_UINT32, 0xFEDCBA98, 4, "4275878552");
    assert_every_order(POINT_INT32, 0xFEDCBA98, 4, "-19088744");
    assert_every_order(POINT_INT32, 0x01234567, 4, "19088743");
    assert_every_order(POINT_UINT64, 0xFEDCBA9876543210, 8, "18364758544493064720");
    assert_every_order(POINT_INT64, 0xFEDCBA9876543210, 8, "-81985529216486896");
    assert_every_order(POINT_UINT64, UINT64_MAX, 8, "18446744073709551615");
    assert_every_order(POINT_INT64, 0x8000000000000000, 8, "-9223372036854775808");
    assert_every_order(POINT_FLOAT32, 0x41BB3333, 4, "23.4");
    assert_every_order(POINT_FLOAT32, 0xC2200000, 4, "-40");
    assert_every_order(POINT_FLOAT64, 0x4037666666666666, 8, "23.4");
}

static void a_bool_is_whether_the_register_is_not_zero(void **state)
{
    (void)state;
    for (int order = POINT_ABCD; order <= POINT_DCBA; order++) {
        struct point p = {.type = POINT_BOOL, .order = (enum point_order)order};
        struct reading r = decode(&p, 0x0100, 2);
        assert_int_equal(r.quality, QUALITY_GOOD);
        assert_int_equal(r.value.kind, VALUE_BOOL);
        assert_true(r.value.boolean);
        assert_false(decode(&p, 0, 2).value.boolean);
    }
}

static void one_bit_of_a_register_is_a_bool(void **state)
{
    (void)state;
    struct point p = {.type = POINT_BOOL, .has_bits = true, .bit_first = 15, .bit_last = 15};
    assert_true(decode(&p, 0x8000, 2).value.boolean);
    assert_false(decode(&p, 0x7FFF, 2).value.boolean);
}

static void several_bits_are_a_number_without_sign(void **state)
{
    (void)state;
    struct point p = {
        .type = POINT_INT16, .has_bits = true, .bit_first = 4, .bit_last = 7, .scale = number("1")};
    assert_number(decode(&p, 0xABCD, 2), "12");
    p.bit_first = 0;
    p.bit_last = 15;
    assert_number(decode(&p, 0xFFFF, 2), "65535");
    p.bit_last = 7;
    p.order = POINT_BADC;
    assert_number(decode(&p, 0xAB12, 2), "18");
}

static void a_coil_is_a_bool(void **state)
{
    (void)state;
    struct reading r;
    modbus_decode_bit(true, &r);
    assert_int_equal(r.value.kind, VALUE_BOOL);
    assert_true(r.value.boolean);
    modbus_decode_bit(false, &r);
    assert_int_equal(r.quality, QUALITY_GOOD);
    assert_false(r.value.boolean);
}

static void scale_and_offset_are_exact(void **state)
{
    (void)state;
    struct point p = {.type = POINT_INT16, .scale = number("0.1")};
    assert_number(decode(&p, 234, 2), "23.4");
    assert_number(decode(&p, 0xFF9B, 2), "-10.1");
    p.offset = number("-40");
    assert_number(decode(&p, 651, 2), "25.1");
    struct point f = {.type = POINT_FLOAT32, .scale = number("0.001"), .offset = number("0.7")};
    assert_number(decode(&f, 0x41BB3333, 4), "0.7234");
}

static void what_has_too_many_digits_becomes_the_nearest_double(void **state)
{
    (void)state;
    struct point p = {.type = POINT_UINT64, .scale = number("0.333333333333333333")};
    assert_number(decode(&p, 1000000000000000003, 8), "333333333333333300");
}

static void nan_and_infinity_are_a_sensor_fault(void **state)
{
    (void)state;
    struct point p = {.type = POINT_FLOAT32, .scale = number("1")};
    static const uint32_t patterns[] = {0x7FC00000, 0xFFFFFFFF, 0x7F800000, 0xFF800000};
    for (size_t i = 0; i < 4; i++) {
        struct reading r = decode(&p, patterns[i], 4);
        assert_int_equal(r.quality, QUALITY_SENSOR_FAULT);
        assert_int_equal(r.value.kind, VALUE_NONE);
    }
    p.type = POINT_FLOAT64;
    assert_int_equal(decode(&p, 0x7FF0000000000000, 8).quality, QUALITY_SENSOR_FAULT);
}

static void invalid_values_are_a_sensor_fault(void **state)
{
    (void)state;
    struct point p = {
        .type = POINT_INT16, .scale = number("0.1"), .invalid_count = 2, .invalid = {-9999, 32767}};
    assert_int_equal(decode(&p, 0xD8F1, 2).quality, QUALITY_SENSOR_FAULT);
    assert_int_equal(decode(&p, 0x7FFF, 2).quality, QUALITY_SENSOR_FAULT);
    assert_number(decode(&p, 0x7FFE, 2), "3276.6");
    struct point f = {.type = POINT_FLOAT32, .scale = number("1"), .invalid_count = 1, .invalid = {-9999}};
    assert_int_equal(decode(&f, 0xC61C3C00, 4).quality, QUALITY_SENSOR_FAULT);
    struct point b = {.type = POINT_BOOL, .invalid_count = 1, .invalid = {65535}};
    assert_int_equal(decode(&b, 0xFFFF, 2).quality, QUALITY_SENSOR_FAULT);
}

static void an_invalid_pattern_may_be_written_with_or_without_sign(void **state)
{
    (void)state;
    struct point s = {.type = POINT_INT16, .scale = number("1"), .invalid_count = 1, .invalid = {65535}};
    assert_int_equal(decode(&s, 0xFFFF, 2).quality, QUALITY_SENSOR_FAULT);
    struct point u = {.type = POINT_UINT16, .scale = number("1"), .invalid_count = 1, .invalid = {-1}};
    assert_int_equal(decode(&u, 0xFFFF, 2).quality, QUALITY_SENSOR_FAULT);
    u.invalid[0] = 65536 + 5; /* fits no 16-bit pattern, so it matches none */
    assert_number(decode(&u, 5, 2), "5");
    struct point w = {.type = POINT_UINT64, .scale = number("1"), .invalid_count = 1, .invalid = {-1}};
    assert_int_equal(decode(&w, UINT64_MAX, 8).quality, QUALITY_SENSOR_FAULT);
}

static void an_implausible_value_is_kept_and_marked(void **state)
{
    (void)state;
    struct point p = {.type = POINT_UINT16,
                      .scale = number("0.1"),
                      .has_min = true,
                      .has_max = true,
                      .min = number("-40"),
                      .max = number("80")};
    struct reading r = decode(&p, 65535, 2);
    assert_int_equal(r.quality, QUALITY_OUT_OF_RANGE);
    assert_int_equal(r.value.kind, VALUE_NUMBER);
    assert_int_equal(decimal_compare(r.value.number, number("6553.5")), 0);
    assert_number(decode(&p, 800, 2), "80");
    assert_int_equal(decode(&p, 801, 2).quality, QUALITY_OUT_OF_RANGE);
    p.type = POINT_INT16;
    assert_number(decode(&p, 0xFE70, 2), "-40");
    assert_int_equal(decode(&p, 0xFE6F, 2).quality, QUALITY_OUT_OF_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read_in_every_order),
        cmocka_unit_test(a_bool_is_whether_the_register_is_not_zero),
        cmocka_unit_test(one_bit_of_a_register_is_a_bool),
        cmocka_unit_test(several_bits_are_a_number_without_sign),
        cmocka_unit_test(a_coil_is_a_bool),
        cmocka_unit_test(scale_and_offset_are_exact),
        cmocka_unit_test(what_has_too_many_digits_becomes_the_nearest_double),
        cmocka_unit_test(nan_and_infinity_are_a_sensor_fault),
        cmocka_unit_test(invalid_values_are_a_sensor_fault),
        cmocka_unit_test(an_invalid_pattern_may_be_written_with_or_without_sign),
        cmocka_unit_test(an_implausible_value_is_kept_and_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
