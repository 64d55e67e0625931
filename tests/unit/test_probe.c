/* SPDX-License-Identifier: Apache-2.0 */
/* The probe: what it concludes from registers, and what it asks of a device for that. */
#include "unit.h"

#include "../../gateway/json.h"
#include "../../gateway/probe.h"
#include "../../gateway/probe_hints.h"

static struct decimal dec(const char *text)
{
    struct decimal d;
    assert_int_equal(decimal_parse(text, &d), 0);
    return d;
}

static struct point make_point(enum point_type type, uint16_t address, const char *min, const char *max)
{
    struct point p = {.name = "t", .unit = "Cel", .table = POINT_HOLDING, .address = address, .type = type};
    p.scale = dec("0.1");
    if (type == POINT_FLOAT32 || type == POINT_FLOAT64)
        p.scale = dec("1");
    p.has_min = min != NULL;
    p.has_max = max != NULL;
    if (min)
        p.min = dec(min);
    if (max)
        p.max = dec(max);
    return p;
}

/* The advice of the first plausible view; "" without any. */
static const char *advice_for(const struct point *p, const struct probe_around *a, char ret[PROBE_TEXT_MAX])
{
    struct probe_view views[PROBE_VIEWS_MAX];
    size_t n = probe_views(p, a, views);
    ret[0] = '\0';
    for (size_t i = 0; i < n; i++)
        if (views[i].plausible) {
            probe_advice(p, &views[i], ret);
            break;
        }
    return ret;
}

/* ---- hints ---- */

static void a_signed_number_read_as_unsigned_is_recognised(void **state)
{
    (void)state;
    char text[PROBE_TEXT_MAX];
    struct reading r;
    struct point p = make_point(POINT_UINT16, 0, "-40", "80");
    struct probe_around a = {.here = {true, {0xFFCC}}}; /* 6548.4 or -5.2 */
    assert_int_equal(probe_judge(&p, &a.here, &r), PROBE_OUT_OF_RANGE);
    assert_string_equal(advice_for(&p, &a, text), "set type int16: it gives -5.2 Cel");
}

static void a_wrong_word_order_is_recognised_in_integers_and_floats(void **state)
{
    (void)state;
    char text[PROBE_TEXT_MAX];
    struct reading r;
    struct point p = make_point(POINT_UINT32, 0, "0", "100000");
    struct probe_around a = {.here = {true, {0x09C4, 0x0000}}}; /* 2500 with the low word first */
    assert_int_equal(probe_judge(&p, &a.here, &r), PROBE_OUT_OF_RANGE);
    assert_string_equal(advice_for(&p, &a, text), "set order CDAB: it gives 250 Cel");
    struct point f = make_point(POINT_FLOAT32, 0, NULL, NULL);
    struct probe_around b = {.here = {true, {0x0000, 0x41BC}}}; /* 23.5 with the low word first: 2.36e-41 */
    assert_int_equal(probe_judge(&f, &b.here, &r), PROBE_ABSURD);
    assert_string_equal(advice_for(&f, &b, text), "set order CDAB: it gives 23.5 Cel");
}

static void numbering_from_1_is_recognised(void **state)
{
    (void)state;
    char text[PROBE_TEXT_MAX];
    struct point p = make_point(POINT_INT16, 1, "-40", "80");
    struct probe_around a = {.before = {true, {234}}}; /* refused here */
    assert_string_equal(advice_for(&p, &a, text), "looks like 1-based numbering: address 0 gives 23.4 Cel");
    a.before_taken = true; /* another point's register: no news */
    assert_string_equal(advice_for(&p, &a, text), "");
    struct probe_around b = {.here = {true, {9999}}, .after = {true, {234}}};
    assert_string_equal(advice_for(&p, &b, text), "looks like one too low: address 2 gives 23.4 Cel");
}

static void swapped_bytes_of_one_register_are_recognised(void **state)
{
    (void)state;
    char text[PROBE_TEXT_MAX];
    struct point p = make_point(POINT_INT16, 0, "0", "100");
    struct probe_around a = {.here = {true, {0xEA00}}}; /* 0x00EA is 23.4 */
    assert_string_equal(advice_for(&p, &a, text), "set order BA: it gives 23.4 Cel");
}

static void a_float_read_as_an_integer_is_recognised(void **state)
{
    (void)state;
    char text[PROBE_TEXT_MAX];
    struct point p = make_point(POINT_UINT32, 0, "0", "100");
    p.scale = dec("1");
    struct probe_around a = {.here = {true, {0x41BC, 0x0000}}};
    assert_string_equal(advice_for(&p, &a, text), "set type float32: it gives 23.5 Cel");
}

static void zero_is_never_suggested(void **state)
{
    (void)state;
    char text[PROBE_TEXT_MAX];
    struct point p = make_point(POINT_INT16, 5, "-40", "80");
    struct probe_around a = {.here = {true, {30000}}, .before = {true, {0}}, .after = {true, {0}}};
    assert_string_equal(advice_for(&p, &a, text), "");
}

static void a_sensors_word_for_no_measurement_is_no_number(void **state)
{
    (void)state;
    struct reading r;
    struct point p = make_point(POINT_UINT16, 0, "0", "100");
    p.invalid_count = 1;
    p.invalid[0] = 65535;
    struct probe_words w = {true, {0xFFFF}}, nan = {true, {0x7FC0, 0}};
    assert_int_equal(probe_judge(&p, &w, &r), PROBE_NO_NUMBER);
    struct point f = make_point(POINT_FLOAT32, 0, NULL, NULL);
    assert_int_equal(probe_judge(&f, &nan, &r), PROBE_NO_NUMBER);
}

static void good_values_are_good(void **state)
{
    (void)state;
    struct reading r;
    struct point p = make_point(POINT_INT16, 0, "-40", "80"), f = make_point(POINT_FLOAT32, 0, "0", "500");
    struct probe_words w = {true, {0}}, volts = {true, {0x435C, 0x199A}};
    assert_int_equal(probe_judge(&p, &w, &r), PROBE_GOOD); /* zero is a value */
    assert_int_equal(probe_judge(&f, &volts, &r), PROBE_GOOD);
    struct probe_words zero = {true, {0, 0}};
    assert_int_equal(probe_judge(&f, &zero, &r), PROBE_GOOD);
}

/* ---- a device ---- */

/* Holding registers first..first+count-1 of a device that refuses the others. */
struct device {
    struct driver driver; /* first */
    int first, count;
    uint16_t values[32];
    enum quality failed; /* for everything, unless GOOD */
    int requests;
};

static void fake_read_raw(struct driver *driver, size_t index, enum point_register table, uint16_t address,
                          uint16_t count, uint16_t *words, struct driver_result *ret)
{
    struct device *d = (struct device *)driver;
    (void)index;
    d->requests++;
    *ret = (struct driver_result){.failed = d->failed};
    if (d->failed != QUALITY_GOOD)
        return;
    if (table != POINT_HOLDING || address < d->first || address + count > d->first + d->count) {
        ret->failed = QUALITY_EXCEPTION;
        ret->exception = 2;
        return;
    }
    memcpy(words, d->values + (address - d->first), count * sizeof *words);
}

static const struct driver_ops fake_ops = {.read_raw = fake_read_raw};

static cJSON *probe(struct device *d, const struct point *points, size_t count)
{
    struct probe_target t = {.device = "soil",
                             .bus = "field",
                             .unit = 7,
                             .points = points,
                             .point_count = count,
                             .budget_ms = 10000};
    struct buf out = BUF_INIT;
    d->driver.ops = &fake_ops;
    probe_run(&d->driver, &t, &out);
    assert_true(buf_ok(&out));
    cJSON *json = json_parse(out.data, out.len);
    assert_non_null(json);
    buf_fini(&out);
    return json;
}

static const cJSON *point_of(const cJSON *report, int index)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(report, "points"), index);
}

static void a_healthy_device_costs_one_request_and_shows_raw_and_value(void **state)
{
    (void)state;
    struct device d = {.count = 3, .values = {234, 0xFFCC, 500}};
    struct point points[] = {make_point(POINT_INT16, 0, "-40", "80"), make_point(POINT_INT16, 1, "-40", "80"),
                             make_point(POINT_UINT16, 2, "0", "100")};
    cJSON *r = probe(&d, points, 3);
    assert_int_equal(d.requests, 1);
    assert_int_equal(json_int(r, "unit", 0), 7);
    assert_null(cJSON_GetObjectItemCaseSensitive(r, "failed"));
    assert_string_equal(json_string(point_of(r, 1), "raw", ""), "FFCC");
    assert_string_equal(json_string(point_of(r, 1), "verdict", ""), "good");
    assert_true(cJSON_GetObjectItemCaseSensitive(point_of(r, 1), "value")->valuedouble == -5.2);
    assert_null(cJSON_GetObjectItemCaseSensitive(point_of(r, 1), "views"));
    cJSON_Delete(r);
}

static void a_map_that_is_off_by_one_as_a_whole_is_said_so(void **state)
{
    (void)state;
    struct device d = {.count = 3, .values = {234, 300, 311}}; /* 0..2; the configuration says 1..3 */
    struct point points[] = {make_point(POINT_INT16, 1, "-40", "80"), make_point(POINT_INT16, 2, "-40", "80"),
                             make_point(POINT_INT16, 3, "-40", "80")};
    cJSON *r = probe(&d, points, 3);
    assert_int_equal(json_int(r, "shift", 0), -1);
    const cJSON *bad = point_of(r, 2);
    assert_string_equal(json_string(bad, "verdict", ""), "refused");
    assert_int_equal(json_int(bad, "exception", 0), 2);
    const cJSON *view = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(bad, "views"), 0);
    assert_string_equal(json_string(view, "hint", ""),
                        "looks like 1-based numbering: address 2 gives 31.1 Cel");
    cJSON_Delete(r);
}

static void one_implausible_point_does_not_condemn_the_map(void **state)
{
    (void)state;
    struct device d = {.count = 3, .values = {234, 9000, 311}};
    struct point points[] = {make_point(POINT_INT16, 0, "-40", "80"), make_point(POINT_INT16, 1, "-40", "80"),
                             make_point(POINT_INT16, 2, "-40", "80")};
    cJSON *r = probe(&d, points, 3);
    assert_null(cJSON_GetObjectItemCaseSensitive(r, "shift"));
    const cJSON *view;
    cJSON_ArrayForEach(view, cJSON_GetObjectItemCaseSensitive(point_of(r, 1), "views"))
    {
        assert_null(cJSON_GetObjectItemCaseSensitive(view, "hint")); /* its neighbours are other points */
    }
    cJSON_Delete(r);
}

static void a_refused_block_is_asked_point_by_point(void **state)
{
    (void)state;
    struct device d = {.count = 2, .values = {234, 300}};
    struct point points[] = {make_point(POINT_INT16, 0, "-40", "80"), make_point(POINT_INT16, 1, "-40", "80"),
                             make_point(POINT_INT16, 2, "-40", "80")};
    cJSON *r = probe(&d, points, 3);
    assert_string_equal(json_string(point_of(r, 0), "verdict", ""), "good");
    assert_string_equal(json_string(point_of(r, 1), "verdict", ""), "good");
    assert_string_equal(json_string(point_of(r, 2), "verdict", ""), "refused");
    cJSON_Delete(r);
}

static void a_dead_device_is_asked_three_times_at_most(void **state)
{
    (void)state;
    struct device d = {.failed = QUALITY_NO_REPLY};
    struct point points[8];
    for (int i = 0; i < 8; i++)
        points[i] = make_point(POINT_INT16, (uint16_t)(10 * i), NULL, NULL);
    cJSON *r = probe(&d, points, 8);
    assert_int_equal(d.requests, 3);
    assert_string_equal(json_string(r, "failed", ""), "no_reply");
    assert_string_equal(json_string(point_of(r, 7), "verdict", ""), "not_asked");
    cJSON_Delete(r);
    d = (struct device){.failed = QUALITY_NOT_CONNECTED};
    r = probe(&d, points, 8);
    assert_int_equal(d.requests, 1);
    assert_string_equal(json_string(r, "failed", ""), "not_connected");
    cJSON_Delete(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_number_read_as_unsigned_is_recognised),
        cmocka_unit_test(a_wrong_word_order_is_recognised_in_integers_and_floats),
        cmocka_unit_test(numbering_from_1_is_recognised),
        cmocka_unit_test(swapped_bytes_of_one_register_are_recognised),
        cmocka_unit_test(a_float_read_as_an_integer_is_recognised),
        cmocka_unit_test(zero_is_never_suggested),
        cmocka_unit_test(a_sensors_word_for_no_measurement_is_no_number),
        cmocka_unit_test(good_values_are_good),
        cmocka_unit_test(a_healthy_device_costs_one_request_and_shows_raw_and_value),
        cmocka_unit_test(a_map_that_is_off_by_one_as_a_whole_is_said_so),
        cmocka_unit_test(one_implausible_point_does_not_condemn_the_map),
        cmocka_unit_test(a_refused_block_is_asked_point_by_point),
        cmocka_unit_test(a_dead_device_is_asked_three_times_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
