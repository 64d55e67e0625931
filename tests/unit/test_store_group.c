/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../gateway/clock.h"
#include "../../gateway/store_group.h"

#define QUEUE_BYTES 4096
#define BODY 20 /* bytes */
#define ENTRY (sizeof(struct store_entry) + BODY)
#define DEADLINE (clock_mono_ms() + 10000)

struct world {
    struct store_group group;
    struct queue *queue;
};

static int set_up(void **state)
{
    struct world *w = test_calloc(1, sizeof *w);
    buf_init(&w->group.data);
    w->queue = queue_new(QUEUE_BYTES);
    *state = w;
    return w->queue ? 0 : -1;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    buf_fini(&w->group.data);
    queue_free(w->queue);
    test_free(w);
    return 0;
}

static void push(struct world *w, int64_t first, int count)
{
    char body[BODY] = "[1.5,2.25,3.125,4.5]";
    for (int i = 0; i < count; i++) {
        struct store_entry head = {.ts_ms = first + i, .body_len = BODY};
        assert_int_equal(queue_push(w->queue, &head, sizeof head, body, BODY), 0);
    }
}

/* The group holds so many records, the first of this time, in their order. */
static void expect_group(const struct world *w, int64_t first, size_t count)
{
    assert_int_equal(w->group.count, count);
    assert_int_equal(w->group.data.len, count * ENTRY);
    for (size_t i = 0; i < count; i++) {
        struct store_entry head;
        memcpy(&head, w->group.data.data + i * ENTRY, sizeof head);
        assert_int_equal(head.ts_ms, first + (int64_t)i);
    }
}

static int pop(struct world *w, size_t most_bytes, size_t most_records)
{
    return store_group_pop(&w->group, w->queue, most_bytes, most_records, DEADLINE);
}

static void what_waits_is_taken_at_once(void **state)
{
    struct world *w = *state;
    push(w, 100, 15);
    assert_int_equal(pop(w, SIZE_MAX, SIZE_MAX), 0);
    expect_group(w, 100, 15);
    push(w, 115, 3);
    assert_int_equal(pop(w, SIZE_MAX, SIZE_MAX), 0);
    expect_group(w, 100, 18);
}

static void a_group_never_gets_more_records_than_it_may(void **state)
{
    struct world *w = *state;
    push(w, 1, 10);
    assert_int_equal(pop(w, SIZE_MAX, 7), 0);
    expect_group(w, 1, 7);
    store_group_reset(&w->group);
    assert_int_equal(pop(w, SIZE_MAX, 7), 0);
    expect_group(w, 8, 3);
}

static void a_group_never_gets_more_bytes_than_it_may(void **state)
{
    struct world *w = *state;
    push(w, 1, 10);
    assert_int_equal(pop(w, 4 * ENTRY + ENTRY / 2, SIZE_MAX), 0);
    expect_group(w, 1, 4);
}

/* Whoever calls for one gets one; the writer does not when the group is full. */
static void a_full_group_gets_a_single_record_more(void **state)
{
    struct world *w = *state;
    push(w, 1, 10);
    assert_int_equal(pop(w, 3 * ENTRY, SIZE_MAX), 0);
    assert_int_equal(pop(w, 3 * ENTRY, SIZE_MAX), 0);
    expect_group(w, 1, 4);
    assert_int_equal(pop(w, SIZE_MAX, 2), 0);
    expect_group(w, 1, 5);
}

static void the_last_records_come_before_the_end(void **state)
{
    struct world *w = *state;
    push(w, 1, 2);
    queue_close(w->queue);
    assert_int_equal(pop(w, SIZE_MAX, SIZE_MAX), 0);
    expect_group(w, 1, 2);
    assert_int_equal(pop(w, SIZE_MAX, SIZE_MAX), FG_ECLOSED);
    expect_group(w, 1, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_waits_is_taken_at_once),
        TEST(a_group_never_gets_more_records_than_it_may),
        TEST(a_group_never_gets_more_bytes_than_it_may),
        TEST(a_full_group_gets_a_single_record_more),
        TEST(the_last_records_come_before_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
