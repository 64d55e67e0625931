/* SPDX-License-Identifier: Apache-2.0 */
/* What a scan tries in which order, and that it finds what answers. */
#include "modbus_slave.h"

#include "../../drivers/modbus_scan.h"

static struct modbus_scan_plan plan_of(const struct modbus_scan_options *o)
{
    struct modbus_scan_plan p;
    struct err_note note = {0};
    assert_int_equal(modbus_scan_plan(o, &p, &note), 0);
    return p;
}

static int position(const struct modbus_scan_plan *p, int baud, const char *format, int unit, int function)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct modbus_scan_try *t = &p->tries[i];
        if (t->line.baud == baud && strcmp(t->line.format, format) == 0 && t->unit == unit &&
            t->function == function)
            return (int)i;
    }
    return -1;
}

static const struct modbus_scan_known KNOWN[] = {{{9600, "8N1"}, 144, 3, 0x165},
                                                 {{4800, "8N1"}, 1, 3, 0},
                                                 {{9600, "8N1"}, 192, 4, 8},
                                                 {{19200, "8E1"}, 1, 3, 0}};

static struct modbus_scan_options full(void)
{
    return (struct modbus_scan_options){
        .known = KNOWN, .known_count = 4, .first_unit = 1, .last_unit = 247, .serial = true};
}

static void what_makers_deliver_comes_first_then_factory_numbers_then_the_rest(void **state)
{
    (void)state;
    struct modbus_scan_options o = full();
    struct modbus_scan_plan p = plan_of(&o);
    int known = position(&p, 9600, "8N1", 144, 3), factory = position(&p, 9600, "8N1", 45, 3),
        rest = position(&p, 9600, "8N1", 100, 3);
    assert_in_range(known, 0, 3);
    assert_int_equal(p.tries[known].address, 0x165);
    assert_true(known < factory && factory < (int)p.likely && (int)p.likely <= rest);
    assert_true(position(&p, 4800, "8N1", 1, 3) < 4);
    modbus_scan_plan_free(&p);
}

static void every_unit_is_asked_with_both_functions_at_every_usual_setting(void **state)
{
    (void)state;
    struct modbus_scan_options o = full();
    struct modbus_scan_plan p = plan_of(&o);
    static const struct modbus_line lines[] = {{9600, "8N1"}, {4800, "8N1"}, {19200, "8E1"},
                                               {9600, "8E1"}, {2400, "8N1"}, {115200, "8N1"}};
    for (size_t l = 0; l < 6; l++)
        for (int unit = 1; unit <= 247; unit++) {
            int three = position(&p, lines[l].baud, lines[l].format, unit, 3),
                four = position(&p, lines[l].baud, lines[l].format, unit, 4);
            assert_true(three >= 0 && four >= 0);
        }
    for (size_t i = 0; i < p.count; i++) {
        assert_in_range(p.tries[i].unit, 1, 247); /* none of the addresses for all */
        assert_in_range(p.tries[i].function, 3, 4);
        for (size_t k = 0; k < i && i < 300; k++)
            assert_false(p.tries[i].unit == p.tries[k].unit && p.tries[i].function == p.tries[k].function &&
                         p.tries[i].address == p.tries[k].address &&
                         p.tries[i].line.baud == p.tries[k].line.baud &&
                         strcmp(p.tries[i].line.format, p.tries[k].line.format) == 0);
    }
    modbus_scan_plan_free(&p);
}

static void function_4_follows_when_function_3_has_asked_all(void **state)
{
    (void)state;
    struct modbus_scan_options o = full();
    struct modbus_scan_plan p = plan_of(&o);
    assert_true(position(&p, 9600, "8N1", 101, 3) < position(&p, 9600, "8N1", 240, 3));
    assert_true(position(&p, 9600, "8N1", 240, 3) < position(&p, 9600, "8N1", 101, 4));
    assert_true(position(&p, 9600, "8N1", 240, 4) < position(&p, 4800, "8N1", 101, 3));
    modbus_scan_plan_free(&p);
}

static void quick_asks_only_numbers_that_sensors_are_sold_with(void **state)
{
    (void)state;
    struct modbus_scan_options o = full();
    o.quick = true;
    struct modbus_scan_plan p = plan_of(&o);
    assert_true(position(&p, 9600, "8N1", 1, 3) >= 0 && position(&p, 9600, "8N1", 192, 4) >= 0);
    assert_int_equal(position(&p, 9600, "8N1", 100, 3), -1);
    assert_int_equal(p.likely, p.count);
    int64_t cost = 0;
    for (size_t i = 0; i < p.count; i++)
        cost += modbus_scan_cost_ms(&p.tries[i], MODBUS_RTU);
    assert_true(cost < 60000);
    modbus_scan_plan_free(&p);
}

static void addresses_for_all_are_asked_only_for_a_single_device_and_marked(void **state)
{
    (void)state;
    struct modbus_scan_options o = full();
    o.single = true;
    struct modbus_scan_plan p = plan_of(&o);
    int marked = 0;
    for (size_t i = 0; i < p.count; i++) {
        assert_int_equal(p.tries[i].any_address, p.tries[i].unit >= 248);
        marked += p.tries[i].any_address;
    }
    assert_int_equal(p.tries[0].unit, 255);
    assert_int_equal(marked, 8 * 2 * 6);
    modbus_scan_plan_free(&p);
}

static void settings_and_units_can_be_narrowed(void **state)
{
    (void)state;
    struct modbus_scan_options o = full();
    o.lines[0] = (struct modbus_line){4800, "8N1"};
    o.line_count = 1;
    o.first_unit = 30;
    o.last_unit = 40;
    struct modbus_scan_plan p = plan_of(&o);
    assert_int_equal(p.count, 11 * 2);
    for (size_t i = 0; i < p.count; i++) {
        assert_int_equal(p.tries[i].line.baud, 4800);
        assert_in_range(p.tries[i].unit, 30, 40);
    }
    modbus_scan_plan_free(&p);
}

static void a_host_has_no_line_settings(void **state)
{
    (void)state;
    struct modbus_scan_options o = full();
    o.serial = false;
    struct modbus_scan_plan p = plan_of(&o);
    assert_in_range(p.count, 2 * 247, 2 * 247 + 4);
    for (size_t i = 0; i < p.count; i++)
        assert_int_equal(p.tries[i].line.baud, 0);
    modbus_scan_plan_free(&p);
}

/* A device that has TCP itself may listen to nothing else; behind a box these are calls to all. */
static void on_tcp_255_and_0_are_asked_too_but_not_what_is_reserved(void **state)
{
    (void)state;
    struct modbus_scan_options o = full();
    o.serial = false;
    o.first_unit = 0;
    o.last_unit = 255;
    o.wait_ms = 5;
    struct modbus_scan_plan p = plan_of(&o);
    int direct = 0;
    for (size_t i = 0; i < p.count; i++) {
        const struct modbus_scan_try *t = &p.tries[i];
        bool is_direct = t->unit == 0 || t->unit == 255;
        assert_true(is_direct || t->unit <= 247);
        assert_true(!is_direct || i < p.likely);
        direct += is_direct;
        assert_true(modbus_scan_fits(t, MODBUS_TCP));
        assert_int_equal(modbus_scan_fits(t, MODBUS_RTU_OVER_TCP), !is_direct);
        assert_int_equal(modbus_scan_cost_ms(t, MODBUS_TCP), 5);
    }
    assert_int_equal(direct, 4);
    modbus_scan_plan_free(&p);
}

static void nonsense_is_refused_with_a_word(void **state)
{
    (void)state;
    struct modbus_scan_plan p;
    struct err_note note = {0};
    struct modbus_scan_options o = full();
    o.lines[0] = (struct modbus_line){12345, "8N1"};
    o.line_count = 1;
    assert_int_equal(modbus_scan_plan(&o, &p, &note), FG_EINVALID);
    assert_non_null(strstr(note.text, "12345"));
    o = full();
    o.last_unit = 248;
    assert_int_equal(modbus_scan_plan(&o, &p, &note), FG_EINVALID);
}

/* ---- tries ---- */

static struct modbus_scan *open_scan(const struct slave *s)
{
    struct modbus_scan *scan;
    struct err_note note = {0};
    struct modbus_link_options link = {.protocol = s->wire == SLAVE_RTU   ? MODBUS_RTU
                                                   : s->wire == SLAVE_TCP ? MODBUS_TCP
                                                                          : MODBUS_RTU_OVER_TCP,
                                       .port = s->path,
                                       .host = "127.0.0.1",
                                       .tcp_port = s->port,
                                       .line = {9600, "8N1"}};
    assert_int_equal(modbus_scan_open(&link, &scan, &note), 0);
    return scan;
}

static enum modbus_scan_outcome try_unit(struct modbus_scan *scan, int unit, struct modbus_scan_result *ret)
{
    struct modbus_scan_try t = {.line = {115200, "8N1"}, .unit = (uint8_t)unit, .function = 3};
    modbus_scan_try(scan, &t, ret);
    return ret->outcome;
}

static void an_answer_of_any_kind_is_a_device(void **state)
{
    (void)state;
    struct slave s = {0};
    struct modbus_scan_result r;
    slave_start_rtu(&s);
    atomic_store(&s.silent_unit, 9);
    struct modbus_scan *scan = open_scan(&s);
    assert_int_equal(try_unit(scan, 7, &r), MODBUS_SCAN_FOUND);
    assert_int_equal(try_unit(scan, 9, &r), MODBUS_SCAN_NOBODY);
    atomic_store(&s.exception, 2);
    assert_int_equal(try_unit(scan, 8, &r), MODBUS_SCAN_FOUND);
    atomic_store(&s.exception, 0);
    atomic_store(&s.break_crc, true);
    assert_int_equal(try_unit(scan, 6, &r), MODBUS_SCAN_GARBLED);
    modbus_scan_close(scan);
    slave_stop(&s);
}

static void a_device_that_answers_too_late_is_noticed(void **state)
{
    (void)state;
    struct slave s = {0};
    struct modbus_scan_result r;
    slave_start_rtu(&s);
    atomic_store(&s.silent_unit, 6);
    struct modbus_scan *scan = open_scan(&s);
    atomic_store(&s.late_ms, 110); /* longer than a scan waits */
    assert_int_equal(try_unit(scan, 5, &r), MODBUS_SCAN_NOBODY);
    assert_int_equal(try_unit(scan, 6, &r), MODBUS_SCAN_NOBODY);
    assert_true(r.has_slow);
    assert_int_equal(r.slow.unit, 5);
    struct modbus_scan_try again = r.slow;
    modbus_scan_try(scan, &again, &r);
    assert_int_equal(r.outcome, MODBUS_SCAN_FOUND);
    modbus_scan_close(scan);
    slave_stop(&s);
}

static void the_same_unit_may_be_asked_for_one_register_after_another(void **state)
{
    (void)state;
    struct slave s = {0};
    struct modbus_scan_result r;
    slave_start_rtu(&s);
    atomic_store(&s.silent_unit, 5);
    struct modbus_scan *scan = open_scan(&s);
    for (uint16_t address = 0; address < 6; address++) {
        struct modbus_scan_try t = {
            .line = {115200, "8N1"}, .unit = 5, .function = (uint8_t)(3 + address % 2), .address = address};
        int before = atomic_load(&s.requests);
        modbus_scan_try(scan, &t, &r);
        assert_int_equal(r.outcome, MODBUS_SCAN_NOBODY);
        assert_int_equal(atomic_load(&s.requests), before + 1); /* really sent, not held back */
    }
    modbus_scan_close(scan);
    slave_stop(&s);
}

static void a_gateways_word_that_nobody_is_there_is_no_device(void **state)
{
    (void)state;
    struct slave s = {0};
    struct modbus_scan_result r;
    slave_start_tcp(&s, SLAVE_TCP);
    atomic_store(&s.exception, 11);
    struct modbus_scan *scan = open_scan(&s);
    assert_int_equal(try_unit(scan, 7, &r), MODBUS_SCAN_EMPTY);
    atomic_store(&s.exception, 0);
    assert_int_equal(try_unit(scan, 7, &r), MODBUS_SCAN_FOUND);
    modbus_scan_close(scan);
    slave_stop(&s);
}

static void a_missing_port_is_told_with_its_name(void **state)
{
    (void)state;
    struct slave s = {.wire = SLAVE_RTU, .path = "/nonexistent/tty"};
    struct modbus_scan_result r;
    struct modbus_scan *scan = open_scan(&s);
    assert_int_equal(try_unit(scan, 7, &r), MODBUS_SCAN_NO_PORT);
    assert_non_null(strstr(r.note.text, "/nonexistent/tty"));
    modbus_scan_close(scan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makers_deliver_comes_first_then_factory_numbers_then_the_rest),
        cmocka_unit_test(every_unit_is_asked_with_both_functions_at_every_usual_setting),
        cmocka_unit_test(function_4_follows_when_function_3_has_asked_all),
        cmocka_unit_test(quick_asks_only_numbers_that_sensors_are_sold_with),
        cmocka_unit_test(addresses_for_all_are_asked_only_for_a_single_device_and_marked),
        cmocka_unit_test(settings_and_units_can_be_narrowed),
        cmocka_unit_test(a_host_has_no_line_settings),
        cmocka_unit_test(on_tcp_255_and_0_are_asked_too_but_not_what_is_reserved),
        cmocka_unit_test(nonsense_is_refused_with_a_word),
        cmocka_unit_test(an_answer_of_any_kind_is_a_device),
        cmocka_unit_test(a_device_that_answers_too_late_is_noticed),
        cmocka_unit_test(the_same_unit_may_be_asked_for_one_register_after_another),
        cmocka_unit_test(a_gateways_word_that_nobody_is_there_is_no_device),
        cmocka_unit_test(a_missing_port_is_told_with_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
