/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mqtt_names.h"
#include "text.h"

static const struct {
    const char *prefix;
    bool tls, websocket;
    int port;
} SCHEMES[] = {
    {"mqtt://", false, false, 1883},
    {"mqtts://", true, false, 8883},
    {"ws://", false, true, 80},
    {"wss://", true, true, 443},
};

static int parse_port(const char *text, size_t len, int *ret)
{
    char digits[8] = "";
    char *end;

    if (len == 0 || len >= sizeof(digits))
        return FG_EINVALID;
    memcpy(digits, text, len);
    long port = strtol(digits, &end, 10);
    if (*end != '\0' || port < 1 || port > 65535)
        return FG_EINVALID;
    *ret = (int)port;
    return 0;
}

/* host, host:port, [v6] or [v6]:port. */
static int parse_authority(const char *text, size_t len, struct mqtt_url *url)
{
    const char *host = text, *rest;
    size_t host_len;

    if (len > 0 && text[0] == '[') {
        const char *close = memchr(text, ']', len);
        if (close == NULL)
            return FG_EINVALID;
        host = text + 1;
        host_len = (size_t)(close - host);
        rest = close + 1;
    } else {
        const char *colon = memchr(text, ':', len);
        host_len = colon != NULL ? (size_t)(colon - text) : len;
        rest = text + host_len;
    }
    if (host_len == 0 || host_len >= sizeof(url->host))
        return FG_EINVALID;
    memcpy(url->host, host, host_len);
    size_t left = len - (size_t)(rest - text);
    if (left == 0)
        return 0;
    return rest[0] == ':' ? parse_port(rest + 1, left - 1, &url->port) : FG_EINVALID;
}

int mqtt_url_parse(const char *text, struct mqtt_url *ret, struct err_note *note)
{
    struct mqtt_url url = {0};
    const char *rest = NULL;

    for (size_t i = 0; i < sizeof(SCHEMES) / sizeof(SCHEMES[0]) && rest == NULL; i++) {
        if (strncasecmp(text, SCHEMES[i].prefix, strlen(SCHEMES[i].prefix)) == 0) {
            rest = text + strlen(SCHEMES[i].prefix);
            url.tls = SCHEMES[i].tls;
            url.websocket = SCHEMES[i].websocket;
            url.port = SCHEMES[i].port;
        }
    }
    if (rest == NULL)
        return err_note(note, FG_EINVALID, "the url must begin with mqtt://, mqtts://, ws:// or wss://");
    size_t len = strcspn(rest, "/");
    if (memchr(rest, '@', len) != NULL)
        return err_note(note, FG_EINVALID,
                        "the url holds a user or password; put them in username and credential");
    if (parse_authority(rest, len, &url) < 0)
        return err_note(note, FG_EINVALID, "no usable host and port in the url %s; write mqtts://HOST:8883",
                        text);
    const char *path = rest + len;
    if (strlen(path) >= sizeof(url.path) || (!url.websocket && strlen(path) > 1))
        return err_note(note, FG_EINVALID, "the url %s has a path that means nothing here; take it away",
                        text);
    if (url.websocket)
        strcpy(url.path, path);
    *ret = url;
    return 0;
}

static void address_text(const struct addrinfo *ai, struct mqtt_address *ret)
{
    char number[INET6_ADDRSTRLEN] = "?";

    getnameinfo(ai->ai_addr, ai->ai_addrlen, number, sizeof(number), NULL, 0, NI_NUMERICHOST);
    snprintf(ret->text, sizeof(ret->text), ai->ai_family == AF_INET6 ? "[%s]" : "%s", number);
}

static void take_address(const struct addrinfo *ai, struct mqtt_address *ret)
{
    memset(ret, 0, sizeof(*ret));
    memcpy(&ret->addr, ai->ai_addr, ai->ai_addrlen);
    ret->len = ai->ai_addrlen;
    address_text(ai, ret);
}

/* Without asking anybody. An interface may stand behind an IPv6 address: fe80::1%eth0. */
static bool is_number(const char *host)
{
    unsigned char bytes[16];
    char number[INET6_ADDRSTRLEN] = "";
    size_t len = strcspn(host, "%");

    if (len >= sizeof(number))
        return false;
    memcpy(number, host, len);
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, number, bytes) == 1;
}

int mqtt_resolve_number(const struct mqtt_url *url, struct mqtt_address *ret)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
    struct addrinfo *list = NULL;
    char port[8];

    snprintf(port, sizeof(port), "%d", url->port);
    if (!is_number(url->host) || mqtt_names_ask(url->host, port, &hints, &list) != 0)
        return FG_ENOTFOUND;
    take_address(list, ret);
    freeaddrinfo(list);
    return 0;
}

int mqtt_resolve(const struct mqtt_url *url, unsigned turn, struct mqtt_address *ret, struct err_note *note)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[8];
    unsigned count = 0;

    snprintf(port, sizeof(port), "%d", url->port);
    int rc = mqtt_names_ask(url->host, port, &hints, &list);
    if (rc != 0) {
        const char *why = rc == EAI_SYSTEM ? text_errno(errno) : text_said(gai_strerror(rc));
        return err_note(note, FG_ENOTFOUND, "name %s: %s; check the spelling, DNS and the link", url->host,
                        why);
    }
    for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next)
        count++;
    struct addrinfo *chosen = list;
    for (unsigned i = turn % count; i > 0; i--)
        chosen = chosen->ai_next;
    take_address(chosen, ret);
    freeaddrinfo(list);
    return 0;
}

int mqtt_dial(const struct mqtt_address *address, int64_t timeout_ms)
{
    int fd = socket(address->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err = 0;
    socklen_t len = sizeof(err);

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address->addr, address->len) < 0)
        err = errno;
    if (err == EINPROGRESS) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (poll(&p, 1, (int)timeout_ms) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
            err = ETIMEDOUT;
    }
    if (err == 0)
        return fd;
    close(fd);
    return -err;
}

/* To connect a datagram socket only asks the routes. */
int mqtt_route(const struct mqtt_address *address)
{
    int fd = socket(address->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    int err = connect(fd, (const struct sockaddr *)&address->addr, address->len) < 0 ? errno : 0;
    close(fd);
    return err;
}

int mqtt_probe(const struct mqtt_address *address, int64_t timeout_ms)
{
    int fd = mqtt_dial(address, timeout_ms);

    if (fd < 0)
        return -fd;
    close(fd);
    return 0;
}
