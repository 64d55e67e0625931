/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_target - whom a client connects to and as whom: url, address, login, will; and why that failed, in
 * words.
 *
 * Threads    Belongs to the client's thread. mqtt_target_explain() may block, up to a second for a bare TCP
 *            connection.
 * Ownership  Everything is copied. The password is wiped when it is replaced or given up.
 * Errors     FG_EINVALID, FG_ENOMEM, FG_ENOTFOUND (no address now), FG_EIO (a file cannot be read), with a
 * note.
 */
#ifndef FG_MQTT_TARGET_H
#define FG_MQTT_TARGET_H

#include "mqtt_lookup.h"
#include "mqtt_resolve.h"

/* What is worth keeping of a broker while another one is tried. */
struct mqtt_known {
    struct mqtt_url url;
    unsigned turn;              /* which of the host's addresses is next */
    int keepalive_s;            /* ours, or less when this broker has demanded it */
    struct mqtt_lookup *lookup; /* NULL: none */
    bool worked;                /* was connected; we have not ended it, and no attempt has failed since */
};

enum { MQTT_KNOWN = 4 };

struct mqtt_target {
    struct mqtt_options options;
    struct mqtt_address address; /* after mqtt_target_find() */
    struct mqtt_known known[MQTT_KNOWN];
    unsigned next_known; /* the one to be replaced */
    struct mqtt_known *now;
    char *user, *password;
    struct mqtt_will will; /* topic NULL: none */
};

int mqtt_target_init(struct mqtt_target *t, const struct mqtt_options *options, struct err_note *note);
void mqtt_target_fini(struct mqtt_target *t);
/* Remembers of a few brokers which address is next, what keepalive they demanded, and whether they worked. */
int mqtt_target_set(struct mqtt_target *t, const char *url, const char *user, const char *password,
                    const struct mqtt_will *will, struct err_note *note);
/* Checks that the files can be read, the key not by everybody, and finds the address of a number. FG_ERETRY:
 * it is a name, and its look-up will end with an item in the events, under this generation; one that was
 * begun for this broker before and has not ended serves. */
int mqtt_target_find(struct mqtt_target *t, struct mqtt_events *events, uint32_t generation,
                     struct err_note *note);
/* Takes what the look-up has found. */
int mqtt_target_found(struct mqtt_target *t, struct err_note *note);
/* What Paho is to connect to. */
void mqtt_target_uri(const struct mqtt_target *t, char *ret, size_t size);
/* Why an attempt (MQTT_FAILED) or a connection (MQTT_LOST) ended: reason as in mqtt_event, said: what is
 * known already, or "". A broker that worked is not asked by a connection of its own why it failed, the first
 * time: when it restarts, its whole fleet would knock twice. */
void mqtt_target_explain(const struct mqtt_target *t, enum mqtt_event_kind kind, int reason, const char *said,
                         char *ret, size_t size);
/* The reason in a line of OpenSSL's error queue, "thread:error:code:library:function:reason:file:line:data".
 * Any thread. */
bool mqtt_target_tls_reason(const char *line, size_t len, char *ret, size_t size);

#endif
