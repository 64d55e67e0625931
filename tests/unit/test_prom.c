/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../gateway/prom.h"

static void a_metric_has_a_head_and_samples(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    prom_head(&b, "fieldgate_a", "gauge", "What it is.");
    prom_add(&b, "fieldgate_a", NULL, -3);
    prom_add(&b, "fieldgate_a", (struct prom_label[]){{0}}, 4);
    prom_add(&b, "fieldgate_a", (struct prom_label[]){{"bus", "line"}, {"device", "u1"}, {0}}, INT64_MAX);
    assert_string_equal(b.data, "# HELP fieldgate_a What it is.\n# TYPE fieldgate_a gauge\n"
                                "fieldgate_a -3\n"
                                "fieldgate_a 4\n"
                                "fieldgate_a{bus=\"line\",device=\"u1\"} 9223372036854775807\n");
    buf_fini(&b);
}

static void thousandths_keep_their_zeros(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    prom_add_milli(&b, "s", (struct prom_label[]){{"stat", "min"}, {0}}, 7);
    prom_add_milli(&b, "s", NULL, 1020);
    assert_string_equal(b.data, "s{stat=\"min\"} 0.007\ns 1.020\n");
    buf_fini(&b);
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    prom_add(&b, "m", (struct prom_label[]){{"name", "a\"b\\c\nd Hàm"}, {0}}, 1);
    assert_string_equal(b.data, "m{name=\"a\\\"b\\\\c\\nd Hàm\"} 1\n");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_metric_has_a_head_and_samples),
        cmocka_unit_test(thousandths_keep_their_zeros),
        cmocka_unit_test(label_values_are_escaped),
    };
    return cmocka_run_group_tests_name("prom", tests, NULL, NULL);
}
