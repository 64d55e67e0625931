/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../drivers/modbus_count.h"
#include "../../drivers/modbus_trouble.h"

static const struct modbus_request asked = {.unit = 1, .function = 3, .address = 0, .count = 4};

static struct driver_stats count(struct driver_stats s, struct modbus_answer a)
{
    a.sent = true;
    modbus_count_answer(&s, &a);
    return s;
}

static void every_kind_of_failure_has_its_own_counter(void **state)
{
    (void)state;
    static const enum driver_trouble kinds[] = {DRIVER_SHORT,   DRIVER_WRONG_UNIT, DRIVER_WRONG_FUNCTION,
                                                DRIVER_GARBAGE, DRIVER_FOREIGN,    DRIVER_SILENCE,
                                                DRIVER_BAD_CRC};
    struct driver_stats s = {0};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (size_t n = 0; n <= i; n++)
            s = count(s, (struct modbus_answer){.quality = QUALITY_BAD_FRAME, .trouble = kinds[i]});
        assert_true(driver_trouble_word(kinds[i])[0] != '\0');
    }
    assert_int_equal(s.short_frames, 1);
    assert_int_equal(s.wrong_unit, 2);
    assert_int_equal(s.wrong_function, 3);
    assert_int_equal(s.garbage, 4);
    assert_int_equal(s.foreign, 5);
    assert_int_equal(s.bad_frame, 1 + 2 + 3 + 4 + 5);
    assert_int_equal(s.timeouts, 6);
    assert_int_equal(s.bad_crc, 7);
    assert_int_equal(s.requests, 28);
    assert_int_equal(s.replies, 0);
}

static void replies_are_counted_with_their_times_and_codes(void **state)
{
    (void)state;
    struct driver_stats s = {0};
    s = count(s, (struct modbus_answer){.quality = QUALITY_GOOD, .reply_ms = 30, .foreign_bytes = 2});
    s = count(s, (struct modbus_answer){.quality = QUALITY_EXCEPTION, .exception = 2, .reply_ms = 10});
    s = count(s, (struct modbus_answer){.quality = QUALITY_EXCEPTION, .exception = 99, .reply_ms = 80});
    s = count(s, (struct modbus_answer){.quality = QUALITY_NOT_CONNECTED, .reconnected = true});
    assert_int_equal(s.replies, 3);
    assert_int_equal(s.reply_min_ms, 10);
    assert_int_equal(s.reply_max_ms, 80);
    assert_int_equal(s.reply_total_ms, 120);
    assert_int_equal(s.exceptions, 2);
    assert_int_equal(s.exception_codes[2], 1);
    assert_int_equal(s.exception_codes[0], 1);
    assert_int_equal(s.foreign_bytes, 2);
    assert_int_equal(s.reconnects, 1);
}

static void what_was_not_asked_is_no_silence(void **state)
{
    (void)state;
    struct driver_stats s = {0};
    struct modbus_answer a = {.quality = QUALITY_NO_REPLY, .trouble = DRIVER_LATE};
    modbus_count_answer(&s, &a);
    assert_int_equal(s.requests, 0);
    assert_int_equal(s.timeouts, 0);
    assert_int_equal(s.held_back, 1);
}

static void a_busy_half_minute_is_half_of_the_last_minute(void **state)
{
    (void)state;
    const int64_t s = 1000000, start = 1000 * s;
    struct modbus_busy b;
    modbus_busy_begin(&b, start);
    assert_int_equal(modbus_busy_permille(&b, start), 0);
    modbus_busy_note(&b, start, start + 3 * s);
    assert_int_equal(modbus_busy_permille(&b, start + 4 * s), 750);
    modbus_busy_note(&b, start + 3 * s, start + 30 * s); /* over several slots at once */
    assert_int_equal(modbus_busy_permille(&b, start + 60 * s),
                     454); /* 25 s of the 55 s that its slots cover */
    assert_int_equal(modbus_busy_permille(&b, start + 200 * s), 0);
    modbus_busy_note(&b, start + 200 * s, start + 260 * s);
    assert_int_equal(modbus_busy_permille(&b, start + 260 * s), 1000);
    assert_in_range(modbus_busy_permille(&b, start + 290 * s), 440, 560);
}

/* ---- what bytes and frames say ---- */

static enum driver_trouble trouble_of(const uint8_t *bytes, size_t len)
{
    return modbus_trouble_of_bytes(bytes, len, &asked);
}

static void bytes_without_a_frame_are_silence_a_broken_off_answer_or_garbage(void **state)
{
    (void)state;
    static const uint8_t begun[] = {0x00, 0x01, 0x03, 0x08, 0x12}, refused[] = {0x01, 0x83},
                         noise[] = {0xFE, 0x10, 0x80};
    assert_int_equal(trouble_of(begun, 0), DRIVER_SILENCE);
    assert_int_equal(trouble_of(begun, sizeof begun), DRIVER_SHORT);
    assert_int_equal(trouble_of(refused, sizeof refused), DRIVER_SHORT);
    assert_int_equal(trouble_of(noise, sizeof noise), DRIVER_GARBAGE);
}

static void another_masters_question_is_told_from_a_unit_of_another_number(void **state)
{
    (void)state;
    struct modbus_frame question = {.len = 8, .unit = 7, .function = 3, .data_len = 0};
    struct modbus_frame answer = {.len = 9, .unit = 7, .function = 3, .data_len = 4};
    struct modbus_frame other = {.len = 7, .unit = 1, .function = 4, .data_len = 2};
    struct modbus_frame three_bytes = {.len = 8, .unit = 7, .function = 1, .data_len = 3};
    assert_int_equal(modbus_trouble_of_frame(&question, &asked, DRIVER_NO_TROUBLE), DRIVER_FOREIGN);
    assert_int_equal(modbus_trouble_of_frame(&answer, &asked, DRIVER_FOREIGN), DRIVER_FOREIGN);
    assert_int_equal(modbus_trouble_of_frame(&answer, &asked, DRIVER_NO_TROUBLE), DRIVER_WRONG_UNIT);
    assert_int_equal(modbus_trouble_of_frame(&three_bytes, &asked, DRIVER_NO_TROUBLE), DRIVER_WRONG_UNIT);
    assert_int_equal(modbus_trouble_of_frame(&other, &asked, DRIVER_NO_TROUBLE), DRIVER_WRONG_FUNCTION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_failure_has_its_own_counter),
        cmocka_unit_test(replies_are_counted_with_their_times_and_codes),
        cmocka_unit_test(what_was_not_asked_is_no_silence),
        cmocka_unit_test(a_busy_half_minute_is_half_of_the_last_minute),
        cmocka_unit_test(bytes_without_a_frame_are_silence_a_broken_off_answer_or_garbage),
        cmocka_unit_test(another_masters_question_is_told_from_a_unit_of_another_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
