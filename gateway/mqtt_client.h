/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_client - the inside of a client, shared by mqtt.c (which connects and parts), mqtt_send.c (which hands
 * messages and subscriptions to Paho) and mqtt_wait.c (which turns what the callbacks left into events).
 *
 * Threads    The client's own, but for events and for mqtt_push(), which is for Paho's. A connection's slots
 *            point back to it for the callbacks' sake; what they hold belongs to the client's thread.
 * Ownership  mqtt_new() and mqtt_free() in mqtt.c.
 * Errors     As mqtt.h.
 */
#ifndef FG_MQTT_CLIENT_H
#define FG_MQTT_CLIENT_H

#include "mqtt_events.h"
#include "mqtt_target.h"

enum mqtt_state { MQTT_STATE_IDLE, MQTT_STATE_RESOLVING, MQTT_STATE_CONNECTING, MQTT_STATE_CONNECTED };

/* For a goodbye nobody waits for. Paho's sender now and then sleeps through a second. */
enum { MQTT_GOODBYE_MS = 1500 };
/* Paho's PAHO_MEMORY_ERROR, which its public headers leave out. */
enum { PAHO_NO_MEMORY = -99 };

struct mqtt_conn;

struct mqtt_slot {
    struct mqtt_conn *conn;
    uint32_t token;
    bool subscribes; /* not a message: it does not fill the window */
    bool used;       /* a slot is free again when its answer was read, not when it came */
};

/* What Paho's callbacks are given. Lives until its handle is destroyed, after which Paho calls nothing. */
struct mqtt_conn {
    void *handle; /* MQTTAsync */
    struct mqtt_events *events;
    uint32_t generation;
    struct mqtt_slot slots[MQTT_SLOTS];
};

struct mqtt {
    struct mqtt_events events;
    struct mqtt_target target;
    void *anchor;           /* MQTTAsync, never connected */
    struct mqtt_conn *conn; /* NULL when idle */
    int guard;              /* a descriptor that keeps a number occupied, see mqtt_start(); -1: none */
    enum mqtt_state state;
    int64_t connect_until_mono_ms; /* or until the name is to be found */
    uint32_t last_token;
    unsigned in_flight, window;
    uint32_t max_packet;
    struct mqtt_incoming *message; /* lent to the caller until the next wait */
    char text[512];                /* likewise */
};

/* Begins an attempt at the target that was found. */
int mqtt_start(struct mqtt *m, uint32_t generation, struct err_note *note);
/* Tells a broker that it broke the protocol, and ends the connection. */
void mqtt_reject(struct mqtt *m);
/* Forgets the connection at once, and whatever it has left. */
void mqtt_drop(struct mqtt *m);
/* For callbacks: leaves what happened to the connection, or to one of its slots (-1: none), for the next
 * wait. */
void mqtt_push(struct mqtt_conn *c, enum mqtt_event_kind kind, int slot, int reason);

#endif
