/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "../../gateway/clock.h"
#include "../../gateway/err.h"
#include "../../gateway/queue.h"

#define PATIENCE_MS 10000

static int push(struct queue *q, const char *text)
{
    return queue_push(q, text, strlen(text), NULL, 0);
}

static void expect_pop(struct queue *q, const char *text)
{
    char got[256];
    assert_int_equal(queue_pop(q, got, sizeof(got), clock_mono_ms() + PATIENCE_MS), (int)strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static void messages_come_out_whole_and_in_order(void **state)
{
    (void)state;
    struct queue *q = queue_new(1024);
    assert_int_equal(push(q, "one"), 0);
    assert_int_equal(queue_push(q, "he", 2, "ad", 2), 0);
    assert_int_equal(push(q, ""), 0);
    assert_int_equal(push(q, "three"), 0);
    expect_pop(q, "one");
    expect_pop(q, "head");
    expect_pop(q, "");
    expect_pop(q, "three");
    queue_free(q);
}

static void an_empty_queue_times_out_at_the_deadline_not_before(void **state)
{
    (void)state;
    struct queue *q = queue_new(1024);
    char got[256];
    assert_int_equal(queue_pop(q, got, sizeof(got), clock_mono_ms() - 5), FG_ETIMEOUT);
    int64_t deadline = clock_mono_ms() + 40;
    assert_int_equal(queue_pop(q, got, sizeof(got), deadline), FG_ETIMEOUT);
    assert_true(clock_mono_ms() >= deadline);
    queue_free(q);
}

static void *wait_for_much(void *queue)
{
    queue_wait(queue, 20, clock_mono_ms() + PATIENCE_MS);
    return NULL;
}

static void a_reader_with_time_sleeps_until_enough_waits(void **state)
{
    (void)state;
    struct queue *q = queue_new(1024);
    int64_t deadline = clock_mono_ms() + 30;
    assert_int_equal(push(q, "little"), 0);
    queue_wait(q, 20, deadline); /* 10 bytes wait */
    assert_true(clock_mono_ms() >= deadline);
    int64_t begin = clock_mono_ms();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_much, q), 0);
    assert_int_equal(push(q, "little"), 0);
    pthread_join(thread, NULL);
    assert_true(clock_mono_ms() < begin + PATIENCE_MS);
    expect_pop(q, "little");
    expect_pop(q, "little");
    queue_free(q);
}

static void a_reader_with_time_is_woken_by_the_end(void **state)
{
    (void)state;
    struct queue *q = queue_new(1024);
    int64_t begin = clock_mono_ms();
    queue_wake(q);
    queue_wait(q, 20, begin + PATIENCE_MS);
    queue_close(q);
    queue_wait(q, 20, begin + PATIENCE_MS);
    assert_true(clock_mono_ms() < begin + PATIENCE_MS);
    queue_free(q);
}

static void a_full_queue_refuses_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct queue *q = queue_new(40);
    assert_int_equal(queue_max_message(q), 10);
    assert_int_equal(push(q, "0123456789"), 0);
    assert_int_equal(push(q, "abcdefghij"), 0);
    assert_int_equal(push(q, "ABCDEFGHI"), FG_EFULL); /* 13 bytes where 12 are left */
    assert_int_equal(push(q, "klmnopqr"), 0);         /* exactly full */
    assert_int_equal(push(q, ""), FG_EFULL);
    expect_pop(q, "0123456789");
    assert_int_equal(push(q, "KLMNOPQRST"), 0);
    expect_pop(q, "abcdefghij");
    expect_pop(q, "klmnopqr");
    expect_pop(q, "KLMNOPQRST");
    queue_free(q);
}

static void a_message_that_can_never_fit_is_an_error_of_its_own(void **state)
{
    (void)state;
    struct queue *q = queue_new(40);
    assert_int_equal(push(q, "0123456789a"), FG_EINVALID);
    assert_int_equal(queue_push(q, "012345", 6, "6789a", 5), FG_EINVALID);
    assert_int_equal(queue_push(q, "x", 1, "y", SIZE_MAX), FG_EINVALID);
    assert_null(queue_new(SIZE_MAX));
    queue_free(q);
    queue_free(NULL);
}

/* Every length at every place in the ring, so that lengths and bytes wrap anywhere. */
static void messages_survive_wrapping_at_every_place(void **state)
{
    (void)state;
    struct queue *q = queue_new(101);
    unsigned char sent[25], got[25];
    unsigned next = 0, expected = 0;
    for (int round = 0; round < 3000; round++) {
        size_t len = (size_t)round % (sizeof(sent) + 1);
        for (size_t i = 0; i < len; i++)
            sent[i] = (unsigned char)next++;
        assert_int_equal(queue_push(q, sent, len / 2, sent + len / 2, len - len / 2), 0);
        if (round == 0)
            continue; /* one message stays behind, so that reading and writing places differ */
        int n = queue_pop(q, got, sizeof(got), clock_mono_ms() + PATIENCE_MS);
        assert_int_equal(n, (round - 1) % (int)(sizeof(sent) + 1));
        for (int i = 0; i < n; i++)
            assert_int_equal(got[i], (unsigned char)expected++);
    }
    queue_free(q);
}

static void what_waits_comes_out_at_once_as_far_as_there_is_room(void **state)
{
    (void)state;
    struct queue *q = queue_new(1024);
    char got[16];
    size_t count = 10;
    assert_int_equal(queue_drain(q, got, sizeof got, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(push(q, "one"), 0);
    assert_int_equal(push(q, ""), 0);
    assert_int_equal(push(q, "three"), 0);
    assert_int_equal(push(q, "four"), 0);
    count = 10;
    assert_int_equal(queue_drain(q, got, 11, &count), 8); /* the fourth needs one more byte */
    assert_memory_equal(got, "onethree", 8);
    assert_int_equal(count, 3);
    assert_int_equal(push(q, "five"), 0);
    count = 1;
    assert_int_equal(queue_drain(q, got, sizeof got, &count), 4);
    assert_int_equal(count, 1);
    expect_pop(q, "five");
    queue_free(q);
}

/* Batches of every size that begin at every place: one message stays behind, as an empty ring begins again.
 */
static void batches_survive_wrapping_at_every_place(void **state)
{
    (void)state;
    struct queue *q = queue_new(101);
    unsigned char sent[5], got[101], next = 0, expected = 0;
    size_t waiting = 0;
    for (size_t round = 0; round < 3000; round++) {
        size_t len = round % (sizeof sent + 1);
        for (size_t i = 0; i < len; i++)
            sent[i] = (unsigned char)(next + i);
        while (waiting <= round % 11 && queue_push(q, sent, len, NULL, 0) == 0) {
            waiting++;
            next = (unsigned char)(next + len);
            for (size_t i = 0; i < len; i++)
                sent[i] = (unsigned char)(next + i);
        }
        size_t count = waiting - 1;
        size_t bytes = queue_drain(q, got, sizeof got, &count);
        assert_int_equal(count, waiting - 1);
        waiting = 1;
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(got[i], expected++);
    }
    queue_free(q);
}

/* Otherwise the memory of a daemon grows for hours, until the ring has come round once. */
static void a_queue_takes_memory_for_what_waits_not_for_what_has_passed(void **state)
{
    (void)state;
    static char message[4096], got[4 << 20];
    struct queue *q = queue_new(16 << 20);
    assert_non_null(q);
    memset(got, 1, sizeof(message)); /* touched before anything is compared */
    long before = unit_anonymous_kb();
    for (size_t passed = 0; passed < 8 << 20; passed += sizeof(message)) {
        assert_int_equal(queue_push(q, message, sizeof(message), NULL, 0), 0);
        assert_int_equal(queue_pop(q, got, sizeof(got), INT64_MAX), (int)sizeof(message));
    }
    assert_true(unit_anonymous_kb() < before + 2048);
    queue_free(q);
}

static void a_closed_queue_gives_out_what_it_holds_and_then_says_so(void **state)
{
    (void)state;
    struct queue *q = queue_new(1024);
    char got[256];
    assert_int_equal(push(q, "last"), 0);
    queue_close(q);
    assert_int_equal(push(q, "late"), FG_ECLOSED);
    expect_pop(q, "last");
    assert_int_equal(queue_pop(q, got, sizeof(got), INT64_MAX), FG_ECLOSED);
    queue_free(q);
}

static void a_wake_counts_once_and_loses_no_message(void **state)
{
    (void)state;
    struct queue *q = queue_new(1024);
    char got[256];
    assert_int_equal(push(q, "one"), 0);
    queue_wake(q);
    queue_wake(q);
    assert_int_equal(queue_pop(q, got, sizeof(got), INT64_MAX), FG_ETIMEOUT);
    expect_pop(q, "one");
    queue_free(q);
}

struct reader {
    struct queue *q;
    int result;
};

static void *pop_once(void *context)
{
    struct reader *r = context;
    char got[256];
    r->result = queue_pop(r->q, got, sizeof(got), clock_mono_ms() + PATIENCE_MS);
    return NULL;
}

static int result_of_reader_after(void (*act)(struct queue *))
{
    struct reader r = {.q = queue_new(1024)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, pop_once, &r), 0);
    act(r.q); /* whether the reader already waits or not */
    pthread_join(thread, NULL);
    queue_free(r.q);
    return r.result;
}

static void push_word(struct queue *q)
{
    push(q, "word");
}

static void a_waiting_reader_is_woken_by_a_push_a_close_and_a_wake(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(result_of_reader_after(push_word), 4);
        assert_int_equal(result_of_reader_after(queue_close), FG_ECLOSED);
        assert_int_equal(result_of_reader_after(queue_wake), FG_ETIMEOUT);
    }
}

#define WRITERS 4
#define EACH 2000

struct message {
    uint32_t writer, number;
    unsigned char padding[23];
};

struct writer {
    struct queue *q;
    uint32_t id;
    unsigned full;
};

static void *write_many(void *context)
{
    struct writer *w = context;
    struct message m = {.writer = w->id};
    for (uint32_t i = 0; i < EACH;) {
        m.number = i;
        size_t len = sizeof(m) - i % sizeof(m.padding);
        if (queue_push(w->q, &m, 8, (const char *)&m + 8, len - 8) == 0) {
            i++;
        } else {
            w->full++;
            sched_yield();
        }
    }
    return NULL;
}

static void many_writers_keep_their_own_order(void **state)
{
    (void)state;
    struct queue *q = queue_new(1000);
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    uint32_t expected[WRITERS] = {0};
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.q = q, .id = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS * EACH; i++) {
        struct message m;
        assert_true(queue_pop(q, &m, sizeof(m), clock_mono_ms() + PATIENCE_MS) >= 8);
        assert_true(m.writer < WRITERS);
        assert_int_equal(m.number, expected[m.writer]++);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_out_whole_and_in_order),
        cmocka_unit_test(an_empty_queue_times_out_at_the_deadline_not_before),
        cmocka_unit_test(a_reader_with_time_sleeps_until_enough_waits),
        cmocka_unit_test(a_reader_with_time_is_woken_by_the_end),
        cmocka_unit_test(a_full_queue_refuses_and_keeps_what_it_has),
        cmocka_unit_test(a_message_that_can_never_fit_is_an_error_of_its_own),
        cmocka_unit_test(messages_survive_wrapping_at_every_place),
        cmocka_unit_test(what_waits_comes_out_at_once_as_far_as_there_is_room),
        cmocka_unit_test(batches_survive_wrapping_at_every_place),
        cmocka_unit_test(a_queue_takes_memory_for_what_waits_not_for_what_has_passed),
        cmocka_unit_test(a_closed_queue_gives_out_what_it_holds_and_then_says_so),
        cmocka_unit_test(a_wake_counts_once_and_loses_no_message),
        cmocka_unit_test(a_waiting_reader_is_woken_by_a_push_a_close_and_a_wake),
        cmocka_unit_test(many_writers_keep_their_own_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
