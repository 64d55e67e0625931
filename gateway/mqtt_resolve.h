/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_resolve - a broker's url, its addresses, and why one of them cannot be reached.
 *
 * Threads    Any thread. mqtt_resolve() blocks as long as the system's resolver does.
 * Ownership  Nothing is allocated.
 * Errors     FG_EINVALID: not a usable url; FG_ENOTFOUND: the name has no address now. Both with a note.
 */
#ifndef FG_MQTT_RESOLVE_H
#define FG_MQTT_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "err.h"

struct mqtt_url {
    bool tls, websocket;
    char host[256]; /* an IPv6 address stands without its brackets */
    int port;
    char path[256]; /* of a websocket, with its leading slash; may be empty */
};

struct mqtt_address {
    struct sockaddr_storage addr;
    socklen_t len;
    char text[64]; /* numeric, an IPv6 address in brackets */
};

/* scheme://host[:port][/path] with mqtt, mqtts, ws or wss. A user or password in it is refused. */
int mqtt_url_parse(const char *url, struct mqtt_url *ret, struct err_note *note);
/* The address of a host that is a number; FG_ENOTFOUND: it is a name. Does not block. */
int mqtt_resolve_number(const struct mqtt_url *url, struct mqtt_address *ret);
/* Chooses the address number turn (modulo their number), so that attempts in turn try them all. */
int mqtt_resolve(const struct mqtt_url *url, unsigned turn, struct mqtt_address *ret, struct err_note *note);
/* A non-blocking TCP connection: its descriptor, or a negative errno (-ETIMEDOUT after timeout_ms). */
int mqtt_dial(const struct mqtt_address *address, int64_t timeout_ms);
/* Whether there is a way to it at all, which nobody notices but this machine: 0, or the errno. */
int mqtt_route(const struct mqtt_address *address);
/* Tries one and closes it: 0, or the errno that says why not. */
int mqtt_probe(const struct mqtt_address *address, int64_t timeout_ms);

#endif
