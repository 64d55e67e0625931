/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

static void what_is_appended_is_committed_and_read_back_in_order(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    /* stream_opened and started come first. */
    assert_int_equal(store_newest(f->store), 2);
    append_and_wait(f, 3);
    assert_int_equal(read_all(f, 0, &b), 5);
    assert_int_equal(b.layout, 1);
    assert_int_equal(strlen(b.stream), 16);
    assert_string_equal(b.records[2].body, "[0,false]");
    assert_string_equal(b.records[3].body, "[0.1,true]");
    for (size_t i = 0; i < b.count; i++)
        assert_int_equal(b.records[i].seq, i + 1);
    assert_true(b.records[0].is_event && b.records[1].is_event && !b.records[2].is_event);
    assert_int_equal(b.records[3].device, 1);
    assert_int_equal(b.records[4].ts_ms, 2000);
    assert_int_equal(b.records[4].extra_len, 0);
    store_batch_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_appended_is_committed_and_read_back_in_order, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
