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
    bool one_shape; /* nothing of another shape can be asked to clear the account */
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
        modbus_late_answered(&l->late, r, TIMEOUT_US, sent_us);
        l->wrong += a.request.address != r->address || a.request.count != r->count;
        l->accepted++;
        return true;
    }
    modbus_late_unanswered(&l->late, r, 0, TIMEOUT_US, sent_us);
    return false;
}

/* Listens as long as it is worth it; whether the request may go out now. */
static bool may_ask(struct line *l, const struct modbus_request *r, bool patient)
{
    int64_t until_us;
    listen(l, l->now_us);
    enum modbus_late_verdict v;
    while ((v = modbus_late_check(&l->late, r, TIMEOUT_US, patient, l->now_us, &until_us)) ==
           MODBUS_LATE_WAIT)
        listen(l, l->count && l->queue[0].at_us < until_us ? l->queue[0].at_us : until_us);
    return v == MODBUS_LATE_GO;
}

/* As the driver does it: an answer of another shape clears the account. */
static bool clear_account(struct line *l, const struct modbus_request *r)
{
    const struct modbus_request aside = {r->unit, r->function, 7, 2};
    return !l->one_shape && may_ask(l, &aside, false) && try_once(l, &aside);
}

static void ask(struct line *l, const struct modbus_request *r)
{
    for (int i = 0; i < TRIES; i++) {
        if (!may_ask(l, r, false)) {
            bool cleared = clear_account(l, r);
            if (!may_ask(l, r, !cleared)) {
                l->refused++;
                return;
            }
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

static void answers_up_to_ten_timeouts_behind_are_never_anothers(void **state)
{
    (void)state;
    for (int timeouts = 1; timeouts <= 10; timeouts += 3) {
        assert_never_wrong(timeouts * TIMEOUT_US + 200000, 3, 0, 0);
        assert_never_wrong(timeouts * TIMEOUT_US, 5, 0, 1);
        assert_never_wrong(timeouts * TIMEOUT_US, 10, 0, 0);
    }
}

static void answers_late_and_requests_lost_are_never_anothers(void **state)
{
    (void)state;
    assert_never_wrong(2 * TIMEOUT_US, 3, 2, 1);
    assert_never_wrong(10 * TIMEOUT_US, 3, 2, 1);
}

/* Every ordered pair of blocks: the first is answered late by this much, then the second is asked, again and
 * again; the slave takes its time for whatever it hears in between, too. */
static void a_slave_late_for_any_pair_of_blocks_never_gives_a_wrong_value(void **state)
{
    (void)state;
    size_t accepted = 0, pairs = 0;
    for (size_t a = 0; a < 6; a++)
        for (size_t b = 0; b < 6; b++)
            for (int tenths = 1; tenths <= 100; tenths++, pairs++) {
                struct line l = {.now_us = 1000000, .random = SEED, .one_shape = tenths % 2};
                int64_t late_us = TIMEOUT_US / 10 * tenths;
                l.late_max_us = 1000;
                slave_hears(&l, &blocks[a]);
                l.queue[0].at_us = l.free_us = l.now_us + late_us;
                int64_t sent_us = l.now_us;
                listen(&l, sent_us + TIMEOUT_US);
                if (late_us > TIMEOUT_US)
                    modbus_late_unanswered(&l.late, &blocks[a], 0, TIMEOUT_US, sent_us);
                for (int poll = 0; poll < 12; poll++) {
                    ask(&l, &blocks[poll % 3 == 2 ? a : b]);
                    listen(&l, l.now_us + 700000);
                }
                if (l.wrong > 0)
                    fail_msg("block %zu after block %zu, %d ms late: %zu wrong", b, a, tenths * 50, l.wrong);
                accepted += l.accepted;
            }
    assert_true(accepted > 6 * pairs);
}

static size_t accepted_of(struct line *l)
{
    simulate(l, SEED, 400);
    assert_int_equal(l->wrong, 0);
    return l->accepted * 100 / (l->accepted + l->refused);
}

/* What being right costs: the share of requests that may be asked when one in ten answers is lost or late. */
static void little_is_held_back_where_another_shape_can_clear_the_account(void **state)
{
    (void)state;
    struct line lossy = {.late_max_us = 1000, .lost_in_10 = 1};
    struct line late = {.late_max_us = 2 * TIMEOUT_US, .late_in_10 = 1};
    size_t of_lossy = accepted_of(&lossy), of_late = accepted_of(&late);
    print_message("asked: %zu %% (lossy), %zu %% (late)\n", of_lossy, of_late);
    assert_true(of_lossy >= 97);
    assert_true(of_late >= 80);
}

static void the_same_request_may_always_be_repeated(void **state)
{
    (void)state;
    struct modbus_late late = {0};
    int64_t until;
    modbus_late_unanswered(&late, &blocks[0], 0, TIMEOUT_US, 0);
    assert_int_equal(modbus_late_check(&late, &blocks[0], TIMEOUT_US, false, 500000, &until), MODBUS_LATE_GO);
    assert_int_equal(modbus_late_check(&late, &blocks[3], TIMEOUT_US, false, 500000, &until), MODBUS_LATE_GO);
    assert_int_equal(modbus_late_check(&late, &blocks[5], TIMEOUT_US, false, 500000, &until), MODBUS_LATE_GO);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, false, 500000, &until),
                     MODBUS_LATE_REFUSE);
}

static void an_answer_of_another_shape_proves_the_older_ones_lost(void **state)
{
    (void)state;
    struct modbus_late late = {0};
    int64_t until;
    modbus_late_unanswered(&late, &blocks[0], 0, TIMEOUT_US, 0);
    modbus_late_answered(&late, &blocks[3], TIMEOUT_US, 500000);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, false, 520000, &until), MODBUS_LATE_GO);
}

static struct modbus_frame answer_to(const struct modbus_request *r)
{
    return (struct modbus_frame){
        .unit = r->unit, .function = r->function, .data_len = modbus_frame_data_len(r)};
}

static void a_unit_seen_late_is_waited_for_that_long(void **state)
{
    (void)state;
    struct modbus_late late = {0};
    int64_t until = 0;
    struct modbus_frame f = answer_to(&blocks[0]);
    modbus_late_unanswered(&late, &blocks[0], 0, TIMEOUT_US, 0);
    assert_true(modbus_late_seen(&late, &f, 600000));
    assert_int_equal(modbus_late_worst_us(&late, 1), 600000);
    modbus_late_unanswered(&late, &blocks[0], 0, TIMEOUT_US, 1000000);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, false, 1500000, &until),
                     MODBUS_LATE_WAIT);
    assert_int_equal(until, 1000000 + 750000 + 20000);
    /* It did not come then: nothing is certain before twelve timeouts have passed. */
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, false, until, &until),
                     MODBUS_LATE_REFUSE);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, false, 6990000, &until),
                     MODBUS_LATE_REFUSE);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, true, 6990000, &until),
                     MODBUS_LATE_WAIT);
    assert_int_equal(until, 7000000);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, false, until, &until), MODBUS_LATE_GO);
}

static void a_unit_seen_very_late_is_given_more_than_that(void **state)
{
    (void)state;
    struct modbus_late late = {0};
    int64_t until;
    struct modbus_frame f = answer_to(&blocks[0]);
    modbus_late_unanswered(&late, &blocks[0], 0, TIMEOUT_US, 0);
    assert_true(modbus_late_seen(&late, &f, 5900000));
    modbus_late_unanswered(&late, &blocks[0], 0, TIMEOUT_US, 10000000);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, false, 17300000, &until),
                     MODBUS_LATE_REFUSE);
    assert_int_equal(modbus_late_check(&late, &blocks[1], TIMEOUT_US, false, 17500000, &until),
                     MODBUS_LATE_GO);
}

static void a_repeated_request_stays_open_as_often_as_answers_are_missing(void **state)
{
    (void)state;
    struct modbus_late late = {0};
    struct modbus_frame f = answer_to(&blocks[0]);
    modbus_late_unanswered(&late, &blocks[0], 0, TIMEOUT_US, 0);
    modbus_late_answered(&late, &blocks[0], TIMEOUT_US, 500000);
    assert_true(modbus_late_clashes(&late, &blocks[1]));
    assert_true(modbus_late_seen(&late, &f, 700000));
    assert_false(modbus_late_clashes(&late, &blocks[1]));
    assert_false(modbus_late_seen(&late, &f, 700000));
}

static void a_damaged_answer_closes_nothing(void **state)
{
    (void)state;
    struct modbus_late late = {0};
    modbus_late_damaged(&late, &blocks[0], TIMEOUT_US, 0);
    assert_false(modbus_late_clashes(&late, &blocks[1])); /* nothing was open: it was this one's */
    modbus_late_unanswered(&late, &blocks[0], 0, TIMEOUT_US, 0);
    modbus_late_damaged(&late, &blocks[3], TIMEOUT_US, 500000);
    assert_true(modbus_late_clashes(&late, &blocks[1]));
}

static void a_full_account_leaves_the_unit_alone(void **state)
{
    (void)state;
    struct modbus_late *late = calloc(1, sizeof *late);
    assert_non_null(late);
    int64_t until;
    for (int i = 0; i <= MODBUS_LATE_OPEN_MAX; i++) {
        struct modbus_request r = {(uint8_t)(i % 200 + 1), 3, 0, 10};
        modbus_late_unanswered(late, &r, 0, TIMEOUT_US, i);
    }
    struct modbus_request last = {MODBUS_LATE_OPEN_MAX + 1, 3, 0, 10};
    assert_int_equal(modbus_late_check(late, &last, TIMEOUT_US, true, 1000000, &until), MODBUS_LATE_REFUSE);
    assert_int_equal(modbus_late_check(late, &last, TIMEOUT_US, true, 6100000, &until), MODBUS_LATE_GO);
    free(late);
}

static void what_is_there_sooner_than_it_can_be_sent_is_late(void **state)
{
    (void)state;
    struct modbus_late late = {0};
    for (int i = 0; i < 4; i++)
        assert_false(modbus_late_too_soon(&late, &blocks[0], 40000, 26000));
    assert_false(modbus_late_too_soon(&late, &blocks[0], 24000, 26000)); /* clocks differ */
    modbus_late_unanswered(&late, &blocks[0], 0, TIMEOUT_US, 0);
    assert_true(modbus_late_too_soon(&late, &blocks[0], 20000, 26000));
    assert_false(modbus_late_too_soon(&late, &blocks[0], 40000, 26000));
    /* A pseudo terminal has no baud rate; then speed says nothing. */
    struct modbus_late pty = {0};
    for (int i = 0; i < 9; i++)
        assert_false(modbus_late_too_soon(&pty, &blocks[0], i == 3 ? 100 : 30000, 26000));
    modbus_late_unanswered(&pty, &blocks[0], 0, TIMEOUT_US, 0);
    assert_false(modbus_late_too_soon(&pty, &blocks[0], 100, 26000));
}

/* In time behind the question: how long the unit is listened for then. */
static int64_t patience_after_damage_at(int64_t at_us, bool answered)
{
    struct modbus_late late = {0};
    modbus_late_unanswered(&late, &blocks[0], 0, TIMEOUT_US, 0);
    modbus_late_silent(&late, blocks[0].unit, TIMEOUT_US, 0);
    if (answered)
        (void)modbus_late_answered(&late, &blocks[0], TIMEOUT_US, 1000);
    modbus_late_spoiled(&late, 9, at_us);
    assert_int_equal(modbus_late_patience_us(&late, 9, TIMEOUT_US), TIMEOUT_US);
    return modbus_late_patience_us(&late, blocks[0].unit, TIMEOUT_US);
}

static void only_who_said_nothing_within_three_timeouts_is_suspect(void **state)
{
    (void)state;
    assert_int_equal(patience_after_damage_at(TIMEOUT_US, false), 3 * TIMEOUT_US);
    assert_int_equal(patience_after_damage_at(3 * TIMEOUT_US - 1, false), 3 * TIMEOUT_US);
    assert_int_equal(patience_after_damage_at(3 * TIMEOUT_US, false), TIMEOUT_US);
    assert_int_equal(patience_after_damage_at(TIMEOUT_US, true), TIMEOUT_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slave_in_time_is_never_refused),
        cmocka_unit_test(lost_requests_confuse_nothing),
        cmocka_unit_test(answers_up_to_ten_timeouts_behind_are_never_anothers),
        cmocka_unit_test(a_slave_late_for_any_pair_of_blocks_never_gives_a_wrong_value),
        cmocka_unit_test(little_is_held_back_where_another_shape_can_clear_the_account),
        cmocka_unit_test(answers_late_and_requests_lost_are_never_anothers),
        cmocka_unit_test(the_same_request_may_always_be_repeated),
        cmocka_unit_test(an_answer_of_another_shape_proves_the_older_ones_lost),
        cmocka_unit_test(a_unit_seen_late_is_waited_for_that_long),
        cmocka_unit_test(a_unit_seen_very_late_is_given_more_than_that),
        cmocka_unit_test(a_repeated_request_stays_open_as_often_as_answers_are_missing),
        cmocka_unit_test(a_damaged_answer_closes_nothing),
        cmocka_unit_test(a_full_account_leaves_the_unit_alone),
        cmocka_unit_test(what_is_there_sooner_than_it_can_be_sent_is_late),
        cmocka_unit_test(only_who_said_nothing_within_three_timeouts_is_suspect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
