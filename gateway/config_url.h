/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_url - the address of a broker, taken apart.
 *
 * Threads    Pure functions.
 * Ownership  Values.
 * Errors     FG_EINVALID with a note that says what to write instead.
 */
#ifndef FG_CONFIG_URL_H
#define FG_CONFIG_URL_H

#include <stdbool.h>

#include "err.h"

struct config_url {
    bool tls;
    bool websocket;
    char host[256]; /* in small letters; without brackets */
    int port;       /* 1883, 8883, 80 or 443 when not written */
};

int config_url_parse(const char *text, struct config_url *ret, struct err_note *note);

#endif
