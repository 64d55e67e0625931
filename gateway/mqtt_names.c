/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_names.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

enum { NAMES = 32, KNOWN_MS = 60 * 1000 };

struct name {
    char host[256];
    char number[INET6_ADDRSTRLEN + 20]; /* with an interface behind it: fe80::1%eth0 */
    int64_t until_mono_ms;
};

/* The one mutable static of the program: libc's function has no place for a context. */
static struct {
    pthread_mutex_t lock;
    struct name names[NAMES];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The name's own place, else the one that is out of date first. */
static struct name *place_of(const char *host)
{
    struct name *oldest = &table.names[0];
    for (size_t i = 0; i < NAMES; i++) {
        struct name *n = &table.names[i];
        if (strcmp(n->host, host) == 0)
            return n;
        if (n->until_mono_ms < oldest->until_mono_ms)
            oldest = n;
    }
    return oldest;
}

void mqtt_names_know(const char *host, const struct sockaddr *address, socklen_t len)
{
    struct name fresh = {.until_mono_ms = clock_mono_ms() + KNOWN_MS};
    snprintf(fresh.host, sizeof fresh.host, "%s", host);
    if (getnameinfo(address, len, fresh.number, sizeof fresh.number, NULL, 0, NI_NUMERICHOST) != 0)
        return;
    pthread_mutex_lock(&table.lock);
    *place_of(host) = fresh;
    pthread_mutex_unlock(&table.lock);
}

static bool known(const char *host, struct name *ret)
{
    pthread_mutex_lock(&table.lock);
    *ret = *place_of(host);
    pthread_mutex_unlock(&table.lock);
    return strcmp(ret->host, host) == 0 && clock_mono_ms() < ret->until_mono_ms;
}

int mqtt_names_ask(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    return next ? next(host, port, hints, ret) : EAI_FAIL;
}

/* Stands before libc's: see mqtt_names.h. The number is read by libc, so that the list is libc's to free. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
    struct addrinfo number = hints ? *hints : (struct addrinfo){0};
    struct name name;
    number.ai_flags |= AI_NUMERICHOST;
    if (host && known(host, &name))
        return mqtt_names_ask(name.number, port, &number, ret);
    return mqtt_names_ask(host, port, hints, ret);
}
