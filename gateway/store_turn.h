/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_turn - a lock that is given in the order it was asked for. Under full load the writer unlocks only to
 * lock again at once; an ordinary mutex would let it win for ever and starve the readers. Only the one whose
 * turn it is wakes up: with many uplinks the others would all look in vain, each time.
 *
 * Threads    Any thread.
 * Ownership  store_turn_init()/store_turn_fini().
 * Errors     None; who has it may hang with a disk that hangs: store_turn_try().
 */
#ifndef FG_STORE_TURN_H
#define FG_STORE_TURN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct store_turn_waiter;

struct store_turn {
    pthread_mutex_t mutex;
    bool taken;
    int64_t since_mono_ms;                  /* when it was given last */
    struct store_turn_waiter *first, *last; /* on the stacks of those who wait */
};

void store_turn_init(struct store_turn *t);
void store_turn_fini(struct store_turn *t);
void store_turn_take(struct store_turn *t);
/* Like store_turn_take(), but false, and no longer in the queue, as soon as one holder has had it for
 * most_ms. */
bool store_turn_try(struct store_turn *t, int64_t most_ms);
void store_turn_give(struct store_turn *t);
/* How long it has been held by whoever has it now; 0: it is free. */
int64_t store_turn_held_ms(struct store_turn *t);

#endif
