/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "../../drivers/modbus_late.h"

#define SEED 90210u
#define TIMEOUT_US 500000
#define TRIES 3
#define QUEUE 64

/* A line with one slave on it, in simulated time. Answers do not say which address they are for; the
 * simulation knows, and a wrong one taken for right ends the test. */
struct answer {
    int64_t at_us;
    struct modbus_request request;
    bool exception;
};

struct line {
    struct modbus_late late;
    uint32_t random;
    int64_t now_us, free_us; /* free: when the slave has answered everything */
    struct answer queue[QUEUE];
    size_t count;
    int64_t late_max_us; /* the slave's worst delay */
    unsigned late_in_10, lost_in_10, exception_in_10;
    size_t accepted, refused, wrong;
};

static unsigned roll(struct line *l, unsigned sides)
{
    l->random = l->random * 1664525u + 1013904223u;
    return (l->random >> 12) % sides;
}

static void slave_hears(struct line *l, const struct modbus_request *r)
{
    if (roll(l, 10) < l->lost_in_10 || l->count == QUEUE)
        return;
    int64_t delay = 20000;
    if (roll(l, 10) < l->late_in_10)
        delay = 20000 + (int64_t)roll(l, (unsigned)(l->late_max_us / 1000)) * 1000;
    int64_t at = l->now_us + delay;
    if (at < l->free_us) /* answers keep the order of their requests */
        at = l->free_us + 1000;
    l->free_us = at;
    l->queue[l->count++] = (struct answer){at, *r, roll(l, 10) < l->exception_in_10};
}

/* The next answer up to then, or none; time moves on to it. */
static bool next_answer(struct line *l, int64_t until_us, struct answer *ret)
{
    if (l->count == 0 || l->queue[0].at_us > until_us) {
        if (until_us > l->now_us)
            l->now_us = until_us;
        return false;
    }
    *ret = l->queue[0];
    memmove(l->queue, l->queue + 1, --l->count * sizeof *l->queue);
    if (ret->at_us > l->now_us)
        l->now_us = ret->at_us;
    return true;
}

static struct modbus_frame frame_of(const struct answer *a)
{
    return (struct modbus_frame){.unit = a->request.unit,
                                 .function = (uint8_t)(a->request.function | (a->exception ? 0x80 : 0)),
                                 .data_len = a->exception ? 0 : modbus_frame_data_len(&a->request)};
}

static void listen(struct line *l, int64_t until_us)
{
    struct answer a;
    while (next_answer(l, until_us, &a)) {
        struct modbus_frame f = frame_of(&a);
        (void)modbus_late_seen(&l->late, &f, l->now_us);
    }
}

/* True when an answer was taken for the answer to r, as the link does it. */
static bool try_once(struct line *l, const struct modbus_request *r)
{
    int64_t sent_us = l->now_us;
    slave_hears(l, r);
    struct answer a;
    while (next_answer(l, sent_us + TIMEOUT_US, &a)) {
        struct modbus_frame f = frame_of(&a);
        bool fits = f.unit == r->unit && (f.function & 0x7F) == r->function &&
                    (a.exception ? !modbus_late_doubts(&l->late, r) : f.data_len == modbus_frame_data_len(r));
        if (!fits) {
            (void)modbus_late_seen(&l->late, &f, l->now_us);
            continue;
        }
        modbus_late_answered(&l->late, r, sent_us, l->now_us);
        l->wrong += a.request.address != r->address || a.request.count != r->count;
        l->accepted++;
        return true;
    }
    modbus_late_unanswered(&l->late, r, TIMEOUT_US, sent_us);
    return false;
}

static void ask(struct line *l, const struct modbus_request *r)
{
    for (int i = 0; i < TRIES; i++) {
        int64_t until_us;
        listen(l, l->now_us);
        enum modbus_late_verdict v;
        while ((v = modbus_late_check(&l->late, r, TIMEOUT_US, l->now_us, &until_us)) == MODBUS_LATE_WAIT)
            listen(l, l->count && l->queue[0].at_us < until_us ? l->queue[0].at_us : until_us);
        if (v == MODBUS_LATE_REFUSE) {
            l->refused++;
            return;
        }
        if (try_once(l, r))
            return;
    }
}

static const struct modbus_request blocks[] = {
    {1, 3, 0, 10}, {1, 3, 100, 10}, {1, 3, 200, 10}, {1, 3, 300, 4}, {1, 4, 0, 10}, {2, 3, 0, 10},
};

static struct line *simulate(struct line *l, unsigned seed, int polls)
{
    l->random = seed;
    l->now_us = 1000000;
    for (int i = 0; i < polls; i++) {
        size_t from = roll(l, 6), n = 1 + roll(l, 6);
        for (size_t k = 0; k < n; k++)
            ask(l, &blocks[(from + k) % 6]);
        listen(l, l->now_us + roll(l, 4000) * 1000);
    }
    return l;
}

static void assert_never_wrong(int64_t late_max_us, unsigned late, unsigned lost, unsigned exceptions)
{
    for (unsigned run = 0; run < 40; run++) {
        struct line l = {.late_max_us = late_max_us,
                         .late_in_10 = late,
                         .lost_in_10 = lost,
                         .exception_in_10 = exceptions};
        simulate(&l, SEED + run, 100);
        if (l.wrong > 0)
            fail_msg("seed %u: %zu of %zu answers belonged to another request", SEED + run, l.wrong,
                     l.accepted);
        assert_true(l.accepted > 0);
    }
}

static void a_slave_in_time_is_never_refused(void **state)
{
    (void)state;
    struct line l = {.late_max_us = 1000};
    simulate(&l, SEED, 300);
    assert_int_equal(l.refused, 0);
    assert_int_equal(l.wrong, 0);
}

static void lost_requests_confuse_nothing(void **state)
{
    (void)state;
    print_message("seeds from %u\n", SEED);
    assert_never_wrong(1000, 0, 3, 1);
}

static void answers_up_to_two_timeouts_behind_are_never_anothers(void **state)
{
    (void)state;
    assert_never_wrong(700000, 3, 0, 0);
    assert_never_wrong(2 * TIMEOUT_US, 5, 0, 1);
    assert_never_wrong(2 * TIMEOUT_US, 10, 0, 0);
}

static void answers_late_and_requests_lost_are_never_anothers(void **state)
{
    (void)state;
    assert_never_wrong(2 * TIMEOUT_US, 3, 2, 1);
}

static void the_same_request_may_always_be_repeated(void **state)
{
    (void)state;
    struct modbus_late late = {0};
    int64_t until;
    modbus_late_unanswered(&late, &blocks[0], TIMEOUT_US, 0);
    assert_int_equal(modbus_late_check(&late, &blocks[0], TIMEOUT_US, 500000, &until), MODBUS_LATE_GO);
    assert_int_equal(modbus_late_check(&late, &blocks[3], TIMEOUT_US, 500000, &until), MODBUS_LATE_GO);
    assert_int_equal(modbus_late_check(&late, &blocks[5], TIMEOUT_US, 500000, &until), MODBUS_LATE_GO);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, 500000, &until), MODBUS_LATE_REFUSE);
}

static void an_answer_of_another_shape_proves_the_older_ones_lost(void **state)
{
    (void)state;
    struct modbus_late late = {0};
    int64_t until;
    modbus_late_unanswered(&late, &blocks[0], TIMEOUT_US, 0);
    modbus_late_answered(&late, &blocks[3], 500000, 520000);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, 520000, &until), MODBUS_LATE_GO);
}

static void a_repeated_request_that_is_answered_bounds_the_wait(void **state)
{
    (void)state;
    struct modbus_late late = {0};
    int64_t until = 0;
    modbus_late_unanswered(&late, &blocks[0], TIMEOUT_US, 0);
    modbus_late_answered(&late, &blocks[0], 500000, 530000);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, 530000, &until), MODBUS_LATE_WAIT);
    assert_true(until > 500000 + 530000 && until < 500000 + 2 * 530000);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, until, &until), MODBUS_LATE_GO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slave_in_time_is_never_refused),
        cmocka_unit_test(lost_requests_confuse_nothing),
        cmocka_unit_test(answers_up_to_two_timeouts_behind_are_never_anothers),
        cmocka_unit_test(answers_late_and_requests_lost_are_never_anothers),
        cmocka_unit_test(the_same_request_may_always_be_repeated),
        cmocka_unit_test(an_answer_of_another_shape_proves_the_older_ones_lost),
        cmocka_unit_test(a_repeated_request_that_is_answered_bounds_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
