/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../gateway/err.h"
#include "../../gateway/seqset.h"

static void neighbours_and_overlaps_become_one_range(void **state)
{
    (void)state;
    struct seqset s;
    seqset_init(&s);
    assert_int_equal(seqset_add(&s, 10, 20), 0);
    assert_int_equal(seqset_add(&s, 30, 40), 0);
    assert_int_equal(s.count, 2);
    assert_int_equal(seqset_add(&s, 21, 29), 0);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.total, 31);
    assert_int_equal(seqset_add(&s, 5, 50), 0);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.total, 46);
    seqset_fini(&s);
}

static void removing_from_the_middle_splits_a_range(void **state)
{
    (void)state;
    struct seqset s;
    struct seqset_range r;
    seqset_init(&s);
    assert_int_equal(seqset_add(&s, 1, 100), 0);
    assert_int_equal(seqset_remove(&s, 40, 60), 0);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.total, 79);
    assert_true(seqset_next(&s, 10, 20, &r));
    assert_int_equal(r.first, 10);
    assert_int_equal(r.last, 20);
    assert_true(seqset_next(&s, 40, 70, &r));
    assert_int_equal(r.first, 61);
    assert_int_equal(r.last, 70);
    assert_false(seqset_next(&s, 40, 60, &r));
    assert_int_equal(seqset_count(&s, 30, 70), 20);
    seqset_fini(&s);
}

static void the_ends_of_the_number_range_are_numbers_like_others(void **state)
{
    (void)state;
    struct seqset s;
    seqset_init(&s);
    assert_int_equal(seqset_add(&s, 0, 0), 0);
    assert_int_equal(seqset_add(&s, UINT64_MAX, UINT64_MAX), 0);
    assert_true(seqset_has(&s, 0));
    assert_true(seqset_has(&s, UINT64_MAX));
    assert_int_equal(seqset_count(&s, 0, UINT64_MAX), 2);
    assert_int_equal(seqset_remove(&s, 0, UINT64_MAX), 0);
    assert_int_equal(s.count, 0);
    assert_int_equal(seqset_add(&s, 2, 1), FG_EINVALID);
    assert_int_equal(seqset_remove(&s, 2, 1), FG_EINVALID);
    seqset_fini(&s);
}

static void room_made_before_keeps_a_split_from_failing(void **state)
{
    (void)state;
    struct seqset s, copy;
    seqset_init(&s);
    seqset_init(&copy);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(seqset_add(&s, i * 10, i * 10 + 5), 0);
    assert_int_equal(seqset_reserve(&s, 3), 0);
    assert_true(s.cap - s.count >= 3);
    assert_int_equal(seqset_copy(&copy, &s), 0);
    assert_int_equal(copy.total, s.total);
    seqset_clear(&s);
    assert_false(seqset_has(&s, 0));
    assert_true(seqset_has(&copy, 75));
    seqset_fini(&s);
    seqset_fini(&copy);
}

#define WORLD 300

static void check(const struct seqset *s, const bool *model)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < WORLD; i++) {
        assert_int_equal(seqset_has(s, i), model[i]);
        total += model[i];
    }
    assert_int_equal(s->total, total);
    for (size_t i = 0; i < s->count; i++) {
        assert_true(s->ranges[i].first <= s->ranges[i].last);
        if (i > 0)
            assert_true(s->ranges[i - 1].last + 1 < s->ranges[i].first);
    }
}

static void random_changes_agree_with_a_plain_table(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 20; seed++) {
        bool model[WORLD] = {false};
        unsigned random = seed;
        struct seqset s;
        seqset_init(&s);
        for (int step = 0; step < 300; step++) {
            uint64_t first = (uint64_t)rand_r(&random) % WORLD;
            uint64_t last = first + (uint64_t)rand_r(&random) % 20;
            bool add = rand_r(&random) & 1;
            last = last < WORLD ? last : WORLD - 1;
            uint64_t expected = 0;
            for (uint64_t i = first; i <= last; i++)
                expected += model[i];
            assert_int_equal(seqset_count(&s, first, last), expected);
            assert_int_equal(add ? seqset_add(&s, first, last) : seqset_remove(&s, first, last), 0);
            for (uint64_t i = first; i <= last; i++)
                model[i] = add;
        }
        print_message("seed %u\n", seed);
        check(&s, model);
        seqset_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_and_overlaps_become_one_range),
        cmocka_unit_test(removing_from_the_middle_splits_a_range),
        cmocka_unit_test(the_ends_of_the_number_range_are_numbers_like_others),
        cmocka_unit_test(room_made_before_keeps_a_split_from_failing),
        cmocka_unit_test(random_changes_agree_with_a_plain_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
