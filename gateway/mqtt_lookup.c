/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_lookup.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREAD_STACK = 256 * 1024 };

struct mqtt_lookup {
    struct mqtt_url url;
    unsigned turn;
    pthread_mutex_t lock; /* guards everything below */
    bool ended, dropped;  /* whoever is second frees */
    struct mqtt_events *events;
    uint32_t generation;
    int result;
    struct mqtt_address address;
    struct err_note note;
};

static void lookup_free(struct mqtt_lookup *l)
{
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static void *run(void *context)
{
    const struct mqtt_item item = {.kind = MQTT_NOTHING, .slot = -1};
    struct mqtt_lookup *l = context;
    struct mqtt_address address;
    struct err_note note = {""};

    pthread_setname_np(pthread_self(), "fg-lookup");
    int result = mqtt_resolve(&l->url, l->turn, &address, &note);
    pthread_mutex_lock(&l->lock);
    l->result = result;
    l->note = note;
    if (result == 0)
        l->address = address;
    l->ended = true;
    bool dropped = l->dropped;
    if (!dropped)
        mqtt_events_push(l->events, l->generation, &item, NULL);
    pthread_mutex_unlock(&l->lock);
    if (dropped)
        lookup_free(l);
    return NULL;
}

/* Detached: nobody can wait for a resolver that hangs. */
static int start_thread(struct mqtt_lookup *l)
{
    pthread_attr_t attributes;
    pthread_t thread;

    if (pthread_attr_init(&attributes) != 0)
        return FG_ENOMEM;
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int err = pthread_create(&thread, &attributes, run, l);
    pthread_attr_destroy(&attributes);
    return err == 0 ? 0 : FG_ENOMEM;
}

int mqtt_lookup_start(const struct mqtt_url *url, unsigned turn, struct mqtt_events *events,
                      uint32_t generation, struct mqtt_lookup **ret)
{
    struct mqtt_lookup *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return FG_ENOMEM;
    l->url = *url;
    l->turn = turn;
    l->events = events;
    l->generation = generation;
    pthread_mutex_init(&l->lock, NULL);
    if (start_thread(l) < 0) {
        lookup_free(l);
        return FG_ENOMEM;
    }
    *ret = l;
    return 0;
}

bool mqtt_lookup_adopt(struct mqtt_lookup *l, uint32_t generation)
{
    pthread_mutex_lock(&l->lock);
    bool running = !l->ended;
    l->generation = generation;
    pthread_mutex_unlock(&l->lock);
    return running;
}

int mqtt_lookup_result(struct mqtt_lookup *l, struct mqtt_address *ret, struct err_note *note)
{
    pthread_mutex_lock(&l->lock);
    int result = l->ended ? l->result : FG_ERETRY;
    if (result == 0)
        *ret = l->address;
    else if (result != FG_ERETRY && note != NULL)
        *note = l->note;
    pthread_mutex_unlock(&l->lock);
    return result;
}

void mqtt_lookup_drop(struct mqtt_lookup *l)
{
    if (l == NULL)
        return;
    pthread_mutex_lock(&l->lock);
    l->dropped = true;
    bool ended = l->ended;
    pthread_mutex_unlock(&l->lock);
    if (ended)
        lookup_free(l);
}
