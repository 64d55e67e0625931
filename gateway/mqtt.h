/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt - one client of one broker at a time, as a queue of events. The door to Paho's MQTTAsync.
 *
 * Threads    One thread uses a client; mqtt_wake() may be called from any. Paho's callbacks only record
 *            and signal.
 * Ownership  Options are copied. Payloads are copied by mqtt_publish(). Strings in an event are valid
 *            until the next mqtt_wait().
 * Errors     FG_ERETRY: not connected or the window is full. FG_EINVALID: the options cannot work (with
 *            a note).
 *
 * There is no automatic reconnect and no queue of unsent messages: both belong to uplink. Names are resolved
 * on a thread of their own before Paho, which would do it under its global lock, is called. Messages of an
 * older connection are never reported on a newer one (generation numbers). When a broker demands a shorter
 * keepalive, a client disconnects and connects once more with that, before it reports MQTT_CONNECTED. One
 * that accepts us on terms nobody can keep (no message in flight, no QoS 1, nothing retained) has failed.
 * Sources: Paho MQTT C 1.3.12 as tested; docs/ARCHITECTURE.md lists its traps.
 */
#ifndef FG_MQTT_H
#define FG_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct mqtt;

struct mqtt_will {
    const char *topic;
    const char *payload;
    size_t len;
};

struct mqtt_options {
    const char *client_id;
    int version;                      /* 5 or 311 */
    const char *ca_file;              /* NULL: the system's CAs */
    const char *cert_file, *key_file; /* NULL: no client certificate */
    bool any_host_name;               /* insecure: the broker's certificate may be for any host */
    int64_t keepalive_ms;
    int64_t connect_timeout_ms; /* from the address to the broker's consent */
    int64_t lookup_timeout_ms;  /* from the name to the address; 0: MQTT_LOOKUP_MS */
    uint32_t max_incoming;      /* bytes of a packet that an MQTT 5 broker may send us; 0: not said */
};

enum { MQTT_RESPONSE_TOPIC_MAX = 512 }; /* bytes */
/* Longer than a usual resolver takes with three dead servers. */
enum { MQTT_LOOKUP_MS = 60 * 1000 };

/* A message that came in. */
struct mqtt_incoming {
    const char *topic;
    const char *payload; /* terminated; NULL: longer than 16 KiB and thrown away */
    size_t len;          /* of the whole payload */
    bool retained; /* MQTT 5: as it was published; 3.1.1: kept by the broker from before we subscribed */
    /* MQTT 5. */
    const char *response_topic; /* NULL: none; "": one that cannot be right */
    const void *correlation;    /* NULL: none, or longer than 1 KiB */
    size_t correlation_len;
    bool expires; /* the broker would have thrown it away, had it waited longer than its sender allows */
    char bytes[]; /* what the pointers point at */
};

enum mqtt_event_kind {
    MQTT_NOTHING, /* the deadline passed, or mqtt_wake() */
    MQTT_CONNECTED,
    MQTT_FAILED,  /* the connection attempt failed; text says why */
    MQTT_LOST,    /* an established connection ended; text says why; everything in flight is undecided */
    MQTT_ACKED,   /* the broker has taken the message `token`; reason 16 (MQTT 5): nobody is subscribed */
    MQTT_REFUSED, /* MQTT 5: the broker refused `token` with `reason` */
    MQTT_MESSAGE, /* an incoming message */
};

struct mqtt_event {
    enum mqtt_event_kind kind;
    uint32_t token;
    int reason; /* MQTT 5 reason code, or Paho's negative code; MQTT_FAILED 0: not to be looked into now */
    const char *text; /* a plain English reason */
    /* MQTT_CONNECTED: what the broker allows. */
    uint16_t receive_max; /* messages in flight, at least 1; 65535 when not said */
    uint32_t max_packet;  /* bytes; 0 when not said */
    int64_t keepalive_ms; /* the broker's, or ours */
    bool session_present;
    const struct mqtt_incoming *message; /* MQTT_MESSAGE */
};

struct mqtt_message {
    const char *topic;
    const void *payload;
    size_t len;
    bool retained;
    const char *content_type;     /* MQTT 5; NULL: none */
    const char *content_encoding; /* MQTT 5 user property content-encoding; NULL: none */
    const void *correlation;      /* MQTT 5 correlation data; NULL: none */
    size_t correlation_len;
};

int mqtt_new(const struct mqtt_options *options, struct mqtt **ret, struct err_note *note);
/* Disconnects without a goodbye when still connected. Accepts NULL. */
void mqtt_free(struct mqtt *m);

/* Starts a connection attempt to mqtt://host:port, mqtts://, ws:// or wss://; its end comes as MQTT_CONNECTED
 * or MQTT_FAILED. Does not wait for the resolver. User and password may be NULL. Files are read anew. */
int mqtt_connect(struct mqtt *m, const char *url, const char *user, const char *password,
                 const struct mqtt_will *will, struct err_note *note);
/* QoS 1. ret_token is what MQTT_ACKED or MQTT_REFUSED will carry. */
int mqtt_publish(struct mqtt *m, const struct mqtt_message *message, uint32_t *ret_token);
/* QoS 1. A refusal comes as MQTT_REFUSED with token 0; consent is not reported. */
int mqtt_subscribe(struct mqtt *m, const char *topic);
/* MQTT 5: hears what others publish on a topic (No Local), from here on, at QoS 0. Consent comes as
 * MQTT_ACKED, a refusal as MQTT_REFUSED, under the token. */
int mqtt_overhear(struct mqtt *m, const char *topic, uint32_t *ret_token);
/* Waits for the next event until the deadline (clock_mono_ms). */
void mqtt_wait(struct mqtt *m, int64_t deadline_mono_ms, struct mqtt_event *ret);
void mqtt_wake(struct mqtt *m);
/* Says goodbye (the will is then not sent) and waits at most wait_ms. */
void mqtt_disconnect(struct mqtt *m, int64_t wait_ms);
/* Drops the connection, for a broker that no longer answers. With MQTT 5 the will is sent; with 3.1.1 the
 * library cannot but say goodbye, so that a broker which does read it keeps the will to itself. */
void mqtt_abandon(struct mqtt *m);
/* Incoming messages thrown away because they came faster than they were read (16 wait). */
uint64_t mqtt_dropped(struct mqtt *m);
/* Plain English for an MQTT 5 reason code; never NULL. */
const char *mqtt_reason_text(int reason);

#endif
