/* SPDX-License-Identifier: Apache-2.0 */
/* Which line or box a word of the command line means: see cmd_scan.h. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_scan.h"
#include "config.h"

enum { TCP_PORT = 502 };

static bool same_file(const char *a, const char *b)
{
    char real_a[PATH_MAX], real_b[PATH_MAX];
    if (strcmp(a, b) == 0)
        return true;
    return realpath(a, real_a) && realpath(b, real_b) && strcmp(real_a, real_b) == 0;
}

static void take_bus(const struct config_bus *b, struct scan_place *ret)
{
    *ret = (struct scan_place){.protocol = b->protocol,
                               .protocol_known = true,
                               .tcp_port = b->tcp_port,
                               .bus = b->name,
                               .line = b->line};
    snprintf(ret->where, sizeof ret->where, "%s", b->protocol == MODBUS_RTU ? b->port : b->host);
}

/* "host", "host:port", "[::1]:502" */
static void split_host(const char *target, struct scan_place *ret)
{
    const char *colon = strrchr(target, ':');
    bool bracket = target[0] == '[';
    ret->protocol = MODBUS_TCP;
    ret->tcp_port = TCP_PORT;
    snprintf(ret->where, sizeof ret->where, "%s", target);
    if (bracket ? colon && colon[-1] == ']' : colon && strchr(target, ':') == colon) {
        ret->tcp_port = (int)strtol(colon + 1, NULL, 10);
        snprintf(ret->where, sizeof ret->where, "%.*s", (int)(colon - target), target);
    }
    size_t len = strlen(ret->where);
    if (bracket && len > 2 && ret->where[len - 1] == ']') {
        memmove(ret->where, ret->where + 1, len - 2);
        ret->where[len - 2] = '\0';
    }
}

void scan_find_place(const char *target, const struct config *c, struct scan_place *ret)
{
    *ret = (struct scan_place){0};
    for (size_t i = 0; c && i < c->bus_count; i++)
        if (strcmp(c->buses[i].name, target) == 0) {
            take_bus(&c->buses[i], ret);
            return;
        }
    if (strchr(target, '/')) {
        ret->protocol = MODBUS_RTU;
        ret->protocol_known = true;
        snprintf(ret->where, sizeof ret->where, "%s", target);
    } else {
        split_host(target, ret);
    }
    for (size_t i = 0; c && i < c->bus_count; i++) {
        const struct config_bus *b = &c->buses[i];
        bool serial = ret->protocol == MODBUS_RTU && b->protocol == MODBUS_RTU;
        if (serial ? same_file(b->port, ret->where)
                   : ret->protocol != MODBUS_RTU && b->protocol != MODBUS_RTU &&
                         b->tcp_port == ret->tcp_port && strcmp(b->host, ret->where) == 0) {
            take_bus(b, ret);
            return;
        }
    }
}
