/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

/* clock_mono_ms() also counts while the machine sleeps, the condition's clock does not: waits are cut so that
 * a deadline passed in sleep is seen soon after waking up. */
static const int64_t LONGEST_WAIT_MS = 10000;

int mqtt_events_init(struct mqtt_events *e)
{
    pthread_condattr_t attr;

    memset(e, 0, sizeof(*e));
    if (pthread_condattr_init(&attr) != 0)
        return FG_ENOMEM;
    /* The wall clock may be set while we wait. */
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int rc = pthread_cond_init(&e->cond, &attr) == 0 ? 0 : FG_ENOMEM;
    pthread_condattr_destroy(&attr);
    if (rc == 0)
        pthread_mutex_init(&e->lock, NULL);
    return rc;
}

static void item_fini(struct mqtt_item *item)
{
    free(item->message);
    item->message = NULL;
}

static void drop_all(struct mqtt_events *e)
{
    e->dropped += e->messages;
    while (e->count > 0) {
        item_fini(&e->items[e->first]);
        e->first = (e->first + 1) % MQTT_EVENTS_CAP;
        e->count--;
    }
    e->messages = 0;
}

void mqtt_events_fini(struct mqtt_events *e)
{
    drop_all(e);
    pthread_cond_destroy(&e->cond);
    pthread_mutex_destroy(&e->lock);
}

uint32_t mqtt_events_restart(struct mqtt_events *e)
{
    pthread_mutex_lock(&e->lock);
    drop_all(e);
    e->ended = false;
    e->text[0] = '\0';
    uint32_t generation = ++e->generation;
    pthread_mutex_unlock(&e->lock);
    return generation;
}

static bool ends(const struct mqtt_item *item)
{
    return item->kind == MQTT_FAILED || item->kind == MQTT_LOST;
}

static void say(struct mqtt_events *e, const char *text)
{
    if (text != NULL && e->text[0] == '\0')
        snprintf(e->text, sizeof(e->text), "%s", text);
}

void mqtt_events_push(struct mqtt_events *e, uint32_t generation, const struct mqtt_item *item,
                      const char *text)
{
    bool message = item->kind == MQTT_MESSAGE, whole = item->message != NULL;

    pthread_mutex_lock(&e->lock);
    bool wanted = generation == e->generation && !e->ended;
    bool fits = e->count < MQTT_EVENTS_CAP && (!message || (whole && e->messages < MQTT_MESSAGES_MAX));
    if (wanted && fits) {
        e->items[(e->first + e->count) % MQTT_EVENTS_CAP] = *item;
        e->count++;
        e->messages += message;
        e->ended = ends(item);
        say(e, text);
        pthread_cond_signal(&e->cond);
    } else {
        struct mqtt_item late = *item;
        item_fini(&late);
        e->dropped += wanted && message;
    }
    pthread_mutex_unlock(&e->lock);
}

void mqtt_events_say(struct mqtt_events *e, uint32_t generation, const char *text)
{
    pthread_mutex_lock(&e->lock);
    if (generation == e->generation && !e->ended)
        say(e, text);
    pthread_mutex_unlock(&e->lock);
}

/* With the lock held; false when the time has come. */
static bool wait_once(struct mqtt_events *e, int64_t deadline_mono_ms)
{
    int64_t left_ms = deadline_mono_ms - clock_mono_ms();

    if (left_ms <= 0)
        return false;
    if (left_ms > LONGEST_WAIT_MS)
        left_ms = LONGEST_WAIT_MS;
    struct timespec at = clock_cond_after_us(left_ms * 1000);
    pthread_cond_timedwait(&e->cond, &e->lock, &at);
    return true;
}

bool mqtt_events_pop(struct mqtt_events *e, int64_t deadline_mono_ms, struct mqtt_item *ret, char *ret_text,
                     size_t text_size)
{
    pthread_mutex_lock(&e->lock);
    while (e->count == 0 && !e->woken && wait_once(e, deadline_mono_ms))
        ;
    bool found = e->count > 0;
    if (found) {
        *ret = e->items[e->first];
        e->first = (e->first + 1) % MQTT_EVENTS_CAP;
        e->count--;
        e->messages -= ret->kind == MQTT_MESSAGE;
        if (ends(ret))
            snprintf(ret_text, text_size, "%s", e->text);
    }
    pthread_mutex_unlock(&e->lock);
    return found;
}

void mqtt_events_await_end(struct mqtt_events *e, int64_t deadline_mono_ms)
{
    pthread_mutex_lock(&e->lock);
    while (!e->ended && wait_once(e, deadline_mono_ms))
        ;
    pthread_mutex_unlock(&e->lock);
}

void mqtt_events_wake(struct mqtt_events *e)
{
    pthread_mutex_lock(&e->lock);
    e->woken = true;
    pthread_cond_signal(&e->cond);
    pthread_mutex_unlock(&e->lock);
}

bool mqtt_events_take_wake(struct mqtt_events *e)
{
    pthread_mutex_lock(&e->lock);
    bool woken = e->woken;
    e->woken = false;
    pthread_mutex_unlock(&e->lock);
    return woken;
}

uint64_t mqtt_events_dropped(struct mqtt_events *e)
{
    pthread_mutex_lock(&e->lock);
    uint64_t dropped = e->dropped;
    pthread_mutex_unlock(&e->lock);
    return dropped;
}
