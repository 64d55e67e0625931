/* SPDX-License-Identifier: Apache-2.0 */
/* store_turn: one at a time, and in the order of asking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdatomic.h>

#include "../../gateway/clock.h"
#include "../../gateway/store_turn.h"

#include <unistd.h>

#define THREADS 12
#define TURNS 500

/* The machine slept so long: clock_mono_ms() counted it, the clock of conditions did not. */
static _Atomic int64_t slept_ms;

int64_t __real_clock_mono_ms(void);
int64_t __wrap_clock_mono_ms(void);

int64_t __wrap_clock_mono_ms(void)
{
    return __real_clock_mono_ms() + slept_ms;
}

static void one_who_asks_alone_gets_it_again_and_again(void **state)
{
    struct store_turn turn;
    (void)state;
    store_turn_init(&turn);
    for (int i = 0; i < 3; i++) {
        store_turn_take(&turn);
        store_turn_give(&turn);
    }
    store_turn_fini(&turn);
}

struct ring {
    struct store_turn turn;
    _Atomic int inside, most;
    long counted; /* guarded by the turn alone */
};

static void *count(void *context)
{
    struct ring *r = context;
    for (int i = 0; i < TURNS; i++) {
        store_turn_take(&r->turn);
        int inside = atomic_fetch_add(&r->inside, 1) + 1;
        if (inside > r->most)
            r->most = inside;
        r->counted++;
        atomic_fetch_sub(&r->inside, 1);
        store_turn_give(&r->turn);
    }
    return NULL;
}

static void never_two_are_inside_and_nobody_is_forgotten(void **state)
{
    struct ring ring = {0};
    pthread_t threads[THREADS];
    (void)state;
    store_turn_init(&ring.turn);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, &ring), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(ring.most, 1);
    assert_int_equal(ring.counted, THREADS * TURNS);
    store_turn_fini(&ring.turn);
}

struct row {
    struct store_turn turn;
    int order[THREADS], served; /* guarded by the turn */
};

struct asker {
    struct row *row;
    int number;
};

static void *ask_once(void *context)
{
    struct asker *a = context;
    store_turn_take(&a->row->turn);
    a->row->order[a->row->served++] = a->number;
    store_turn_give(&a->row->turn);
    return NULL;
}

/* Whoever asked last is in the row, seen from outside as any caller may see the struct. */
static void wait_until_asked(struct store_turn *turn, const void *before)
{
    for (const void *last = before; last == before; sched_yield()) {
        pthread_mutex_lock(&turn->mutex);
        last = turn->last;
        pthread_mutex_unlock(&turn->mutex);
    }
}

static void they_are_served_in_the_order_of_asking_even_when_the_giver_asks_again(void **state)
{
    struct row row = {0};
    struct asker askers[THREADS];
    pthread_t threads[THREADS];
    (void)state;
    store_turn_init(&row.turn);
    store_turn_take(&row.turn);
    for (int i = 0; i < THREADS; i++) {
        const void *before = row.turn.last; /* only this thread lets anybody ask */
        askers[i] = (struct asker){&row, i};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &askers[i]), 0);
        wait_until_asked(&row.turn, before);
        /* Whoever gives up is not waited for. */
        assert_false(store_turn_try(&row.turn, 1));
    }
    store_turn_give(&row.turn);
    store_turn_take(&row.turn); /* at once, as the writer does: behind all who waited */
    assert_int_equal(row.served, THREADS);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(row.order[i], i);
    store_turn_give(&row.turn);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    store_turn_fini(&row.turn);
}

static void how_long_it_is_held_is_counted_anew_for_each_holder(void **state)
{
    struct store_turn turn;
    (void)state;
    store_turn_init(&turn);
    assert_int_equal(store_turn_held_ms(&turn), 0);
    store_turn_take(&turn);
    int64_t begin = clock_mono_ms();
    assert_false(store_turn_try(&turn, 20));
    assert_true(clock_mono_ms() - begin >= 19);
    assert_true(store_turn_held_ms(&turn) >= 19);
    store_turn_give(&turn);
    assert_int_equal(store_turn_held_ms(&turn), 0);
    assert_true(store_turn_try(&turn, 0));
    store_turn_give(&turn);
    store_turn_fini(&turn);
}

static void one_who_gives_up_does_not_wait_for_as_long_as_the_machine_once_slept(void **state)
{
    struct store_turn turn;
    (void)state;
    slept_ms = 30 * 86400000LL;
    store_turn_init(&turn);
    store_turn_take(&turn);
    alarm(60);
    assert_false(store_turn_try(&turn, 20));
    alarm(0);
    store_turn_give(&turn);
    store_turn_fini(&turn);
    slept_ms = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_who_asks_alone_gets_it_again_and_again),
        cmocka_unit_test(never_two_are_inside_and_nobody_is_forgotten),
        cmocka_unit_test(they_are_served_in_the_order_of_asking_even_when_the_giver_asks_again),
        cmocka_unit_test(how_long_it_is_held_is_counted_anew_for_each_holder),
        cmocka_unit_test(one_who_gives_up_does_not_wait_for_as_long_as_the_machine_once_slept),
    };
    return cmocka_run_group_tests_name("store_turn", tests, NULL, NULL);
}
