/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../gateway/json.h"
#include "../../gateway/sample.h"

static const char BOOT[] = "0123456789abcdef0123456789abcdef";

static struct reading number(const char *text)
{
    struct reading r = {.quality = QUALITY_GOOD, .value = {.kind = VALUE_NUMBER}};
    assert_int_equal(decimal_parse(text, &r.value.number), 0);
    return r;
}

static struct reading boolean(bool value)
{
    return (struct reading){.quality = QUALITY_GOOD, .value = {.kind = VALUE_BOOL, .boolean = value}};
}

static struct reading bad(enum quality q)
{
    return (struct reading){.quality = q};
}

static void expect_body(const struct reading *readings, size_t count, const char *expected)
{
    struct sample s = {.count = count, .readings = readings, .clock_trusted = true};
    struct buf body = BUF_INIT;
    sample_encode_body(&s, &body);
    assert_true(buf_ok(&body));
    assert_string_equal(body.data, expected);
    buf_fini(&body);
}

static void a_body_holds_one_element_per_point_in_layout_order(void **state)
{
    (void)state;
    struct reading doubtful = number("6553.5");
    doubtful.quality = QUALITY_OUT_OF_RANGE;
    const struct reading r[] = {number("23.4"), number("-0.05"),          boolean(true),
                                boolean(false), bad(QUALITY_NOT_DUE),     bad(QUALITY_BAD_CRC),
                                doubtful,       bad(QUALITY_SENSOR_FAULT)};
    expect_body(r, 8, "[23.4,-0.05,true,false,null,\"bad_crc\",[\"out_of_range\",6553.5],\"sensor_fault\"]");
}

static void a_device_without_points_has_an_empty_array(void **state)
{
    (void)state;
    expect_body(NULL, 0, "[]");
}

static void a_good_reading_without_a_value_is_never_taken_for_not_due(void **state)
{
    (void)state;
    const struct reading r[] = {bad(QUALITY_GOOD), bad(QUALITY_OUT_OF_RANGE)};
    expect_body(r, 2, "[\"sensor_fault\",\"out_of_range\"]");
}

static void a_failed_poll_is_one_word(void **state)
{
    (void)state;
    const struct reading r[] = {number("1")};
    struct sample s = {.failed = QUALITY_NO_REPLY, .count = 1, .readings = r};
    struct buf body = BUF_INIT;
    sample_encode_body(&s, &body);
    assert_string_equal(body.data, "\"no_reply\"");
    buf_fini(&body);
}

static void each_quality_has_its_own_published_word(void **state)
{
    (void)state;
    static const char *const words[QUALITY_COUNT] = {
        "good",      "not_due",       "no_reply",     "bad_crc",      "bad_frame",
        "exception", "not_connected", "sensor_fault", "out_of_range", "config_error"};
    for (int q = 0; q < QUALITY_COUNT; q++)
        assert_string_equal(quality_word((enum quality)q), words[q]);
}

static void extra_is_empty_when_nothing_is_unusual(void **state)
{
    (void)state;
    struct sample s = {.clock_trusted = true};
    struct buf extra = BUF_INIT;
    sample_encode_extra(&s, BOOT, &extra);
    assert_int_equal(extra.len, 0);
    buf_fini(&extra);
}

static void only_a_time_of_this_boot_is_corrected(void **state)
{
    static const char *const kept[] = {
        "",
        "{\"missed\":2}",
        "{\"clock\":\"corrected\"}",
        "{\"clock\":\"untrusted\",\"boot\":\"ffffffffffffffffffffffffffffffff\",\"up_ms\":7}",
        "{\"clock\":\"untrusted\",\"boot\":\"0123456789abcdef0123456789abcdef\",\"up_ms\":",
        "{\"clock\":\"untrusted\",\"boot\":\"0123456789abcdef0123456789abcdef\",\"up_ms\":"
        "99999999999999999999}"};
    struct sample s = {.missed = 2, .mono_ms = 1234567};
    struct buf extra = BUF_INIT, out = BUF_INIT;
    int64_t then;
    (void)state;
    sample_encode_extra(&s, BOOT, &extra);
    assert_true(sample_correct_extra(extra.data, extra.len, BOOT, &then, &out));
    assert_int_equal(then, 1234567);
    assert_string_equal(out.data, "{\"missed\":2,\"clock\":\"corrected\"}");
    buf_reset(&out);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        assert_false(sample_correct_extra(kept[i], strlen(kept[i]), BOOT, &then, &out));
    assert_int_equal(out.len, 0);
    buf_fini(&extra);
    buf_fini(&out);
}

static void expect_extra(const struct sample *s, const char *expected)
{
    struct buf extra = BUF_INIT;
    sample_encode_extra(s, BOOT, &extra);
    assert_string_equal(extra.data, expected);
    buf_fini(&extra);
}

static void extra_names_missed_periods_and_an_untrusted_clock(void **state)
{
    (void)state;
    struct sample s = {.clock_trusted = true, .missed = 4294967295u, .mono_ms = 12345};
    expect_extra(&s, "{\"missed\":4294967295}");
    s.clock_trusted = false;
    s.missed = 2;
    expect_extra(&s, "{\"missed\":2,\"clock\":\"untrusted\",\"boot\":\"0123456789abcdef0123456789abcdef\","
                     "\"up_ms\":12345}");
    s.missed = 0;
    expect_extra(&s,
                 "{\"clock\":\"untrusted\",\"boot\":\"0123456789abcdef0123456789abcdef\",\"up_ms\":12345}");
}

static void a_reused_buffer_stops_growing(void **state)
{
    (void)state;
    const struct reading r[] = {number("23.4"), number("29.1"), bad(QUALITY_EXCEPTION)};
    struct sample s = {.count = 3, .readings = r, .missed = 1};
    struct buf body = BUF_INIT;
    sample_encode_body(&s, &body);
    const char *data = body.data;
    size_t cap = body.cap;
    for (int i = 0; i < 100; i++) {
        buf_reset(&body);
        sample_encode_body(&s, &body);
    }
    assert_ptr_equal(body.data, data);
    assert_int_equal(body.cap, cap);
    buf_fini(&body);
}

/* Walks a copy that ends exactly where the text ends, so that the sanitizer sees a look beyond it. Returns
 * the number of elements, or -1 - that number when the walk stopped before the end. */
static int walk(const char *text, size_t len, char *joined, size_t cap)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    const char *cursor = copy, *end = copy + len;
    struct sample_element e;
    int n = 0;
    size_t used = 0;
    while (sample_next_element(&cursor, end, &e)) {
        assert_true(e.text >= copy && e.text + e.len <= end && e.len > 0);
        if (joined)
            used += (size_t)snprintf(joined + used, cap - used, "%.*s|", (int)e.len, e.text);
        n++;
        assert_true(n <= (int)len);
    }
    int result = cursor == end && len > 0 ? n : -1 - n;
    assert_false(sample_next_element(&cursor, end, &e));
    free(copy);
    return result;
}

static void expect_elements(const char *text, int count, const char *joined)
{
    char got[512] = "";
    assert_int_equal(walk(text, strlen(text), got, sizeof(got)), count);
    assert_string_equal(got, joined);
}

static void a_walk_yields_every_element_as_it_stands(void **state)
{
    (void)state;
    expect_elements("[23.4,true,false,null,\"bad_crc\",[\"out_of_range\",9.9],-0.5e-7]", 7,
                    "23.4|true|false|null|\"bad_crc\"|[\"out_of_range\",9.9]|-0.5e-7|");
    expect_elements("[]", 0, "");
    expect_elements(" [ 1 , [ \"a\" , 2 ] ] " + 1, 2, "1|[ \"a\" , 2 ]|");
    expect_elements("[{\"n\":1,\"min\":-2.5},{},[]]", 3, "{\"n\":1,\"min\":-2.5}|{}|[]|");
    expect_elements("[\"a\\\"b\\\\,]\\u00e9\"]", 1, "\"a\\\"b\\\\,]\\u00e9\"|");
}

static void a_walk_stops_before_what_is_not_json(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int before; /* elements yielded before the damage */
    } cases[] = {
        {"", 0},
        {"\"no_reply\"", 0},
        {"1", 0},
        {"[", 0},
        {"[1", 0},
        {"[1,", 1},
        {"[1,]", 1},
        {"[,1]", 0},
        {"[1 2]", 0},
        {"[01]", 0},
        {"[1.]", 0},
        {"[.5]", 0},
        {"[-]", 0},
        {"[+1]", 0},
        {"[1e]", 0},
        {"[nul]", 0},
        {"[nulll]", 0},
        {"[NaN]", 0},
        {"[\"a]", 0},
        {"[\"a\\x\"]", 0},
        {"[\"\\u12g4\"]", 0},
        {"[\"\t\"]", 0},
        {"[\"\xc3\xa9\"]", 0},
        {"[[1]", 0},
        {"[[[1]]]", 0},
        {"[[1,]]", 0},
        {"[{\"a\"}]", 0},
        {"[{\"a\":}]", 0},
        {"[{1:2}]", 0},
        {"[{\"a\":[1]}]", 0},
        {"[1}", 0},
        {"[1],2", 1},
        {"[1]]", 1},
        {"[]x", 0},
        {"[\"a\\", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int got = walk(cases[i].text, strlen(cases[i].text), NULL, 0);
        if (got != -1 - cases[i].before)
            print_error("case %zu: %s gave %d\n", i, cases[i].text, got);
        assert_int_equal(got, -1 - cases[i].before);
    }
}

static void a_walk_stops_before_an_escape_that_parsers_refuse(void **state)
{
    (void)state;
    static const char *const cases[] = {"[1,\"\\u0000\"]", "[1,\"\\ud83d\"]", "[1,\"\\uDC00\"]",
                                        "[1,{\"\\uDfFf\":1}]"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(walk(cases[i], strlen(cases[i]), NULL, 0), -1 - 1);
    expect_elements("[\"\\u0001\\ud7ff\\ue000\"]", 1, "\"\\u0001\\ud7ff\\ue000\"|");
}

static void whatever_is_walked_to_the_end_is_valid_json(void **state)
{
    (void)state;
    static const char seedling[] =
        "[23.4,true,\"bad_crc\",[\"out_of_range\",-9.9e2],{\"n\":1},null,\"\\ud7ff\"]";
    static const char bytes[] = "[]{},:\"\\ude01234589.-+tfnlrsa \x01\x7f\xc3\xff";
    unsigned seed = 20260731;
    print_message("seed %u\n", seed);
    int whole = 0;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof(seedling)];
        size_t len = sizeof(seedling) - 1;
        memcpy(text, seedling, len);
        for (int hits = 1 + rand_r(&seed) % 3; hits > 0; hits--)
            text[(size_t)rand_r(&seed) % len] = bytes[(size_t)rand_r(&seed) % (sizeof(bytes) - 1)];
        if (rand_r(&seed) % 4 == 0)
            len = (size_t)rand_r(&seed) % len;
        if (text[0] != '[')
            continue; /* the caller's part of the bargain */
        int n = walk(text, len, NULL, 0);
        if (n < 0)
            continue;
        whole++;
        cJSON *tree = json_parse(text, len);
        if (!tree)
            print_error("%.*s\n", (int)len, text);
        assert_non_null(tree);
        assert_int_equal(cJSON_GetArraySize(tree), n);
        cJSON_Delete(tree);
    }
    assert_true(whole > 500); /* else this test would show nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_holds_one_element_per_point_in_layout_order),
        cmocka_unit_test(a_device_without_points_has_an_empty_array),
        cmocka_unit_test(a_good_reading_without_a_value_is_never_taken_for_not_due),
        cmocka_unit_test(a_failed_poll_is_one_word),
        cmocka_unit_test(each_quality_has_its_own_published_word),
        cmocka_unit_test(extra_is_empty_when_nothing_is_unusual),
        cmocka_unit_test(only_a_time_of_this_boot_is_corrected),
        cmocka_unit_test(extra_names_missed_periods_and_an_untrusted_clock),
        cmocka_unit_test(a_reused_buffer_stops_growing),
        cmocka_unit_test(a_walk_yields_every_element_as_it_stands),
        cmocka_unit_test(a_walk_stops_before_what_is_not_json),
        cmocka_unit_test(a_walk_stops_before_an_escape_that_parsers_refuse),
        cmocka_unit_test(whatever_is_walked_to_the_end_is_valid_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
