/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../drivers/modbus_decode.h"
#include "../../drivers/modbus_frame.h"

#define SEED 731u

struct golden {
    const char *hex;
    const char *meaning;
    bool right; /* the check sum printed by the source */
};

/* Frames printed in manuals and on pages, every check sum recomputed; the source follows each. */
static const struct golden requests[] = {
    {"FF 03 07 D0 00 01 91 59", "read slave id of the only device", true},  /* CWT manuals */
    {"01 03 00 00 00 07 04 08", "read 7 registers", true},                  /* CWT NPK manual */
    {"01 03 00 00 00 04 44 09", "read 4 registers", true},                  /* CWT THCPH manual */
    {"01 03 00 00 00 03 05 CB", "read 3 registers", true},                  /* CWT THC manual */
    {"FE 04 00 03 00 01 D5 C5", "read CO2 at any address", true},           /* SFeli/ESP32_S8 README */
    {"01 03 00 00 00 05 85 C9", "Sonbest SM7590B read 5 registers", true},  /* sonbest.com */
    {"00 03 00 01 00 01 D4 1B", "Souli leaf sensor, station number", true}, /* souli.cn */
    {"01 03 00 04 00 02 85 CA", "INVT read 2 words", true},                 /* INVT manuals */
};

static const struct golden replies[] = {
    {"FF 03 02 00 01 50 50", "slave id is 1", true}, /* CWT manuals */
    {"01 03 0E 01 D0 01 4C 00 2C 00 5A 00 20 00 58 00 68 70 29", "46.4 % 33.2 C ...",
     true}, /* CWT NPK manual */
    {"01 03 08 02 92 FF 9B 03 E8 00 38 38 75", "65.8 % -10.1 C; right is 57 B6",
     false},                                                                       /* CWT THCPH manual */
    {"01 03 06 02 92 FF 9B 03 E8 38 75", "65.8 % -10.1 C; right is D8 0F", false}, /* CWT THC manual */
    {"01 04 14 08 D1 00 6C 00 00 00 F4 00 00 00 26 00 00 01 F4 00 64 00 00 51 34", "PZEM 225.7 V",
     true},                                                                       /* PZEM */
    {"FE 04 02 03 88 D5 C5", "904 ppm; right is AD B2", false},                   /* SFeli/ESP32_S8 README */
    {"01 03 0A 00 79 00 7A 00 7B 00 7C 00 7D 19 E4", "right is 15 10", false},    /* sonbest.com */
    {"01 03 0A 00 7D 00 00 00 00 00 00 00 00 19 E4", "Sonbest first line", true}, /* sonbest.com */
    {"00 03 02 00 FF C5 C4", "station number 255", true},                         /* souli.cn */
};

static const struct golden others[] = {
    {"01 06 07 D0 00 02 08 86", "set slave id 2", true},             /* CWT manuals */
    {"01 06 07 D1 00 02 59 46", "set baud code 2", true},            /* CWT manuals */
    {"01 06 00 04 00 20 C9 D3", "overwrite nitrogen with 32", true}, /* CWT NPK manual */
    {"02 06 00 04 13 88 C5 6E", "INVT write 5000", true},            /* INVT manuals */
};

static size_t bytes_of(const char *hex, uint8_t *ret)
{
    size_t n = 0;
    for (char *end; *hex; hex = end)
        ret[n++] = (uint8_t)strtoul(hex, &end, 16);
    return n;
}

/* The request that this answer would be for. */
static struct modbus_request request_for(const uint8_t *reply)
{
    return (struct modbus_request){reply[0], reply[1], 0, (uint16_t)(reply[2] / 2)};
}

static void requests_come_out_as_the_manuals_print_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        uint8_t printed[16], built[8];
        assert_int_equal(bytes_of(requests[i].hex, printed), 8);
        struct modbus_request r = {printed[0], printed[1], (uint16_t)(printed[2] << 8 | printed[3]),
                                   (uint16_t)(printed[4] << 8 | printed[5])};
        modbus_frame_request_rtu(&r, built);
        assert_memory_equal(built, printed, 8);
    }
}

static void replies_with_a_right_check_sum_are_found_and_others_refused(void **state)
{
    (void)state;
    size_t refused = 0;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        uint8_t bytes[64];
        size_t len = bytes_of(replies[i].hex, bytes);
        struct modbus_request r = request_for(bytes);
        struct modbus_frame f = modbus_frame_find_rtu(bytes, len, &r, true);
        if (replies[i].right) {
            assert_int_equal(f.kind, MODBUS_FRAME_REPLY);
            assert_int_equal(f.data_len, bytes[2]);
            assert_ptr_equal(f.data, bytes + 3);
        } else {
            refused++;
            assert_int_equal(f.kind, MODBUS_FRAME_NONE);
            assert_true(modbus_frame_broken(bytes, len, &r));
        }
    }
    assert_int_equal(refused, 4);
}

static void a_broken_answer_is_whole_only_at_its_full_length(void **state)
{
    (void)state;
    const struct modbus_request r = {1, 3, 0, 2};
    uint8_t bytes[] = {1, 3, 4, 0x11, 0x22, 0x33, 0x44, 0xDE, 0xAD, 0x00};
    const size_t whole = sizeof bytes - 1;
    assert_false(modbus_frame_broken_whole(bytes, whole - 1, &r));
    assert_true(modbus_frame_broken_whole(bytes, whole, &r));
    assert_false(modbus_frame_broken_whole(bytes, whole + 1, &r)); /* a byte too many: more may come */
    bytes[2] = 6; /* a wrong bit in the count: nobody knows how much is still to come */
    assert_false(modbus_frame_broken_whole(bytes, whole, &r));
}

static void a_broken_exception_may_be_the_head_of_an_answer(void **state)
{
    (void)state;
    const struct modbus_request r = {1, 3, 0, 20};
    const uint8_t bytes[] = {1, 0x83, 40, 0x11, 0x22};
    assert_true(modbus_frame_broken(bytes, sizeof bytes, &r));
    assert_false(modbus_frame_broken_whole(bytes, sizeof bytes, &r));
}

static void frames_of_another_master_are_foreign(void **state)
{
    (void)state;
    struct modbus_request r = {1, 3, 0, 7};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        uint8_t bytes[64];
        size_t len = bytes_of(others[i].hex, bytes);
        struct modbus_frame f = modbus_frame_find_rtu(bytes, len, &r, false);
        assert_int_equal(f.kind, MODBUS_FRAME_FOREIGN);
        assert_int_equal(f.len, len);
    }
}

static void the_soil_probes_answer_reads_as_its_manual_says(void **state)
{
    (void)state;
    uint8_t bytes[64];
    bytes_of(replies[1].hex, bytes);
    static const char *const expected[] = {"46.4", "33.2", "44", "9", "32", "88", "104"};
    for (size_t i = 0; i < 7; i++) {
        bool tenth = i < 2 || i == 3;
        struct point p = {.type = POINT_INT16, .scale = {1, tenth ? -1 : 0, false}};
        struct reading reading;
        char text[DECIMAL_TEXT_MAX];
        modbus_decode_registers(&p, bytes + 3 + 2 * i, &reading);
        assert_int_equal(reading.quality, QUALITY_GOOD);
        decimal_format(reading.value.number, text);
        assert_string_equal(text, expected[i]);
    }
}

static void an_answer_is_awaited_until_it_is_whole(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t len = bytes_of(replies[1].hex, bytes);
    struct modbus_request r = request_for(bytes);
    for (size_t n = 0; n < len; n++)
        assert_int_equal(modbus_frame_find_rtu(bytes, n, &r, false).kind, MODBUS_FRAME_NONE);
    assert_int_equal(modbus_frame_find_rtu(bytes, len, &r, false).kind, MODBUS_FRAME_REPLY);
}

static void a_false_beginning_does_not_hide_the_answer_for_ever(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t len = bytes_of("01 03 0E 00 "
                          "01 03 0E 01 D0 01 4C 00 2C 00 5A 00 20 00 58 00 68 70 29",
                          bytes);
    struct modbus_request r = {1, 3, 0, 7};
    struct modbus_frame f = modbus_frame_find_rtu(bytes, len, &r, false);
    assert_int_equal(f.kind, MODBUS_FRAME_REPLY);
    assert_int_equal(f.offset, 4);
    f = modbus_frame_find_rtu(bytes + 4, 10, &r, true);
    assert_int_equal(f.kind, MODBUS_FRAME_NONE);
}

static void an_answer_of_the_wrong_length_or_function_is_foreign(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t len = bytes_of(replies[1].hex, bytes);
    struct modbus_request longer = {1, 3, 0, 8}, other = {1, 4, 0, 7}, unit = {2, 3, 0, 7};
    assert_int_equal(modbus_frame_find_rtu(bytes, len, &longer, true).kind, MODBUS_FRAME_FOREIGN);
    assert_int_equal(modbus_frame_find_rtu(bytes, len, &other, true).kind, MODBUS_FRAME_FOREIGN);
    assert_int_equal(modbus_frame_find_rtu(bytes, len, &unit, true).kind, MODBUS_FRAME_FOREIGN);
}

static void any_single_flipped_bit_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t len = bytes_of(replies[1].hex, bytes);
    struct modbus_request r = request_for(bytes);
    for (size_t bit = 0; bit < len * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(modbus_frame_find_rtu(bytes, len, &r, true).kind, MODBUS_FRAME_REPLY);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void noise_of_any_kind_stays_inside_its_bytes(void **state)
{
    (void)state;
    print_message("seed %u\n", SEED);
    uint32_t random = SEED;
    struct modbus_request r = {1, 3, 0, 7};
    for (int i = 0; i < 3000; i++) {
        size_t len = (random >> 16) % 64;
        uint8_t *bytes = malloc(len + 1); /* of just this size, so that sanitizers see a step too far */
        assert_non_null(bytes);
        for (size_t k = 0; k < len; k++) {
            random = random * 1664525u + 1013904223u;
            /* Mostly bytes that look like the head of something. */
            bytes[k] = (uint8_t)(random >> 24 & ((random >> 8 & 3) ? 0x87 : 0xFF));
        }
        random = random * 1664525u + 1013904223u;
        struct modbus_frame f = modbus_frame_find_rtu(bytes, len, &r, (random & 1) != 0);
        assert_true(f.offset + f.len <= len);
        f = modbus_frame_find_tcp(bytes, len, &r, 1);
        assert_true(f.offset + f.len <= len);
        free(bytes);
    }
}

static void tcp_answers_are_known_by_number_unit_and_content(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct modbus_request r = {1, 3, 0, 2};
    size_t len = bytes_of("00 09 00 00 00 07 01 03 04 00 0A 00 0B", bytes);
    struct modbus_frame f = modbus_frame_find_tcp(bytes, len, &r, 9);
    assert_int_equal(f.kind, MODBUS_FRAME_REPLY);
    assert_int_equal(f.data_len, 4);
    assert_int_equal(f.data[3], 0x0B);
    assert_int_equal(modbus_frame_find_tcp(bytes, len - 1, &r, 9).kind, MODBUS_FRAME_NONE);
    f = modbus_frame_find_tcp(bytes, len, &r, 10);
    assert_int_equal(f.kind, MODBUS_FRAME_FOREIGN);
    assert_int_equal(f.transaction, 9);
    bytes[6] = 2;
    assert_int_equal(modbus_frame_find_tcp(bytes, len, &r, 9).kind, MODBUS_FRAME_FOREIGN);
    bytes[6] = 1;
    bytes[8] = 6; /* a byte count that the frame does not hold */
    assert_int_equal(modbus_frame_find_tcp(bytes, len, &r, 9).kind, MODBUS_FRAME_FOREIGN);
    bytes[3] = 1;
    assert_int_equal(modbus_frame_find_tcp(bytes, len, &r, 9).kind, MODBUS_FRAME_GARBAGE);
    len = bytes_of("00 09 00 00 00 03 01 83 02", bytes);
    f = modbus_frame_find_tcp(bytes, len, &r, 9);
    assert_int_equal(f.kind, MODBUS_FRAME_EXCEPTION);
    assert_int_equal(f.exception, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_out_as_the_manuals_print_them),
        cmocka_unit_test(replies_with_a_right_check_sum_are_found_and_others_refused),
        cmocka_unit_test(a_broken_answer_is_whole_only_at_its_full_length),
        cmocka_unit_test(a_broken_exception_may_be_the_head_of_an_answer),
        cmocka_unit_test(frames_of_another_master_are_foreign),
        cmocka_unit_test(the_soil_probes_answer_reads_as_its_manual_says),
        cmocka_unit_test(an_answer_is_awaited_until_it_is_whole),
        cmocka_unit_test(a_false_beginning_does_not_hide_the_answer_for_ever),
        cmocka_unit_test(an_answer_of_the_wrong_length_or_function_is_foreign),
        cmocka_unit_test(any_single_flipped_bit_is_refused),
        cmocka_unit_test(noise_of_any_kind_stays_inside_its_bytes),
        cmocka_unit_test(tcp_answers_are_known_by_number_unit_and_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
