/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_turn - a lock that is given in the order it was asked for. Under full load the writer unlocks only to
 * lock again at once; an ordinary mutex would let it win for ever and starve the readers.
 *
 * Threads    Any thread.
 * Ownership  store_turn_init()/store_turn_fini().
 * Errors     None.
 */
#ifndef FG_STORE_TURN_H
#define FG_STORE_TURN_H

#include <pthread.h>
#include <stdint.h>

struct store_turn {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    uint64_t next, serving;
};

void store_turn_init(struct store_turn *t);
void store_turn_fini(struct store_turn *t);
void store_turn_take(struct store_turn *t);
void store_turn_give(struct store_turn *t);

#endif
