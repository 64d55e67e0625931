/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_slave.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "../../drivers/modbus_link.h"
#include "../../gateway/clock.h"

/* For what is expected to come, and for what is expected to stay away. */
#define PATIENT_MS 3000
#define HASTY_MS 40

struct bench {
    struct slave slave;
    struct modbus_link *link;
};

static struct modbus_link *open_to(const struct slave *s)
{
    struct modbus_link_options o = {.protocol = (enum modbus_protocol)s->wire,
                                    .port = s->path,
                                    .host = "127.0.0.1",
                                    .tcp_port = s->port,
                                    .line = {115200, "8N1"}};
    struct modbus_link *l;
    struct err_note note;
    assert_int_equal(modbus_link_new(&o, &l, &note), 0);
    return l;
}

static struct bench *bench_on(enum slave_wire wire)
{
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    if (wire == SLAVE_RTU)
        slave_start_rtu(&b->slave);
    else
        slave_start_tcp(&b->slave, wire);
    b->link = open_to(&b->slave);
    return b;
}

static int setup_rtu(void **state)
{
    *state = bench_on(SLAVE_RTU);
    return 0;
}

static int setup_tcp(void **state)
{
    *state = bench_on(SLAVE_TCP);
    return 0;
}

static int setup_rtu_over_tcp(void **state)
{
    *state = bench_on(SLAVE_RTU_OVER_TCP);
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    modbus_link_free(b->link);
    slave_stop(&b->slave);
    free(b);
    return 0;
}

static struct modbus_answer ask_within(struct modbus_link *l, int64_t timeout_ms, int function, int unit,
                                       int address, int count)
{
    struct modbus_ask ask = {
        .request = {(uint8_t)unit, (uint8_t)function, (uint16_t)address, (uint16_t)count},
        .line = {115200, "8N1"},
        .timeout_ms = timeout_ms};
    struct modbus_answer a;
    modbus_link_ask(l, &ask, &a);
    return a;
}

static struct modbus_answer ask_function(struct modbus_link *l, int function, int unit, int address,
                                         int count)
{
    return ask_within(l, PATIENT_MS, function, unit, address, count);
}

static struct modbus_answer ask(struct modbus_link *l, int unit, int address, int count)
{
    return ask_within(l, PATIENT_MS, 3, unit, address, count);
}

static struct modbus_answer ask_hastily(struct modbus_link *l, int unit, int address, int count)
{
    return ask_within(l, HASTY_MS, 3, unit, address, count);
}

static void assert_values(const struct modbus_answer *a, int unit, int address, int count)
{
    if (a->quality != QUALITY_GOOD)
        fail_msg("quality %s: %s", quality_word(a->quality), a->note.text);
    assert_int_equal(a->data_len, 2 * count);
    for (int i = 0; i < count; i++)
        assert_int_equal(a->data[2 * i] << 8 | a->data[2 * i + 1], slave_value(unit, address + i));
}

static void registers_and_bits_are_read(void **state)
{
    struct bench *b = *state;
    struct modbus_answer a = ask(b->link, 1, 7, 3);
    assert_values(&a, 1, 7, 3);
    a = ask_function(b->link, 4, 2, 0, 125);
    assert_values(&a, 2, 0, 125);
    a = ask_function(b->link, 1, 5, 0, 20);
    assert_int_equal(a.quality, QUALITY_GOOD);
    assert_int_equal(a.data_len, 3);
    for (int i = 0; i < 20; i++)
        assert_int_equal(a.data[i / 8] >> i % 8 & 1, slave_bit(5, i));
    assert_true(a.wall_ms > 1500000000000);
}

static void an_exception_is_told_with_its_code(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.exception, 4);
    struct modbus_answer a = ask(b->link, 1, 0, 2);
    assert_int_equal(a.quality, QUALITY_EXCEPTION);
    assert_int_equal(a.exception, 4);
}

static void silence_is_no_reply_after_the_timeout(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.silent_unit, 1);
    int64_t before = clock_mono_ms();
    struct modbus_answer a = ask_hastily(b->link, 1, 0, 2);
    assert_int_equal(a.quality, QUALITY_NO_REPLY);
    assert_true(a.sent);
    assert_true(clock_mono_ms() - before >= HASTY_MS);
    a = ask(b->link, 2, 0, 2);
    assert_values(&a, 2, 0, 2);
}

static void a_wrong_check_sum_is_refused(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.break_crc, true);
    struct modbus_answer a = ask(b->link, 1, 0, 2);
    assert_int_equal(a.quality, QUALITY_BAD_CRC);
    atomic_store(&b->slave.break_crc, false);
    a = ask(b->link, 1, 0, 2);
    assert_values(&a, 1, 0, 2);
}

static void an_answer_of_another_unit_is_refused(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.say_unit, 9);
    struct modbus_answer a = ask_hastily(b->link, 1, 0, 2);
    assert_int_equal(a.quality, QUALITY_BAD_FRAME);
}

static void an_echo_is_stripped(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.echo, true);
    struct modbus_answer a = ask(b->link, 1, 40, 5);
    assert_values(&a, 1, 40, 5);
    /* The echo of this request is itself a sound frame with three bytes of bits. */
    a = ask_function(b->link, 1, 1, 0x0300, 20);
    assert_int_equal(a.quality, QUALITY_GOOD);
    for (int i = 0; i < 20; i++)
        assert_int_equal(a.data[i / 8] >> i % 8 & 1, slave_bit(1, 0x0300 + i));
    atomic_store(&b->slave.silent_unit, 1);
    a = ask_hastily(b->link, 1, 40, 5);
    assert_int_equal(a.quality, QUALITY_NO_REPLY);
}

static void garbage_before_the_answer_is_skipped(void **state)
{
    struct bench *b = *state;
    for (int garbage = 1; garbage <= 17; garbage += 4) {
        atomic_store(&b->slave.garbage, garbage);
        struct modbus_answer a = ask(b->link, 1, 0, 3);
        assert_values(&a, 1, 0, 3);
    }
}

static void every_trouble_is_called_by_its_name(void **state)
{
    struct bench *b = *state;
    struct modbus_answer a = ask(b->link, 1, 0, 3);
    assert_int_equal(a.trouble, DRIVER_NO_TROUBLE);
    atomic_store(&b->slave.echo, true);
    atomic_store(&b->slave.garbage, 2);
    a = ask(b->link, 1, 0, 3);
    assert_values(&a, 1, 0, 3);
    assert_true(a.echoed);
    assert_int_equal(a.foreign_bytes, 2);
    atomic_store(&b->slave.echo, false);
    atomic_store(&b->slave.break_crc, true);
    assert_int_equal(ask_hastily(b->link, 1, 0, 3).trouble, DRIVER_BAD_CRC);
    atomic_store(&b->slave.break_crc, false);
    atomic_store(&b->slave.say_unit, 9);
    assert_int_equal(ask_hastily(b->link, 1, 0, 3).trouble, DRIVER_WRONG_UNIT);
    atomic_store(&b->slave.say_unit, 0);
    atomic_store(&b->slave.silent_unit, 1);
    a = ask_hastily(b->link, 1, 0, 3);
    assert_int_equal(a.trouble, DRIVER_SILENCE);
    assert_int_equal(a.foreign_bytes, 0);
}

static void a_dripping_slave_is_given_up_in_bounded_time(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.drip_us, 20000); /* 255 bytes: 5 s */
    int64_t before = clock_mono_ms();
    struct modbus_answer a = ask_hastily(b->link, 1, 0, 125);
    int64_t took = clock_mono_ms() - before;
    assert_int_equal(a.quality, QUALITY_BAD_FRAME);
    assert_true(took <= 400); /* the frame would take 5 s */
}

static void the_line_is_silent_for_three_and_a_half_characters_and_no_longer(void **state)
{
    struct bench *b = *state;
    static const struct {
        int baud;
        int64_t silence_us;
    } cases[] = {{9600, 4011}, {19200, 2006}, {115200, 1750}};
    for (size_t c = 0; c < 3; c++) {
        struct modbus_ask ask = {
            .request = {1, 3, 0, 4}, .line = {cases[c].baud, "8N1"}, .timeout_ms = PATIENT_MS};
        struct modbus_answer a;
        atomic_store(&b->slave.late_ms, 20); /* later than the request has left the wire at any speed */
        modbus_link_ask(b->link, &ask, &a);  /* switches the line */
        assert_values(&a, 1, 0, 4);
        atomic_store(&b->slave.shortest_silence_us, 1LL << 60);
        for (int i = 0; i < 8; i++) {
            ask.request.unit = (uint8_t)(1 + i % 2);
            modbus_link_ask(b->link, &ask, &a);
            assert_values(&a, 1 + i % 2, 0, 4);
        }
        assert_int_equal(atomic_load(&b->slave.shortest_silence_us), cases[c].silence_us);
    }
}

static void a_gap_is_kept(void **state)
{
    struct bench *b = *state;
    struct modbus_ask ask = {
        .request = {1, 3, 0, 4}, .line = {115200, "8N1"}, .timeout_ms = PATIENT_MS, .gap_ms = 15};
    struct modbus_answer a;
    atomic_store(&b->slave.late_ms, 20);
    for (int i = 0; i < 4; i++) {
        modbus_link_ask(b->link, &ask, &a);
        assert_values(&a, 1, 0, 4);
    }
    assert_int_equal(atomic_load(&b->slave.shortest_silence_us), 15000 + 1750);
}

/* As the driver does: when a late answer could be taken for this one's, something of another shape is asked
 * first. */
static struct modbus_answer ask_warily(struct modbus_link *l, int unit, int address, int count)
{
    struct modbus_answer a = ask_hastily(l, unit, address, count);
    if (a.sent || a.trouble != DRIVER_LATE)
        return a;
    a = ask_hastily(l, unit, address, count + 1);
    if (a.quality == QUALITY_GOOD)
        assert_values(&a, unit, address, count + 1);
    return ask_hastily(l, unit, address, count);
}

/* Blocks of the same shape at different addresses: the late answer to one fits the request for the next. */
static void late_answers_never_become_another_registers_value(void **state)
{
    struct bench *b = *state;
    int good = 0;
    for (int late_ms = HASTY_MS + 10; late_ms <= 3 * HASTY_MS; late_ms += 60) {
        atomic_store(&b->slave.late_ms, late_ms);
        atomic_store(&b->slave.late_one_in, 3);
        for (int i = 0; i < 5; i++) {
            struct modbus_answer a = ask_warily(b->link, 1, 10 * (i % 3), 4);
            if (a.quality != QUALITY_GOOD)
                continue;
            good++;
            assert_values(&a, 1, 10 * (i % 3), 4);
        }
        atomic_store(&b->slave.late_ms, 0);
    }
    assert_true(good > 0);
    assert_true(modbus_link_late(b->link, 1) > 0);
}

static void a_late_answer_does_not_disturb_another_unit(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.late_ms, HASTY_MS + 20);
    struct modbus_answer a = ask_hastily(b->link, 1, 0, 4);
    assert_int_equal(a.quality, QUALITY_NO_REPLY);
    atomic_store(&b->slave.late_ms, 0);
    a = ask(b->link, 2, 0, 4); /* unit 1 answers into this one */
    assert_values(&a, 2, 0, 4);
    assert_int_equal(modbus_link_late(b->link, 1), 1);
    assert_int_equal(modbus_link_late(b->link, 2), 0);
}

/* Unit 1 answers behind its timeout, into a question to unit 2. `own`: unit 2 answers as well. What comes is
 * damaged. */
static void talk_into_anothers_turn(struct bench *b, bool own)
{
    atomic_store(&b->slave.late_ms, HASTY_MS + 30);
    struct modbus_answer a = ask_hastily(b->link, 1, 0, 4);
    assert_int_equal(a.quality, QUALITY_NO_REPLY);
    atomic_store(&b->slave.late_ms, 20);
    atomic_store(&b->slave.break_crc, true);
    atomic_store(&b->slave.silent_unit, own ? 0 : 2);
    a = ask_hastily(b->link, 2, 0, own ? 4 : 9);
    assert_int_equal(a.quality, own ? QUALITY_BAD_CRC : QUALITY_BAD_FRAME);
    assert_int_equal(modbus_link_late(b->link, 1), 0); /* nobody can recognise it */
    atomic_store(&b->slave.break_crc, false);
    atomic_store(&b->slave.silent_unit, 0);
}

/* How long a unit is listened for that says nothing. */
static int64_t silence_us(struct bench *b, int unit)
{
    int64_t begin_us = clock_mono_us();
    atomic_store(&b->slave.silent_unit, unit);
    struct modbus_answer a = ask_hastily(b->link, unit, 0, 4);
    assert_int_equal(a.quality, QUALITY_NO_REPLY);
    atomic_store(&b->slave.silent_unit, 0);
    return clock_mono_us() - begin_us;
}

static void who_may_have_spoiled_anothers_answer_is_listened_for_longer_once(void **state)
{
    struct bench *b = *state;
    for (int own = 0; own <= 1; own++) {
        talk_into_anothers_turn(b, own);
        assert_true(silence_us(b, 2) < 1000 * 2 * HASTY_MS); /* only the other was */
        struct modbus_answer a;
        atomic_store(&b->slave.late_ms, 3 * HASTY_MS - 10);
        a = ask_hastily(b->link, 1, 0, 2);
        assert_values(&a, 1, 0, 2);
        assert_int_equal(modbus_link_late(b->link, 1), 1);
        assert_true(modbus_link_worst_us(b->link, 1) > 1000 * 2 * HASTY_MS);
        a = ask_hastily(b->link, 1, 0, 2);
        assert_int_equal(a.quality, QUALITY_NO_REPLY);
        teardown(state);
        setup_rtu(state);
        b = *state;
    }
}

static void who_is_in_time_after_all_is_not_called_late(void **state)
{
    struct bench *b = *state;
    talk_into_anothers_turn(b, true);
    atomic_store(&b->slave.drip_us, 2000); /* it begins in time and ends behind its timeout */
    struct modbus_answer a = ask_hastily(b->link, 1, 0, 4);
    assert_values(&a, 1, 0, 4);
    assert_true(a.reply_ms > HASTY_MS);
    assert_int_equal(modbus_link_late(b->link, 1), 0);
    assert_int_equal(modbus_link_worst_us(b->link, 1), 0);
}

static void two_silent_units_do_not_suspect_each_other(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 6; i++)
        assert_true(silence_us(b, 1 + i % 2) < 1000 * 2 * HASTY_MS);
}

static void a_sound_frame_of_somebody_else_makes_nobody_suspect(void **state)
{
    struct bench *b = *state;
    (void)silence_us(b, 1);
    atomic_store(&b->slave.say_unit, 9);
    struct modbus_answer a = ask_hastily(b->link, 2, 0, 4);
    assert_int_equal(a.quality, QUALITY_BAD_FRAME);
    atomic_store(&b->slave.say_unit, 0);
    assert_true(silence_us(b, 1) < 1000 * 2 * HASTY_MS);
}

/* The slave answers in order: what it took for the answer to the repeated question was the late one. */
static void the_other_answer_to_a_repeated_question_is_heard_out(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.late_ms, HASTY_MS + 20);
    struct modbus_answer a = ask_hastily(b->link, 1, 0, 4);
    assert_int_equal(a.quality, QUALITY_NO_REPLY);
    atomic_store(&b->slave.late_ms, 20); /* as most sensors take */
    a = ask_hastily(b->link, 1, 0, 4);
    assert_values(&a, 1, 0, 4);
    a = ask_hastily(b->link, 1, 10, 4); /* of the same shape: it could be taken for this one's */
    assert_values(&a, 1, 10, 4);
    assert_int_equal(modbus_link_late(b->link, 1), 1);
    assert_int_equal(atomic_load(&b->slave.requests), 3);
}

/* An answer that was lost is not awaited after every question from then on. */
static void a_lost_answer_is_listened_for_once(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.silent_unit, 1);
    struct modbus_answer a = ask_hastily(b->link, 1, 0, 4);
    assert_int_equal(a.quality, QUALITY_NO_REPLY);
    atomic_store(&b->slave.silent_unit, 0);
    int64_t took_us[6];
    for (int i = 0; i < 6; i++) {
        int64_t begin_us = clock_mono_us();
        a = ask(b->link, 1, 0, 4);
        assert_values(&a, 1, 0, 4);
        took_us[i] = clock_mono_us() - begin_us;
    }
    assert_true(took_us[1] > 50000); /* before it was asked again */
    for (int i = 2; i < 6; i++)
        assert_true(took_us[i] < 50000);
}

static void a_late_exception_is_not_anothers_verdict(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.late_ms, HASTY_MS + 20);
    atomic_store(&b->slave.refuse_address, 100 + 1);
    struct modbus_answer a = ask_hastily(b->link, 1, 100, 4);
    assert_int_equal(a.quality, QUALITY_NO_REPLY);
    atomic_store(&b->slave.late_ms, 0);
    a = ask(b->link, 1, 0, 6); /* another shape: may go out while the exception is under way */
    assert_values(&a, 1, 0, 6);
    assert_int_equal(modbus_link_late(b->link, 1), 1);
}

static void a_request_is_repeated_at_once_another_of_its_shape_is_not(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.silent_unit, 1);
    struct modbus_answer a = ask_hastily(b->link, 1, 0, 4);
    assert_int_equal(a.quality, QUALITY_NO_REPLY);
    atomic_store(&b->slave.silent_unit, 0);
    a = ask(b->link, 1, 0, 4);
    assert_values(&a, 1, 0, 4);
    /* One answer is missing: it could be taken for that of the next block of the same shape. */
    a = ask(b->link, 1, 20, 4);
    assert_int_equal(a.quality, QUALITY_NO_REPLY);
    assert_int_equal(a.trouble, DRIVER_LATE);
    assert_false(a.sent);
    a = ask(b->link, 1, 20, 5); /* another shape: its answer proves that the missing one was lost */
    assert_values(&a, 1, 20, 5);
    a = ask(b->link, 1, 20, 4);
    assert_values(&a, 1, 20, 4);
    assert_int_equal(modbus_link_late(b->link, 1), 0);
}

static void a_lost_port_is_found_again(void **state)
{
    struct bench *b = *state;
    struct modbus_answer a = ask(b->link, 1, 0, 2);
    assert_values(&a, 1, 0, 2);
    slave_unplug(&b->slave);
    a = ask(b->link, 1, 0, 2);
    assert_int_equal(a.quality, QUALITY_NOT_CONNECTED);
    assert_non_null(strstr(a.note.text, b->slave.path));
    slave_start_rtu(&b->slave);
    int64_t deadline = clock_mono_ms() + 10000;
    int refused = 0;
    while ((a = ask(b->link, 1, 0, 2)).quality == QUALITY_NOT_CONNECTED && clock_mono_ms() < deadline) {
        assert_true(a.note.text[0] != '\0');
        refused++;
        clock_sleep_until_us(clock_mono_us() + 20000);
    }
    assert_true(refused > 0); /* it backs off in between */
    assert_values(&a, 1, 0, 2);
    assert_true(a.reconnected);
    assert_int_equal(modbus_link_returns(b->link), 1);
}

static void a_missing_port_is_named(void **state)
{
    (void)state;
    struct slave s = {.path = "/tmp/fieldgate-no-such-port"};
    struct modbus_link *l = open_to(&s);
    struct modbus_answer a = ask(l, 1, 0, 1);
    assert_int_equal(a.quality, QUALITY_NOT_CONNECTED);
    assert_false(a.sent);
    assert_non_null(strstr(a.note.text, "/tmp/fieldgate-no-such-port: No such file or directory"));
    modbus_link_free(l);
}

static void what_is_no_port_is_told(void **state)
{
    (void)state;
    struct slave s = {.path = "/dev/null"};
    struct modbus_link *l = open_to(&s);
    struct modbus_answer a = ask(l, 1, 0, 1);
    assert_int_equal(a.quality, QUALITY_NOT_CONNECTED);
    assert_non_null(strstr(a.note.text, "no serial port"));
    modbus_link_free(l);
}

/* A pseudo terminal knows no direction, as most USB adapters. */
static void a_port_that_cannot_switch_direction_says_so_only_when_it_is_asked_to(void **state)
{
    struct bench *b = *state;
    static const enum modbus_rs485 modes[] = {MODBUS_RS485_AUTO, MODBUS_RS485_OFF, MODBUS_RS485_ON};
    modbus_link_release(b->link);
    for (size_t i = 0; i < 3; i++) {
        struct modbus_link_options o = {
            .protocol = MODBUS_RTU, .port = b->slave.path, .rs485 = modes[i], .line = {115200, "8N1"}};
        struct modbus_link *l;
        struct err_note note;
        assert_int_equal(modbus_link_new(&o, &l, &note), 0);
        struct modbus_answer a = ask(l, 1, 0, 2);
        if (modes[i] == MODBUS_RS485_ON) {
            assert_int_equal(a.quality, QUALITY_NOT_CONNECTED);
            assert_non_null(strstr(a.note.text, "write rs485: auto"));
        } else {
            assert_values(&a, 1, 0, 2);
        }
        modbus_link_free(l);
    }
}

static void a_port_has_one_user(void **state)
{
    struct bench *b = *state;
    struct modbus_answer a = ask(b->link, 1, 0, 2);
    assert_values(&a, 1, 0, 2);
    struct modbus_link *second = open_to(&b->slave);
    a = ask(second, 1, 0, 2);
    assert_int_equal(a.quality, QUALITY_NOT_CONNECTED);
    assert_non_null(strstr(a.note.text, "in use by another program"));
    modbus_link_free(second);
    a = ask(b->link, 1, 0, 2);
    assert_values(&a, 1, 0, 2);
}

static void a_speed_nobody_knows_is_refused(void **state)
{
    (void)state;
    struct modbus_link *l;
    struct err_note note;
    struct modbus_link_options o = {.protocol = MODBUS_RTU, .port = "/dev/null", .line = {9601, "8N1"}};
    assert_int_equal(modbus_link_new(&o, &l, &note), FG_EINVALID);
    assert_non_null(strstr(note.text, "9601"));
    o.line = (struct modbus_line){9600, "7E1"};
    assert_int_equal(modbus_link_new(&o, &l, &note), FG_EINVALID);
    assert_non_null(strstr(note.text, "7E1"));
}

static void a_refused_connection_names_host_and_port(void **state)
{
    (void)state;
    struct slave s = {0};
    slave_start_tcp(&s, SLAVE_TCP);
    slave_stop(&s); /* its port is free now, and nobody listens there */
    struct modbus_link *l = open_to(&s);
    char where[32];
    snprintf(where, sizeof where, "127.0.0.1:%d: Connection refused", s.port);
    struct modbus_answer a = ask(l, 1, 0, 1);
    assert_int_equal(a.quality, QUALITY_NOT_CONNECTED);
    assert_non_null(strstr(a.note.text, where));
    a = ask(l, 1, 0, 1); /* within the back-off: at once, with the same words */
    assert_non_null(strstr(a.note.text, where));
    modbus_link_free(l);
}

static void late_tcp_answers_are_discarded_by_their_number(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.late_ms, HASTY_MS + 20);
    atomic_store(&b->slave.late_one_in, 2);
    int good = 0;
    for (int i = 0; i < 8; i++) {
        struct modbus_answer a = ask_hastily(b->link, 1, 10 * i, 4);
        if (a.quality != QUALITY_GOOD)
            continue;
        good++;
        assert_values(&a, 1, 10 * i, 4);
    }
    assert_true(good >= 3);
    assert_true(modbus_link_late(b->link, 1) > 0);
    assert_int_equal(atomic_load(&b->slave.connections), 1);
}

static void a_connection_closed_while_idle_is_opened_again_unnoticed(void **state)
{
    struct bench *b = *state;
    struct modbus_answer a = ask(b->link, 1, 0, 2);
    assert_values(&a, 1, 0, 2);
    atomic_store(&b->slave.hang_up_once, true);
    a = ask(b->link, 1, 0, 2);
    assert_values(&a, 1, 0, 2);
    assert_true(a.reconnected);
    assert_int_equal(atomic_load(&b->slave.connections), 2);
    assert_int_equal(modbus_link_returns(b->link), 0);
}

static void three_silences_in_a_row_open_a_new_connection(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.silent_unit, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask_hastily(b->link, 1, 0, 2).quality, QUALITY_NO_REPLY);
    atomic_store(&b->slave.silent_unit, 0);
    struct modbus_answer a = ask(b->link, 1, 0, 2);
    assert_values(&a, 1, 0, 2);
    assert_true(a.reconnected);
}

static void bytes_that_are_not_modbus_tcp_are_called_so(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.garble, true);
    struct modbus_answer a = ask(b->link, 1, 0, 4);
    assert_int_equal(a.quality, QUALITY_BAD_FRAME);
    assert_non_null(strstr(a.note.text, "rtu_over_tcp"));
    atomic_store(&b->slave.garble, false);
    a = ask(b->link, 1, 0, 4); /* on a new connection: the old one cannot be followed any more */
    assert_values(&a, 1, 0, 4);
    assert_int_equal(atomic_load(&b->slave.connections), 2);
}

static void *cancel(void *link)
{
    modbus_link_cancel(link);
    return NULL;
}

/* By another thread, as it is called. */
static void cancel_elsewhere(void *link)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel, link), 0);
    pthread_join(thread, NULL);
}

static void cancelling_ends_a_request_at_once(void **state)
{
    struct bench *b = *state;
    atomic_store(&b->slave.silent_unit, 1);
    int64_t before = clock_mono_us();
    time_plan(30000, cancel_elsewhere, b->link);
    struct modbus_answer a = ask(b->link, 1, 0, 1);
    assert_int_equal(clock_mono_us() - before, 30000);
    assert_int_equal(a.quality, QUALITY_NOT_CONNECTED);
    assert_int_equal(ask(b->link, 2, 0, 1).quality, QUALITY_NOT_CONNECTED);
}

/* ---- held up: what a loaded machine does to us ---- */

static void an_answer_that_came_while_we_were_held_up_is_no_silence(void **state)
{
    struct bench *b = *state;
    struct modbus_answer a = ask(b->link, 2, 0, 1);
    atomic_store(&b->slave.late_ms, HASTY_MS / 2);
    time_hold_us(2 * HASTY_MS * 1000);
    a = ask_hastily(b->link, 1, 7, 2);
    assert_values(&a, 1, 7, 2);
}

static void an_answer_that_is_there_when_we_are_cancelled_is_kept(void **state)
{
    struct bench *b = *state;
    struct modbus_answer a = ask(b->link, 2, 0, 1);
    atomic_store(&b->slave.late_ms, HASTY_MS / 2);
    time_hold_us(HASTY_MS * 1000);
    time_plan(HASTY_MS * 1000, cancel_elsewhere, b->link);
    a = ask(b->link, 1, 7, 2);
    assert_values(&a, 1, 7, 2);
    assert_int_equal(ask(b->link, 1, 7, 2).quality, QUALITY_NOT_CONNECTED);
}

/* ---- what ports cannot do ---- */

static struct modbus_answer ask_at(struct modbus_link *l, int baud, const char *format)
{
    struct modbus_ask ask = {.request = {1, 3, 5, 1}, .line = {.baud = baud}, .timeout_ms = PATIENT_MS};
    struct modbus_answer a;
    strcpy(ask.line.format, format);
    modbus_link_ask(l, &ask, &a);
    return a;
}

/* A pseudo terminal is such a port. That nothing but parity was to change is what the C library minds. */
static void a_port_without_parity_is_used_all_the_same(void **state)
{
    struct bench *b = *state;
    const char *const formats[] = {"8N1", "8E1", "8N1", "8O1", "8E1"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct modbus_answer a = ask_at(b->link, 9600, formats[i]);
        assert_values(&a, 1, 5, 1);
    }
}

static void a_speed_that_the_adapter_cannot_do_disturbs_no_other(void **state)
{
    struct bench *b = *state;
    struct modbus_answer a = ask_at(b->link, 9600, "8N1");
    assert_values(&a, 1, 5, 1);
    int port = open(b->slave.path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    struct termios lock = {.c_cflag = CBAUD};
    int rc = port < 0 ? -1 : ioctl(port, TIOCSLCKTRMIOS, &lock);
    if (port >= 0)
        close(port);
    if (rc < 0) { /* only root may open a port that is in use, and fix its speed */
        print_message("not shown: the speed cannot be locked here\n");
        return;
    }
    a = ask_at(b->link, 19200, "8N1");
    assert_int_equal(a.quality, QUALITY_NOT_CONNECTED);
    assert_true(a.refused_line && strstr(a.note.text, "cannot do 19200 baud"));
    a = ask_at(b->link, 9600, "8N1"); /* at once: the port was not closed */
    assert_values(&a, 1, 5, 1);
    assert_false(a.reconnected);
    assert_int_equal(modbus_link_returns(b->link), 0);
}

#define ON(wire, test) cmocka_unit_test_setup_teardown(test, setup_##wire, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(rtu, registers_and_bits_are_read),
        ON(tcp, registers_and_bits_are_read),
        ON(rtu_over_tcp, registers_and_bits_are_read),
        ON(rtu, an_exception_is_told_with_its_code),
        ON(tcp, an_exception_is_told_with_its_code),
        ON(rtu, silence_is_no_reply_after_the_timeout),
        ON(tcp, silence_is_no_reply_after_the_timeout),
        ON(rtu, a_wrong_check_sum_is_refused),
        ON(rtu_over_tcp, a_wrong_check_sum_is_refused),
        ON(rtu, an_answer_of_another_unit_is_refused),
        ON(tcp, an_answer_of_another_unit_is_refused),
        ON(rtu, an_echo_is_stripped),
        ON(rtu, garbage_before_the_answer_is_skipped),
        ON(rtu, every_trouble_is_called_by_its_name),
        ON(rtu_over_tcp, every_trouble_is_called_by_its_name),
        ON(rtu, a_dripping_slave_is_given_up_in_bounded_time),
        ON(tcp, a_dripping_slave_is_given_up_in_bounded_time),
        ON(rtu, the_line_is_silent_for_three_and_a_half_characters_and_no_longer),
        ON(rtu, a_gap_is_kept),
        ON(rtu, late_answers_never_become_another_registers_value),
        ON(rtu_over_tcp, late_answers_never_become_another_registers_value),
        ON(rtu, a_late_answer_does_not_disturb_another_unit),
        ON(rtu, who_may_have_spoiled_anothers_answer_is_listened_for_longer_once),
        ON(rtu, who_is_in_time_after_all_is_not_called_late),
        ON(rtu, two_silent_units_do_not_suspect_each_other),
        ON(rtu, a_sound_frame_of_somebody_else_makes_nobody_suspect),
        ON(rtu, the_other_answer_to_a_repeated_question_is_heard_out),
        ON(rtu_over_tcp, the_other_answer_to_a_repeated_question_is_heard_out),
        ON(rtu, a_lost_answer_is_listened_for_once),
        ON(rtu_over_tcp, a_lost_answer_is_listened_for_once),
        ON(rtu, a_late_exception_is_not_anothers_verdict),
        ON(rtu, a_request_is_repeated_at_once_another_of_its_shape_is_not),
        ON(rtu, a_lost_port_is_found_again),
        cmocka_unit_test(a_missing_port_is_named),
        cmocka_unit_test(what_is_no_port_is_told),
        ON(rtu, a_port_that_cannot_switch_direction_says_so_only_when_it_is_asked_to),
        ON(rtu, a_port_has_one_user),
        cmocka_unit_test(a_speed_nobody_knows_is_refused),
        cmocka_unit_test(a_refused_connection_names_host_and_port),
        ON(tcp, late_tcp_answers_are_discarded_by_their_number),
        ON(tcp, a_connection_closed_while_idle_is_opened_again_unnoticed),
        ON(rtu_over_tcp, a_connection_closed_while_idle_is_opened_again_unnoticed),
        ON(tcp, three_silences_in_a_row_open_a_new_connection),
        ON(tcp, bytes_that_are_not_modbus_tcp_are_called_so),
        ON(rtu, cancelling_ends_a_request_at_once),
        ON(tcp, cancelling_ends_a_request_at_once),
        ON(rtu, an_answer_that_came_while_we_were_held_up_is_no_silence),
        ON(rtu_over_tcp, an_answer_that_came_while_we_were_held_up_is_no_silence),
        ON(rtu, an_answer_that_is_there_when_we_are_cancelled_is_kept),
        ON(tcp, an_answer_that_is_there_when_we_are_cancelled_is_kept),
        ON(rtu_over_tcp, an_answer_that_is_there_when_we_are_cancelled_is_kept),
        ON(rtu, a_port_without_parity_is_used_all_the_same),
        ON(rtu, a_speed_that_the_adapter_cannot_do_disturbs_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
