/* SPDX-License-Identifier: Apache-2.0 */
#include "store_turn.h"

#include <stddef.h>

struct store_turn_waiter {
    pthread_cond_t called;
    bool is_called;
    struct store_turn_waiter *next;
};

void store_turn_init(struct store_turn *t)
{
    pthread_mutex_init(&t->mutex, NULL);
    t->taken = false;
    t->first = t->last = NULL;
}

void store_turn_fini(struct store_turn *t)
{
    pthread_mutex_destroy(&t->mutex);
}

static void queue_up(struct store_turn *t)
{
    struct store_turn_waiter me = {.called = PTHREAD_COND_INITIALIZER};
    if (t->last)
        t->last->next = &me;
    else
        t->first = &me;
    t->last = &me;
    while (!me.is_called)
        pthread_cond_wait(&me.called, &t->mutex);
    pthread_cond_destroy(&me.called);
}

void store_turn_take(struct store_turn *t)
{
    pthread_mutex_lock(&t->mutex);
    if (t->taken)
        queue_up(t);
    t->taken = true;
    pthread_mutex_unlock(&t->mutex);
}

/* Handed over: nobody who comes in between can be faster than the one who is called. */
void store_turn_give(struct store_turn *t)
{
    pthread_mutex_lock(&t->mutex);
    struct store_turn_waiter *next = t->first;
    if (next) {
        t->first = next->next;
        if (!t->first)
            t->last = NULL;
        next->is_called = true;
        pthread_cond_signal(&next->called);
    } else {
        t->taken = false;
    }
    pthread_mutex_unlock(&t->mutex);
}
