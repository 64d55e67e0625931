/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../gateway/err.h"
#include "../../gateway/layout.h"

static const char FARM[] =
    "{\"models\":{"
    "\"soil\":{\"points\":[{\"name\":\"soil_moisture\",\"type\":\"number\",\"unit\":\"%\",\"min\":0,\"max\":"
    "100},"
    "{\"name\":\"soil_temperature\",\"type\":\"number\",\"unit\":\"Cel\"}]},"
    "\"pump\":{\"points\":[{\"name\":\"running\",\"type\":\"bool\"}]}},"
    "\"devices\":["
    "{\"name\":\"soil-a1\",\"model\":\"soil\",\"every_ms\":60000,\"labels\":{\"plot\":\"A1\"}},"
    "{\"name\":\"pump\",\"model\":\"pump\",\"every_ms\":10000},"
    "{\"name\":\"soil-a2\",\"model\":\"soil\",\"every_ms\":60000}]}";

static struct layout *parse(const char *text)
{
    struct layout *l = NULL;
    assert_int_equal(layout_parse(text, strlen(text), &l), 0);
    assert_non_null(l);
    return l;
}

static void devices_and_points_have_the_positions_that_samples_use(void **state)
{
    (void)state;
    struct layout *l = parse(FARM);
    assert_int_equal(layout_device_count(l), 3);
    assert_string_equal(layout_device_name(l, 0), "soil-a1");
    assert_string_equal(layout_device_name(l, 1), "pump");
    assert_int_equal(layout_point_count(l, 0), 2);
    assert_int_equal(layout_point_count(l, 1), 1);
    assert_string_equal(layout_point_name(l, 0, 1), "soil_temperature");
    assert_string_equal(layout_point_unit(l, 0, 1), "Cel");
    assert_string_equal(layout_point_name(l, 1, 0), "running");
    layout_free(l);
}

static void devices_of_one_model_share_its_points(void **state)
{
    (void)state;
    struct layout *l = parse(FARM);
    assert_string_equal(layout_point_name(l, 2, 0), "soil_moisture");
    assert_ptr_equal(layout_point_name(l, 0, 0), layout_point_name(l, 2, 0));
    layout_free(l);
}

static void what_is_not_there_is_null(void **state)
{
    (void)state;
    struct layout *l = parse(FARM);
    assert_null(layout_device_name(l, 3));
    assert_int_equal(layout_point_count(l, 3), 0);
    assert_null(layout_point_name(l, 3, 0));
    assert_null(layout_point_name(l, 1, 1));
    assert_null(layout_point_unit(l, 1, 0)); /* a boolean has no unit */
    assert_null(layout_point_unit(l, 1, 1));
    layout_free(l);
    layout_free(NULL);
}

static void an_empty_farm_is_a_layout_too(void **state)
{
    (void)state;
    struct layout *l = parse("{\"models\":{},\"devices\":[]}");
    assert_int_equal(layout_device_count(l), 0);
    layout_free(l);
}

static void names_come_out_decoded(void **state)
{
    (void)state;
    struct layout *l =
        parse("{\"models\":{\"m\":{\"points\":[{\"name\":\"t\\u00e9\",\"unit\":\"\\u00b5S/cm\"}]}},"
              "\"devices\":[{\"name\":\"d\",\"model\":\"m\"}]}");
    assert_string_equal(layout_point_name(l, 0, 0), "t\xc3\xa9");
    assert_string_equal(layout_point_unit(l, 0, 0), "\xc2\xb5S/cm");
    layout_free(l);
}

static void inconsistent_text_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"models\":{}}",
        "{\"models\":[],\"devices\":[]}",
        "{\"models\":{},\"devices\":{}}",
        "{\"models\":{},\"devices\":[{\"name\":\"d\",\"model\":\"unknown\"}]}",
        "{\"models\":{\"m\":{\"points\":[]}},\"devices\":[{\"model\":\"m\"}]}",
        "{\"models\":{\"m\":{\"points\":[]}},\"devices\":[{\"name\":\"\",\"model\":\"m\"}]}",
        "{\"models\":{\"m\":{\"points\":[]}},\"devices\":[{\"name\":\"d\"}]}",
        "{\"models\":{\"m\":{\"points\":[]}},\"devices\":[7]}",
        "{\"models\":{\"m\":{}},\"devices\":[]}",
        "{\"models\":{\"m\":7},\"devices\":[]}",
        "{\"models\":{\"m\":{\"points\":{}}},\"devices\":[]}",
        "{\"models\":{\"m\":{\"points\":[{\"unit\":\"%\"}]}},\"devices\":[]}",
        "{\"models\":{\"m\":{\"points\":[{\"name\":\"p\",\"unit\":7}]}},\"devices\":[]}",
        "{\"models\":{\"m\":{\"points\":[\"p\"]}},\"devices\":[]}",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct layout *l = NULL;
        int err = layout_parse(cases[i], strlen(cases[i]), &l);
        if (err != FG_EINVALID)
            print_error("case %zu: %s\n", i, cases[i]);
        assert_int_equal(err, FG_EINVALID);
        assert_null(l);
    }
}

static void a_cut_text_is_refused_at_every_length(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(FARM) - 1; len++) {
        struct layout *l = NULL;
        char *copy = malloc(len ? len : 1);
        assert_non_null(copy);
        memcpy(copy, FARM, len);
        assert_int_equal(layout_parse(copy, len, &l), FG_EINVALID);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_and_points_have_the_positions_that_samples_use),
        cmocka_unit_test(devices_of_one_model_share_its_points),
        cmocka_unit_test(what_is_not_there_is_null),
        cmocka_unit_test(an_empty_farm_is_a_layout_too),
        cmocka_unit_test(names_come_out_decoded),
        cmocka_unit_test(inconsistent_text_is_refused),
        cmocka_unit_test(a_cut_text_is_refused_at_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
