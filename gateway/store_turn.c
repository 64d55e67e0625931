/* SPDX-License-Identifier: Apache-2.0 */
#include "store_turn.h"

#include <stddef.h>

#include "clock.h"

struct store_turn_waiter {
    pthread_cond_t called;
    bool is_called;
    struct store_turn_waiter *next;
};

void store_turn_init(struct store_turn *t)
{
    pthread_mutex_init(&t->mutex, NULL);
    t->taken = false;
    t->since_mono_ms = 0;
    t->first = t->last = NULL;
}

void store_turn_fini(struct store_turn *t)
{
    pthread_mutex_destroy(&t->mutex);
}

static void init_cond(pthread_cond_t *c)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(c, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void leave(struct store_turn *t, const struct store_turn_waiter *w)
{
    struct store_turn_waiter *before = NULL;
    while (before ? before->next != w : t->first != w)
        before = before ? before->next : t->first;
    if (before)
        before->next = w->next;
    else
        t->first = w->next;
    if (t->last == w)
        t->last = before;
}

static void wait_at_most(struct store_turn *t, struct store_turn_waiter *me, int64_t most_ms)
{
    /* Whoever has it now may be another one than before: looked at again each time. */
    for (int64_t left; !me->is_called && (left = t->since_mono_ms + most_ms - clock_mono_ms()) > 0;) {
        struct timespec at = clock_cond_after_us(left * 1000);
        pthread_cond_timedwait(&me->called, &t->mutex, &at);
    }
}

/* most_ms: how long one holder is waited for; negative: for ever. */
static bool queue_up(struct store_turn *t, int64_t most_ms)
{
    struct store_turn_waiter me = {.next = NULL};
    init_cond(&me.called);
    /* Who waits stands in the row with a place on its own stack, and leaves the row before it returns. */
    if (t->last)
        t->last->next = &me;
    else
        t->first = &me; // cppcheck-suppress autoVariables
    t->last = &me;      // cppcheck-suppress autoVariables
    while (!me.is_called && most_ms < 0)
        pthread_cond_wait(&me.called, &t->mutex);
    wait_at_most(t, &me, most_ms);
    if (!me.is_called)
        leave(t, &me);
    pthread_cond_destroy(&me.called);
    return me.is_called;
}

static bool take(struct store_turn *t, int64_t most_ms)
{
    pthread_mutex_lock(&t->mutex);
    bool ours = !t->taken || queue_up(t, most_ms);
    if (ours) {
        t->taken = true;
        t->since_mono_ms = clock_mono_ms();
    }
    pthread_mutex_unlock(&t->mutex);
    return ours;
}

void store_turn_take(struct store_turn *t)
{
    (void)take(t, -1);
}

bool store_turn_try(struct store_turn *t, int64_t most_ms)
{
    return take(t, most_ms);
}

/* Handed over: nobody who comes in between can be faster than the one who is called. */
void store_turn_give(struct store_turn *t)
{
    pthread_mutex_lock(&t->mutex);
    struct store_turn_waiter *next = t->first;
    if (next) {
        leave(t, next);
        next->is_called = true;
        t->since_mono_ms = clock_mono_ms();
        pthread_cond_signal(&next->called);
    } else {
        t->taken = false;
    }
    pthread_mutex_unlock(&t->mutex);
}

int64_t store_turn_held_ms(struct store_turn *t)
{
    pthread_mutex_lock(&t->mutex);
    int64_t ms = t->taken ? clock_mono_ms() - t->since_mono_ms : 0;
    pthread_mutex_unlock(&t->mutex);
    return ms;
}
