/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../gateway/buf.h"
#include "../../gateway/json.h"

static void text_and_numbers_are_appended_and_terminated(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_adds(&b, "a");
    buf_addc(&b, '=');
    buf_add_int(&b, INT64_MIN);
    buf_addc(&b, ' ');
    buf_add_uint(&b, UINT64_MAX);
    buf_addf(&b, " %s-%d", "x", 7);
    assert_true(buf_ok(&b));
    assert_string_equal(b.data, "a=-9223372036854775808 18446744073709551615 x-7");
    assert_int_equal(b.len, strlen(b.data));
    buf_fini(&b);
}

static void a_reset_buffer_is_empty_and_keeps_its_memory(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_reserve(&b, 1000);
    char *memory = b.data;
    buf_adds(&b, "something");
    buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
    buf_adds(&b, "else");
    assert_ptr_equal(b.data, memory);
    buf_fini(&b);
}

static void an_impossible_size_fails_and_stays_failed_until_reset(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_reserve(&b, SIZE_MAX - 8);
    assert_false(buf_ok(&b));
    buf_adds(&b, "ignored");
    assert_int_equal(b.len, 0);
    buf_reset(&b);
    buf_adds(&b, "taken");
    assert_string_equal(b.data, "taken");
    buf_fini(&b);
}

static void formatted_text_grows_the_buffer_at_any_length(void **state)
{
    (void)state;
    char text[300] = "";
    struct buf whole = BUF_INIT;
    for (size_t n = 0; n < sizeof text - 1; n++) {
        struct buf b = BUF_INIT;
        buf_adds(&b, "before ");
        buf_addf(&b, "%s|", text);
        buf_reset(&whole);
        buf_adds(&whole, "before ");
        buf_adds(&whole, text);
        buf_addc(&whole, '|');
        assert_int_equal(b.len, whole.len);
        assert_string_equal(b.data, whole.data);
        buf_fini(&b);
        text[n] = (char)('a' + n % 26);
    }
    buf_fini(&whole);
}

static void keys_bring_their_commas(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_addc(&b, '{');
    buf_member_int(&b, "plain", -1);
    buf_member_text(&b, "độ ẩm", "b\"c");
    buf_add_key(&b, "list");
    buf_adds(&b, "[{");
    buf_member_uint(&b, "in", 2);
    buf_adds(&b, "}]}");
    assert_string_equal(b.data, "{\"plain\":-1,\"độ ẩm\":\"b\\\"c\",\"list\":[{\"in\":2}]}");
    buf_fini(&b);
}

static void json_strings_escape_control_characters_and_keep_vietnamese(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_add_json(&b, "a\"b\\c\n\t\x01\x7f Hàm Thuận");
    assert_string_equal(b.data, "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f Hàm Thuận\"");
    buf_fini(&b);
}

static void any_bytes_become_valid_json(void **state)
{
    (void)state;
    for (int first = 1; first < 256; first++)
        for (int second = 1; second < 256; second++) {
            char text[] = {(char)first, (char)second, 'z', '\0'};
            struct buf b = BUF_INIT;
            buf_add_json(&b, text);
            cJSON *parsed = json_parse(b.data, b.len);
            assert_non_null(parsed);
            const char *back = parsed->valuestring;
            assert_int_equal(back[strlen(back) - 1], 'z');
            cJSON_Delete(parsed);
            buf_fini(&b);
        }
}

static void surrogates_and_overlong_forms_are_replaced(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_add_json(&b, "\xED\xA0\x80|\xC0\xAF|\xF4\x90\x80\x80|\xE2\x82");
    assert_null(strchr(b.data, '\xED'));
    assert_null(strstr(b.data, "\xC0"));
    assert_non_null(strstr(b.data, "\xEF\xBF\xBD|"));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_numbers_are_appended_and_terminated),
        cmocka_unit_test(a_reset_buffer_is_empty_and_keeps_its_memory),
        cmocka_unit_test(an_impossible_size_fails_and_stays_failed_until_reset),
        cmocka_unit_test(formatted_text_grows_the_buffer_at_any_length),
        cmocka_unit_test(keys_bring_their_commas),
        cmocka_unit_test(json_strings_escape_control_characters_and_keep_vietnamese),
        cmocka_unit_test(any_bytes_become_valid_json),
        cmocka_unit_test(surrogates_and_overlong_forms_are_replaced),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
