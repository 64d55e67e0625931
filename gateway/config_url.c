/* SPDX-License-Identifier: Apache-2.0 */
#include "config_url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct scheme {
    const char *name;
    bool tls, websocket;
    int port;
};

static const struct scheme schemes[] = {{"mqtt", false, false, 1883},
                                        {"mqtts", true, false, 8883},
                                        {"ws", false, true, 80},
                                        {"wss", true, true, 443}};

static const char *const others[][2] = {
    {"tcp", "mqtt"}, {"ssl", "mqtts"}, {"tls", "mqtts"}, {"http", "ws"}, {"https", "wss"}};

static const struct scheme *find_scheme(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strlen(schemes[i].name) == len && strncasecmp(schemes[i].name, text, len) == 0)
            return &schemes[i];
    return NULL;
}

static int unknown_scheme(const char *text, size_t len, struct err_note *note)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strlen(others[i][0]) == len && strncasecmp(others[i][0], text, len) == 0)
            return err_note(note, FG_EINVALID, _("begins with %s://; write %s:// instead"), others[i][0],
                            others[i][1]);
    return err_note(note, FG_EINVALID, _("must begin with mqtt://, mqtts:// (with TLS), ws:// or wss://"));
}

static int parse_port(const char *text, size_t len, int *ret, struct err_note *note)
{
    if (len == 0 || len > 5 || strspn(text, "0123456789") < len || atoi(text) < 1 || atoi(text) > 65535)
        return err_note(note, FG_EINVALID,
                        _("has no usable port; write 1 to 65535 after the colon, like :8883"));
    *ret = atoi(text);
    return 0;
}

/* Bytes of the UTF-8 character at the beginning; the file is known to be UTF-8. */
static int character_len(const char *text, size_t len)
{
    size_t n = 1;
    while (n < len && ((unsigned char)text[n] & 0xC0) == 0x80)
        n++;
    return (int)n;
}

static int parse_host(const char *host, size_t len, struct config_url *ret, struct err_note *note)
{
    if (len == 0)
        return err_note(note, FG_EINVALID, _("names no host; write mqtts://mqtt.example.org:8883"));
    if (len >= sizeof(ret->host))
        return err_note(note, FG_EINVALID, _("has too long a host name"));
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)host[i];
        if (!isalnum(c) && c != '-' && c != '.' && c != '_' && c != ':' && c != '%')
            return err_note(note, FG_EINVALID,
                            _("has a character in its host name that cannot be there: \"%.*s\""),
                            character_len(host + i, len - i), host + i);
        ret->host[i] = (char)tolower(c);
    }
    ret->host[len] = '\0';
    return 0;
}

/* [::1]:1883 or host:1883 */
static int parse_authority(const char *text, size_t len, struct config_url *ret, struct err_note *note)
{
    const char *host = text, *colon;
    size_t host_len;
    if (len > 0 && *text == '[') {
        const char *bracket = memchr(text, ']', len);
        if (!bracket)
            return err_note(note, FG_EINVALID, _("opens a bracket and never closes it; write [::1]:1883"));
        host = text + 1;
        host_len = (size_t)(bracket - host);
        colon = bracket + 1 < text + len ? bracket + 1 : NULL;
        if (colon && *colon != ':')
            return err_note(note, FG_EINVALID, _("has something between ] and the port"));
    } else {
        colon = memchr(text, ':', len);
        host_len = colon ? (size_t)(colon - text) : len;
        if (colon && memchr(colon + 1, ':', len - host_len - 1))
            return err_note(note, FG_EINVALID,
                            _("has too many colons; put an IPv6 address into brackets: [::1]:1883"));
    }
    int err = parse_host(host, host_len, ret, note);
    if (err == 0 && colon)
        err = parse_port(colon + 1, (size_t)(text + len - colon - 1), &ret->port, note);
    return err;
}

int config_url_parse(const char *text, struct config_url *ret, struct err_note *note)
{
    const char *colon = strstr(text, "://");
    if (!colon)
        return err_note(note, FG_EINVALID,
                        _("must begin with mqtt://, mqtts:// (with TLS), ws:// or wss://"));
    const struct scheme *scheme = find_scheme(text, (size_t)(colon - text));
    if (!scheme)
        return unknown_scheme(text, (size_t)(colon - text), note);
    const char *authority = colon + 3;
    size_t len = strcspn(authority, "/?#");
    struct config_url url = {.tls = scheme->tls, .websocket = scheme->websocket, .port = scheme->port};
    const char *path = authority + len;
    if (*path != '\0' && !scheme->websocket)
        return err_note(note, FG_EINVALID,
                        _("has a path, which only ws:// and wss:// can have; end it after the port"));
    int err = parse_authority(authority, len, &url, note);
    if (err == 0)
        *ret = url;
    return err;
}
