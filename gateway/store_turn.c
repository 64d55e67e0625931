/* SPDX-License-Identifier: Apache-2.0 */
#include "store_turn.h"

void store_turn_init(struct store_turn *t)
{
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->moved, NULL);
    t->next = t->serving = 0;
}

void store_turn_fini(struct store_turn *t)
{
    pthread_cond_destroy(&t->moved);
    pthread_mutex_destroy(&t->mutex);
}

void store_turn_take(struct store_turn *t)
{
    pthread_mutex_lock(&t->mutex);
    uint64_t mine = t->next++;
    while (t->serving != mine)
        pthread_cond_wait(&t->moved, &t->mutex);
    pthread_mutex_unlock(&t->mutex);
}

void store_turn_give(struct store_turn *t)
{
    pthread_mutex_lock(&t->mutex);
    t->serving++;
    if (t->serving != t->next)
        pthread_cond_broadcast(&t->moved);
    pthread_mutex_unlock(&t->mutex);
}
