/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_events - what the library's callbacks leave for the thread that uses a client.
 *
 * Threads    mqtt_events_push(), mqtt_events_wake() from any thread; the rest from the client's own thread.
 * Ownership  An item's message belongs to the queue until popped, then to whoever popped it.
 * Errors     A push that does not fit, or belongs to an older generation, is dropped; dropped messages are
 * counted.
 *
 * Nothing is allocated by a push, so that a callback under the library's lock stays short. At most one item
 * is pushed for each publish slot, so that only incoming messages can meet a full queue.
 */
#ifndef FG_MQTT_EVENTS_H
#define FG_MQTT_EVENTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mqtt.h"

enum {
    MQTT_SLOTS = 128,               /* messages in flight, whatever the broker would allow */
    MQTT_MESSAGES_MAX = 16,         /* incoming messages waiting to be read */
    MQTT_MESSAGE_BYTES = 16 * 1024, /* content of one; longer ones come without */
    MQTT_CORRELATION_BYTES = 1024,
    MQTT_EVENTS_CAP = MQTT_SLOTS + MQTT_MESSAGES_MAX + 16,
};

struct mqtt_item {
    enum mqtt_event_kind kind;
    int slot; /* MQTT_ACKED, MQTT_REFUSED: which publish; -1: a subscription. MQTT_NOTHING: a look-up has
                 ended */
    int reason;
    const char *fault;    /* MQTT_CONNECTED: why we cannot work with what the broker allows; NULL: we can */
    uint16_t receive_max; /* MQTT_CONNECTED, as mqtt_event */
    uint16_t keepalive_s; /* MQTT_CONNECTED: what the broker demands; 0: nothing */
    uint32_t max_packet;  /* MQTT_CONNECTED */
    bool session_present; /* MQTT_CONNECTED */
    struct mqtt_incoming *message; /* MQTT_MESSAGE, malloc */
};

struct mqtt_events {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t cond;
    uint32_t generation; /* of the connection whose items are wanted; others are late and dropped */
    bool ended;          /* this generation has failed or was lost: nothing may follow */
    bool woken;
    size_t first, count, messages;
    uint64_t dropped;
    char text[256]; /* why this generation ended, or what TLS complained about */
    struct mqtt_item items[MQTT_EVENTS_CAP];
};

int mqtt_events_init(struct mqtt_events *e);
void mqtt_events_fini(struct mqtt_events *e);
/* Forgets everything of the connection before and returns the number of the new one. */
uint32_t mqtt_events_restart(struct mqtt_events *e);
/* Takes over the message, also when the item is dropped; an MQTT_MESSAGE without one is dropped and counted.
 * text may be NULL; the first one said is kept. */
void mqtt_events_push(struct mqtt_events *e, uint32_t generation, const struct mqtt_item *item,
                      const char *text);
/* Keeps the text for a failure that will follow. */
void mqtt_events_say(struct mqtt_events *e, uint32_t generation, const char *text);
/* Waits for an item until the deadline (clock_mono_ms); false: none came. The text of a failure is copied. */
bool mqtt_events_pop(struct mqtt_events *e, int64_t deadline_mono_ms, struct mqtt_item *ret, char *ret_text,
                     size_t text_size);
/* Waits until this generation has ended, or the deadline; what came before stays. */
void mqtt_events_await_end(struct mqtt_events *e, int64_t deadline_mono_ms);
/* Ends the running or the next wait that finds nothing. */
void mqtt_events_wake(struct mqtt_events *e);
/* True once after mqtt_events_wake(). */
bool mqtt_events_take_wake(struct mqtt_events *e);
uint64_t mqtt_events_dropped(struct mqtt_events *e);

#endif
