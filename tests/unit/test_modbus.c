/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_slave.h"

#include "../../drivers/modbus.h"
#include "../../gateway/clock.h"

#define PATIENT_MS 3000
#define HASTY_MS 40
#define DEVICES 2
#define POINTS_MAX 24

struct bench {
    struct slave slave;
    struct point points[POINTS_MAX];
    struct modbus_device_options devices[DEVICES];
    struct modbus_options options;
    struct driver *driver;
    bool due[POINTS_MAX];
    struct reading readings[POINTS_MAX];
    struct driver_result result;
};

static char point_name[] = "p";

/* Two units with the same map of `count` consecutive holding registers. */
static void use_registers(struct bench *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        b->points[i] = (struct point){.name = point_name,
                                      .table = POINT_HOLDING,
                                      .address = (uint16_t)i,
                                      .type = POINT_UINT16,
                                      .scale = {1, 0, false}};
        b->due[i] = true;
    }
    for (size_t d = 0; d < DEVICES; d++)
        b->devices[d] = (struct modbus_device_options){.name = "sensor",
                                                       .unit = (int)d + 1,
                                                       .line = {115200, "8N1"},
                                                       .timeout_ms = PATIENT_MS,
                                                       .points = b->points,
                                                       .point_count = count};
}

static void open_driver(struct bench *b)
{
    struct err_note note = {0};
    b->options = (struct modbus_options){.bus = "field",
                                         .protocol = (enum modbus_protocol)b->slave.wire,
                                         .port = b->slave.path,
                                         .host = "localhost",
                                         .tcp_port = b->slave.port,
                                         .tries = 3,
                                         .devices = b->devices,
                                         .device_count = DEVICES};
    if (modbus_driver_open(&b->options, &b->driver, &note) < 0)
        fail_msg("%s", note.text);
}

static int setup_on(void **state, enum slave_wire wire)
{
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    if (wire == SLAVE_RTU)
        slave_start_rtu(&b->slave);
    else
        slave_start_tcp(&b->slave, wire);
    use_registers(b, 6);
    *state = b;
    return 0;
}

static int setup_rtu(void **state)
{
    return setup_on(state, SLAVE_RTU);
}

static int setup_tcp(void **state)
{
    return setup_on(state, SLAVE_TCP);
}

static int setup_rtu_over_tcp(void **state)
{
    return setup_on(state, SLAVE_RTU_OVER_TCP);
}

static int teardown(void **state)
{
    struct bench *b = *state;
    if (b->driver)
        b->driver->ops->close(b->driver);
    slave_stop(&b->slave);
    free(b);
    return 0;
}

static void poll_device(struct bench *b, size_t device)
{
    b->driver->ops->poll(b->driver, device, b->due, b->readings, &b->result);
}

static struct driver_stats stats_of(struct bench *b, size_t device)
{
    struct driver_stats s;
    b->driver->ops->stats(b->driver, device, &s);
    return s;
}

static void assert_reads(struct bench *b, size_t i, int unit)
{
    const struct reading *r = &b->readings[i];
    if (r->quality != QUALITY_GOOD)
        fail_msg("point %zu: %s (%s)", i, quality_word(r->quality), b->result.note.text);
    int64_t expected = slave_value(unit, b->points[i].address);
    assert_int_equal(decimal_compare(r->value.number, decimal_from_int(expected)), 0);
}

static void one_request_brings_all_points(void **state)
{
    struct bench *b = *state;
    open_driver(b);
    int64_t before = clock_wall_ms();
    poll_device(b, 1);
    assert_int_equal(b->result.failed, QUALITY_GOOD);
    assert_true(b->result.wall_ms >= before && b->result.wall_ms <= clock_wall_ms());
    for (size_t i = 0; i < 6; i++)
        assert_reads(b, i, 2);
    slave_assert_heard(&b->slave, 1);
    assert_int_equal(stats_of(b, 1).requests, 1);
    assert_int_equal(stats_of(b, 1).replies, 1);
    assert_int_equal(stats_of(b, 0).requests, 0);
}

static void points_not_due_are_not_asked(void **state)
{
    struct bench *b = *state;
    open_driver(b);
    b->due[0] = b->due[5] = false;
    poll_device(b, 0);
    assert_int_equal(b->readings[0].quality, QUALITY_NOT_DUE);
    assert_int_equal(b->readings[5].quality, QUALITY_NOT_DUE);
    assert_int_equal(b->readings[0].value.kind, VALUE_NONE);
    for (size_t i = 1; i < 5; i++)
        assert_reads(b, i, 1);
    assert_int_equal(atomic_load(&b->slave.longest), 4);
}

static void coils_and_wide_points_are_read_beside_registers(void **state)
{
    struct bench *b = *state;
    b->points[0].table = b->points[1].table = POINT_COIL;
    b->points[0].type = b->points[1].type = POINT_BOOL;
    b->points[0].address = 9;
    b->points[1].address = 0;
    b->points[2].type = POINT_UINT32;
    open_driver(b);
    poll_device(b, 0);
    assert_int_equal(b->readings[0].value.kind, VALUE_BOOL);
    assert_int_equal(b->readings[0].value.boolean, slave_bit(1, 9));
    assert_int_equal(b->readings[1].value.boolean, slave_bit(1, 0));
    int64_t wide = (int64_t)slave_value(1, 2) << 16 | slave_value(1, 3);
    assert_int_equal(decimal_compare(b->readings[2].value.number, decimal_from_int(wide)), 0);
    assert_reads(b, 5, 1);
}

static void a_silent_device_costs_its_tries_once(void **state)
{
    struct bench *b = *state;
    b->points[5].address = 500; /* two blocks */
    b->devices[0].timeout_ms = HASTY_MS;
    open_driver(b);
    atomic_store(&b->slave.silent_unit, 1);
    poll_device(b, 0);
    assert_int_equal(b->result.failed, QUALITY_NO_REPLY);
    slave_assert_heard(&b->slave, 3);
    assert_int_equal(stats_of(b, 0).timeouts, 3);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(b->readings[i].quality, QUALITY_NO_REPLY);
    poll_device(b, 1);
    assert_reads(b, 5, 2);
    slave_assert_heard(&b->slave, 5);
}

static void a_device_that_was_silent_gets_one_try_until_it_answers(void **state)
{
    struct bench *b = *state;
    b->devices[0].timeout_ms = HASTY_MS;
    open_driver(b);
    atomic_store(&b->slave.silent_unit, 1);
    poll_device(b, 0);
    slave_assert_heard(&b->slave, 3);
    poll_device(b, 0);
    assert_int_equal(b->result.failed, QUALITY_NO_REPLY);
    slave_assert_heard(&b->slave, 4);
    atomic_store(&b->slave.silent_unit, 0);
    poll_device(b, 0);
    assert_int_equal(b->result.failed, QUALITY_GOOD);
    atomic_store(&b->slave.silent_unit, 1);
    int before = atomic_load(&b->slave.requests);
    poll_device(b, 0);
    slave_assert_heard(&b->slave, before + 3);
    atomic_store(&b->slave.silent_unit, 0);
    struct driver *d = b->driver;
    d->ops->probe(d, 0, &b->result); /* an answered probe counts, too */
    assert_int_equal(b->result.failed, QUALITY_GOOD);
    atomic_store(&b->slave.silent_unit, 1);
    before = atomic_load(&b->slave.requests);
    poll_device(b, 0);
    slave_assert_heard(&b->slave, before + 3);
}

static void a_block_that_stays_silent_does_not_hide_the_others(void **state)
{
    struct bench *b = *state;
    b->points[5].address = 500;
    b->devices[0].timeout_ms = HASTY_MS;
    open_driver(b);
    atomic_store(&b->slave.silent_address, 0 + 1);
    poll_device(b, 0); /* silence at the first block: nothing is known yet */
    assert_int_equal(b->result.failed, QUALITY_NO_REPLY);
    for (int i = 0; i < 2; i++) {
        poll_device(b, 0);
        assert_int_equal(b->result.failed, QUALITY_GOOD);
        assert_reads(b, 5, 1);
        assert_int_equal(b->readings[0].quality, QUALITY_NO_REPLY);
    }
}

static void a_missing_register_costs_only_its_own_point(void **state)
{
    struct bench *b = *state;
    open_driver(b);
    atomic_store(&b->slave.refuse_address, 2 + 1);
    for (int poll = 0; poll < 3; poll++) {
        atomic_store(&b->slave.requests, 0);
        poll_device(b, 0);
        assert_int_equal(b->result.failed, QUALITY_GOOD);
        for (size_t i = 0; i < 6; i++) {
            if (i == 2)
                assert_int_equal(b->readings[i].quality, QUALITY_CONFIG_ERROR);
            else
                assert_reads(b, i, 1);
        }
        /* At first the block and each of its points; then two blocks around the missing register. */
        slave_assert_heard(&b->slave, poll == 0 ? 7 : 2);
    }
}

static void a_register_that_was_there_is_not_given_up_for_one_refusal(void **state)
{
    struct bench *b = *state;
    open_driver(b);
    poll_device(b, 0);
    assert_reads(b, 2, 1);
    atomic_store(&b->slave.refuse_address, 2 + 1);
    for (int poll = 1; poll <= 3; poll++) {
        poll_device(b, 0);
        assert_int_equal(b->readings[2].quality, poll < 3 ? QUALITY_EXCEPTION : QUALITY_CONFIG_ERROR);
        assert_reads(b, 3, 1);
    }
}

static void a_device_without_any_of_its_registers_is_still_asked(void **state)
{
    struct bench *b = *state;
    open_driver(b);
    atomic_store(&b->slave.exception, 2);
    poll_device(b, 0);
    assert_int_equal(b->result.failed, QUALITY_EXCEPTION);
    assert_int_equal(b->result.exception, 2);
    atomic_store(&b->slave.requests, 0);
    poll_device(b, 0);
    assert_int_equal(b->result.failed, QUALITY_EXCEPTION);
    assert_int_equal(b->readings[5].quality, QUALITY_CONFIG_ERROR);
    slave_assert_heard(&b->slave, 1);
}

static void a_port_that_comes_back_clears_the_verdicts(void **state)
{
    struct bench *b = *state;
    open_driver(b);
    atomic_store(&b->slave.refuse_address, 2 + 1);
    poll_device(b, 0);
    assert_int_equal(b->readings[2].quality, QUALITY_CONFIG_ERROR);
    atomic_store(&b->slave.refuse_address, 0);
    poll_device(b, 0);
    assert_int_equal(b->readings[2].quality, QUALITY_CONFIG_ERROR);
    slave_unplug(&b->slave);
    slave_start_rtu(&b->slave);
    int64_t deadline = clock_mono_ms() + 10000;
    do {
        clock_sleep_until_us(clock_mono_us() + 10000);
        poll_device(b, 0);
    } while (b->result.failed == QUALITY_NOT_CONNECTED && clock_mono_ms() < deadline);
    poll_device(b, 0);
    for (size_t i = 0; i < 6; i++)
        assert_reads(b, i, 1);
    assert_int_equal(stats_of(b, 0).reconnects, 1);
}

static void a_device_that_refuses_long_reads_is_asked_for_less(void **state)
{
    struct bench *b = *state;
    use_registers(b, 20);
    open_driver(b);
    atomic_store(&b->slave.refuse_longer, 8);
    for (int poll = 0; poll < 3; poll++) { /* 20 refused, 10 refused, 5 taken */
        atomic_store(&b->slave.requests, 0);
        poll_device(b, 0);
        for (size_t i = 0; i < 20; i++)
            assert_reads(b, i, 1);
    }
    slave_assert_heard(&b->slave, 4);
}

static void another_exception_is_told_and_not_retried(void **state)
{
    struct bench *b = *state;
    open_driver(b);
    atomic_store(&b->slave.exception, 4);
    poll_device(b, 0);
    assert_int_equal(b->result.failed, QUALITY_EXCEPTION);
    assert_int_equal(b->result.exception, 4);
    assert_int_equal(b->readings[0].quality, QUALITY_EXCEPTION);
    slave_assert_heard(&b->slave, 1);
    assert_int_equal(stats_of(b, 0).exceptions, 1);
}

static void a_gateways_word_of_silence_is_silence(void **state)
{
    struct bench *b = *state;
    open_driver(b);
    atomic_store(&b->slave.exception, 11);
    poll_device(b, 0);
    assert_int_equal(b->result.failed, QUALITY_NO_REPLY);
    assert_int_equal(b->readings[0].quality, QUALITY_NO_REPLY);
}

static void a_broken_answer_is_asked_for_again(void **state)
{
    struct bench *b = *state;
    open_driver(b);
    atomic_store(&b->slave.break_crc, true);
    poll_device(b, 0);
    assert_int_equal(b->result.failed, QUALITY_BAD_CRC);
    assert_int_equal(b->readings[0].quality, QUALITY_BAD_CRC);
    assert_int_equal(stats_of(b, 0).bad_crc, 3);
    atomic_store(&b->slave.break_crc, false);
    poll_device(b, 0);
    assert_reads(b, 0, 1);
}

/* Blocks of the same length on one device, an answer now and then after the timeout. */
static void no_late_answer_is_ever_published_as_another_value(void **state)
{
    struct bench *b = *state;
    for (size_t i = 0; i < 6; i++)
        b->points[i].address = (uint16_t)(100 * i);
    b->devices[0].timeout_ms = b->devices[1].timeout_ms = HASTY_MS;
    open_driver(b);
    atomic_store(&b->slave.late_ms, HASTY_MS + 25);
    atomic_store(&b->slave.late_one_in, 4);
    int good = 0;
    for (int poll = 0; poll < 4; poll++) {
        size_t device = poll == 2;
        poll_device(b, device);
        for (size_t i = 0; i < 6; i++) {
            if (b->readings[i].quality != QUALITY_GOOD)
                continue;
            good++;
            assert_reads(b, i, (int)device + 1);
        }
    }
    assert_true(good > 0);
    assert_true(stats_of(b, 0).late + stats_of(b, 1).late > 0);
}

/* A short point beside two long blocks of the same length: it is what tells whether the answer that is
 * missing can still come. */
static void a_lost_answer_holds_no_other_block_back(void **state)
{
    struct bench *b = *state;
    b->points[0].type = b->points[1].type = POINT_UINT64;
    b->points[1].address = 100;
    for (size_t i = 2; i < 6; i++)
        b->points[i].address = (uint16_t)(200 + i);
    b->points[2].address = 300;
    b->due[2] = b->due[3] = b->due[4] = b->due[5] = false;
    b->devices[0].timeout_ms = HASTY_MS;
    open_driver(b);
    b->due[2] = true;
    poll_device(b, 0);
    b->due[2] = false;
    atomic_store(&b->slave.silent_address, 0 + 1);
    poll_device(b, 0); /* block 0 is lost; taken for dead, the device is not asked for more */
    assert_int_equal(b->result.failed, QUALITY_NO_REPLY);
    poll_device(b, 0); /* block 100 has the same shape */
    assert_int_equal(b->readings[0].quality, QUALITY_NO_REPLY);
    assert_int_equal(b->readings[1].quality, QUALITY_GOOD);
    assert_true(stats_of(b, 0).held_back > 0);
    assert_int_equal(stats_of(b, 0).late, 0);
}

static void a_device_that_answers_late_gets_more_time_up_to_three_times(void **state)
{
    enum { SHORT_MS = 20, LATE_MS = 32 };
    struct bench *b = *state;
    b->devices[0].timeout_ms = b->devices[1].timeout_ms = SHORT_MS;
    open_driver(b);
    poll_device(b, 0);
    assert_int_equal(stats_of(b, 0).timeout_ms, SHORT_MS);
    atomic_store(&b->slave.late_ms, LATE_MS);
    int64_t raised_ms = 0;
    for (int poll = 0; poll < 4; poll++) {
        poll_device(b, 0);
        /* What is asked faster than it is answered piles up in the slave. */
        clock_sleep_until_us(clock_mono_us() + 2 * SHORT_MS * 1000);
        if (b->result.raised_timeout_ms > 0)
            raised_ms = b->result.raised_timeout_ms;
    }
    assert_true(raised_ms > LATE_MS && raised_ms <= 3 * SHORT_MS);
    assert_int_equal(stats_of(b, 0).timeout_ms, raised_ms);
    assert_int_equal(b->result.failed, QUALITY_GOOD); /* it is in time now */
    assert_int_equal(stats_of(b, 1).timeout_ms, SHORT_MS);
    atomic_store(&b->slave.late_ms, 0);
    poll_device(b, 0);
    assert_true(stats_of(b, 0).timeout_ms >= raised_ms); /* never back */
}

static void what_a_probe_learned_of_the_timeout_the_next_poll_tells(void **state)
{
    enum { SHORT_MS = 20, LATE_MS = 32 };
    struct bench *b = *state;
    b->devices[0].timeout_ms = b->devices[1].timeout_ms = SHORT_MS;
    open_driver(b);
    atomic_store(&b->slave.late_ms, LATE_MS);
    b->driver->ops->probe(b->driver, 0, &b->result);
    assert_int_equal(b->result.failed, QUALITY_NO_REPLY);
    atomic_store(&b->slave.late_ms, 0);
    atomic_store(&b->slave.break_crc, true);
    poll_device(b, 1); /* into which the first one's answer falls */
    atomic_store(&b->slave.break_crc, false);
    atomic_store(&b->slave.late_ms, LATE_MS);
    clock_sleep_until_us(clock_mono_us() + 4000000); /* a probe asks for another register each time */
    b->driver->ops->probe(b->driver, 0, &b->result);
    assert_int_equal(b->result.failed, QUALITY_GOOD);
    poll_device(b, 0);
    assert_int_equal(b->result.failed, QUALITY_GOOD);
    assert_true(b->result.raised_timeout_ms > LATE_MS);
    poll_device(b, 0);
    assert_int_equal(b->result.raised_timeout_ms, 0);
}

static void a_bus_in_use_is_busy_and_a_poll_has_a_price(void **state)
{
    struct bench *b = *state;
    struct driver_bus_stats bus;
    b->devices[0].timeout_ms = HASTY_MS;
    open_driver(b);
    /* 13 characters at 115200, the silence, 20 ms of latency that nobody has measured yet, six registers. */
    int64_t unknown_us = b->driver->ops->cost_us(b->driver, 0, b->due);
    assert_int_equal(unknown_us, 1129 + 1750 + 20000 + 1042);
    poll_device(b, 0);
    assert_true(b->driver->ops->cost_us(b->driver, 0, b->due) < unknown_us);
    atomic_store(&b->slave.silent_unit, 1);
    poll_device(b, 0);
    b->driver->ops->bus_stats(b->driver, &bus);
    assert_true(bus.busy_permille > 500); /* waiting for an answer is use, too */
    assert_true(stats_of(b, 0).busy_us >= 3 * HASTY_MS * 1000);
    assert_int_equal(stats_of(b, 1).busy_us, 0);
    assert_int_equal(bus.foreign_frames + bus.foreign_bytes, 0);
}

static void a_probe_is_one_short_request(void **state)
{
    struct bench *b = *state;
    b->devices[0].timeout_ms = HASTY_MS;
    open_driver(b);
    b->driver->ops->probe(b->driver, 1, &b->result);
    assert_int_equal(b->result.failed, QUALITY_GOOD);
    slave_assert_heard(&b->slave, 1);
    assert_int_equal(atomic_load(&b->slave.longest), 1);
    atomic_store(&b->slave.silent_unit, 1);
    b->driver->ops->probe(b->driver, 0, &b->result);
    assert_int_equal(b->result.failed, QUALITY_NO_REPLY);
    slave_assert_heard(&b->slave, 2);
}

static void without_a_connection_every_point_says_so(void **state)
{
    struct bench *b = *state;
    open_driver(b);
    slave_unplug(&b->slave);
    poll_device(b, 0);
    assert_int_equal(b->result.failed, QUALITY_NOT_CONNECTED);
    assert_non_null(strstr(b->result.note.text, "Connection refused"));
    char where[32];
    snprintf(where, sizeof where, "localhost:%d", b->slave.port);
    assert_non_null(strstr(b->result.note.text, where));
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(b->readings[i].quality, QUALITY_NOT_CONNECTED);
    slave_start_tcp(&b->slave, b->slave.wire); /* for teardown */
}

static void after_cancel_nothing_is_asked(void **state)
{
    struct bench *b = *state;
    open_driver(b);
    b->driver->ops->cancel(b->driver);
    poll_device(b, 0);
    assert_int_equal(b->result.failed, QUALITY_NOT_CONNECTED);
    b->driver->ops->probe(b->driver, 0, &b->result);
    assert_int_equal(b->result.failed, QUALITY_NOT_CONNECTED);
    slave_assert_heard(&b->slave, 0);
}

static void each_device_has_its_own_line(void **state)
{
    struct bench *b = *state;
    b->devices[1].line = (struct modbus_line){19200, "8E1"};
    open_driver(b);
    for (int i = 0; i < 4; i++) {
        poll_device(b, (size_t)(i % 2));
        assert_reads(b, 5, 1 + i % 2);
        struct termios t;
        assert_int_equal(tcgetattr(b->slave.fd, &t), 0); /* the master sees the terminal's settings */
        assert_int_equal(cfgetospeed(&t), i % 2 ? B19200 : B115200);
        assert_int_equal((t.c_cflag & CSTOPB) != 0, 0);
    }
}

static void assert_refused(struct bench *b, const char *words)
{
    struct err_note note = {0};
    struct driver *d = NULL;
    b->options = (struct modbus_options){.protocol = MODBUS_RTU,
                                         .port = b->slave.path,
                                         .tries = 1,
                                         .devices = b->devices,
                                         .device_count = DEVICES};
    assert_int_equal(modbus_driver_open(&b->options, &d, &note), FG_EINVALID);
    if (!strstr(note.text, words))
        fail_msg("\"%s\" does not say \"%s\"", note.text, words);
    use_registers(b, 6);
}

static void options_that_cannot_be_planned_are_refused(void **state)
{
    struct bench *b = *state;
    b->points[3].type = POINT_FLOAT64;
    b->points[3].address = 65533;
    assert_refused(b, "beyond address 65535");
    b->points[3].type = POINT_FLOAT32;
    b->devices[0].max_registers = 1;
    assert_refused(b, "wider than");
    b->points[0].table = POINT_COIL;
    assert_refused(b, "can only be bool");
    b->points[0].scale = (struct decimal){0};
    assert_refused(b, "scale 0");
    b->devices[1].unit = 248;
    assert_refused(b, "unit 248");
    b->devices[1].max_registers = 126;
    assert_refused(b, "126");
    b->devices[1].line.baud = 9601;
    assert_refused(b, "9601");
}

#define ON(wire, test) cmocka_unit_test_setup_teardown(test, setup_##wire, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(rtu, one_request_brings_all_points),
        ON(tcp, one_request_brings_all_points),
        ON(rtu_over_tcp, one_request_brings_all_points),
        ON(tcp, points_not_due_are_not_asked),
        ON(tcp, coils_and_wide_points_are_read_beside_registers),
        ON(rtu, a_silent_device_costs_its_tries_once),
        ON(rtu, a_device_that_was_silent_gets_one_try_until_it_answers),
        ON(tcp, a_silent_device_costs_its_tries_once),
        ON(rtu, a_block_that_stays_silent_does_not_hide_the_others),
        ON(tcp, a_missing_register_costs_only_its_own_point),
        ON(tcp, a_register_that_was_there_is_not_given_up_for_one_refusal),
        ON(rtu, a_device_without_any_of_its_registers_is_still_asked),
        ON(rtu, a_port_that_comes_back_clears_the_verdicts),
        ON(tcp, a_device_that_refuses_long_reads_is_asked_for_less),
        ON(rtu, another_exception_is_told_and_not_retried),
        ON(tcp, a_gateways_word_of_silence_is_silence),
        ON(rtu, a_broken_answer_is_asked_for_again),
        ON(rtu, no_late_answer_is_ever_published_as_another_value),
        ON(rtu, a_lost_answer_holds_no_other_block_back),
        ON(rtu, a_device_that_answers_late_gets_more_time_up_to_three_times),
        ON(rtu, what_a_probe_learned_of_the_timeout_the_next_poll_tells),
        ON(tcp, a_device_that_answers_late_gets_more_time_up_to_three_times),
        ON(rtu, a_bus_in_use_is_busy_and_a_poll_has_a_price),
        ON(rtu, a_probe_is_one_short_request),
        ON(tcp, without_a_connection_every_point_says_so),
        ON(tcp, after_cancel_nothing_is_asked),
        ON(rtu, each_device_has_its_own_line),
        ON(rtu, options_that_cannot_be_planned_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
