/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of translated texts in buffers and columns; which language is chosen stands in
 * tests/integration/test_language.py. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../gateway/err.h"
#include "../../gateway/text.h"

static void a_character_is_one_column_however_many_bytes_it_has(void **state)
{
    (void)state;
    assert_int_equal(text_width(""), 0);
    assert_int_equal(text_width("dien"), 4);
    assert_int_equal(text_width("điện"), 4);
}

static void a_field_is_as_wide_in_columns_as_was_asked(void **state)
{
    char plain[40], accented[40];
    (void)state;
    snprintf(plain, sizeof plain, "%*s|", text_field("bat", 10), "bat");
    snprintf(accented, sizeof accented, "%*s|", text_field("bật", 10), "bật");
    assert_int_equal(text_width(plain), 11);
    assert_int_equal(text_width(accented), 11);
    snprintf(accented, sizeof accented, "%-*s|", text_field("thiết bị", 4),
             "thiết bị"); /* wider than asked */
    assert_string_equal(accented, "thiết bị|");
}

static void a_text_that_was_cut_ends_with_a_whole_character(void **state)
{
    static const char whole[] = "ổ đĩa 😀 đ";
    (void)state;
    for (size_t size = 1; size <= sizeof whole; size++) {
        char text[sizeof whole];
        snprintf(text, size, "%s", whole);
        text_mend(text);
        size_t len = strlen(text);
        assert_true(len <= size - 1 && size - 1 - len < 4);
        assert_memory_equal(text, whole, len);
        assert_int_not_equal((unsigned char)whole[len] & 0xC0, 0x80); /* a character ends here */
        assert_true(size < sizeof whole || len == sizeof whole - 1);
    }
}

static void bytes_that_are_no_utf8_are_left_as_they_are(void **state)
{
    char text[] = "ab\x80\x80\x80\x80";
    (void)state;
    text_mend(text);
    assert_string_equal(text, "ab\x80\x80\x80\x80");
}

static void a_note_that_is_too_long_is_still_utf8(void **state)
{
    (void)state;
    for (int shift = 0; shift < 3; shift++) {
        struct err_note note;
        char long_text[2 * sizeof note.text] = "";
        memset(long_text, 'x', (size_t)shift);
        while (strlen(long_text) + 4 < sizeof long_text)
            strcat(long_text, "ệ");
        err_note(&note, FG_EIO, "%s", long_text);
        assert_true(strlen(note.text) > sizeof note.text - 5);
        assert_int_equal((strlen(note.text) - (size_t)shift) % strlen("ệ"), 0);
    }
}

static void an_error_of_the_system_has_words_and_an_unknown_one_too(void **state)
{
    (void)state;
    assert_string_equal(text_errno(ENOENT), "No such file or directory");
    assert_non_null(text_errno(12345));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_character_is_one_column_however_many_bytes_it_has),
        cmocka_unit_test(a_field_is_as_wide_in_columns_as_was_asked),
        cmocka_unit_test(a_text_that_was_cut_ends_with_a_whole_character),
        cmocka_unit_test(bytes_that_are_no_utf8_are_left_as_they_are),
        cmocka_unit_test(a_note_that_is_too_long_is_still_utf8),
        cmocka_unit_test(an_error_of_the_system_has_words_and_an_unknown_one_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
