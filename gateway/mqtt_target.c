/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_target.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mqtt_names.h"

enum { PROBE_MS = 1000 };

static char *copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

static void give_up(const void *copied)
{
    free((void *)(uintptr_t)copied);
}

int mqtt_target_init(struct mqtt_target *t, const struct mqtt_options *o, struct err_note *note)
{
    memset(t, 0, sizeof(*t));
    if (o->client_id == NULL || o->client_id[0] == '\0')
        return err_note(note, FG_EINVALID, "client_id is missing");
    if (o->version != 5 && o->version != 311)
        return err_note(note, FG_EINVALID, "version must be 5 or 3.1.1");
    if (o->key_file != NULL && o->cert_file == NULL)
        return err_note(note, FG_EINVALID, "key_file is given but cert_file is not");
    t->now = &t->known[0];
    t->options = *o;
    t->options.client_id = copy(o->client_id);
    t->options.ca_file = copy(o->ca_file);
    t->options.cert_file = copy(o->cert_file);
    t->options.key_file = copy(o->key_file);
    bool whole = t->options.client_id != NULL && (o->ca_file == NULL) == (t->options.ca_file == NULL) &&
                 (o->cert_file == NULL) == (t->options.cert_file == NULL) &&
                 (o->key_file == NULL) == (t->options.key_file == NULL);
    if (!whole) {
        mqtt_target_fini(t);
        return err_note(note, FG_ENOMEM, "out of memory");
    }
    return 0;
}

static void forget_login(struct mqtt_target *t)
{
    if (t->password != NULL)
        explicit_bzero(t->password, strlen(t->password));
    free(t->password);
    free(t->user);
    give_up(t->will.topic);
    give_up(t->will.payload);
    t->user = t->password = NULL;
    memset(&t->will, 0, sizeof(t->will));
}

void mqtt_target_fini(struct mqtt_target *t)
{
    for (int i = 0; i < MQTT_KNOWN; i++)
        mqtt_lookup_drop(t->known[i].lookup);
    forget_login(t);
    give_up(t->options.client_id);
    give_up(t->options.ca_file);
    give_up(t->options.cert_file);
    give_up(t->options.key_file);
    memset(&t->options, 0, sizeof(t->options));
}

static int remember_login(struct mqtt_target *t, const char *user, const char *password,
                          const struct mqtt_will *will)
{
    forget_login(t);
    t->user = copy(user);
    t->password = copy(password);
    bool whole = (user == NULL || t->user != NULL) && (password == NULL || t->password != NULL);
    if (will != NULL) {
        char *payload = malloc(will->len + 1);
        if (payload != NULL && will->len > 0)
            memcpy(payload, will->payload, will->len);
        t->will.topic = copy(will->topic);
        t->will.payload = payload;
        t->will.len = will->len;
        whole = whole && payload != NULL && t->will.topic != NULL;
    }
    return whole ? 0 : FG_ENOMEM;
}

static bool same_url(const struct mqtt_url *a, const struct mqtt_url *b)
{
    return a->tls == b->tls && a->websocket == b->websocket && a->port == b->port &&
           strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0;
}

static void know(struct mqtt_target *t, const struct mqtt_url *url)
{
    int64_t own_s = t->options.keepalive_ms / 1000;

    for (int i = 0; i < MQTT_KNOWN; i++) {
        if (same_url(&t->known[i].url, url)) {
            t->now = &t->known[i];
            return;
        }
    }
    t->now = &t->known[t->next_known];
    t->next_known = (t->next_known + 1) % MQTT_KNOWN;
    mqtt_lookup_drop(t->now->lookup);
    *t->now = (struct mqtt_known){.url = *url,
                                  .keepalive_s = own_s < 1       ? 1
                                                 : own_s > 65535 ? 65535
                                                                 : (int)own_s};
}

int mqtt_target_set(struct mqtt_target *t, const char *text, const char *user, const char *password,
                    const struct mqtt_will *will, struct err_note *note)
{
    struct mqtt_url url;

    int rc = mqtt_url_parse(text, &url, note);
    if (rc < 0)
        return rc;
    know(t, &url);
    if (remember_login(t, user, password, will) < 0)
        return err_note(note, FG_ENOMEM, "out of memory");
    return 0;
}

/* Paho would only say that the connection failed. The configuration has seen a key that everybody can read,
 * but the file may have become so since. */
static int check_files(const struct mqtt_target *t, struct err_note *note)
{
    static const char *const NAMES[] = {"ca_file", "cert_file", "key_file"};
    const char *const paths[] = {t->options.ca_file, t->options.cert_file, t->options.key_file};
    struct stat st;

    for (size_t i = 0; t->now->url.tls && i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (paths[i] != NULL && access(paths[i], R_OK) != 0)
            return err_note(note, FG_EIO, "%s %s: %s; check that it exists and that the service may read it",
                            NAMES[i], paths[i], text_errno(errno));
    }
    if (t->now->url.tls && t->options.key_file != NULL && stat(t->options.key_file, &st) == 0 &&
        (st.st_mode & S_IRWXO) != 0)
        return err_note(note, FG_EINVALID,
                        "key_file %s: everybody on this machine can read the file; run chmod 600 on it",
                        t->options.key_file);
    return 0;
}

static int look_up(struct mqtt_target *t, struct mqtt_events *events, uint32_t generation,
                   struct err_note *note)
{
    struct mqtt_known *now = t->now;

    if (now->lookup != NULL && mqtt_lookup_adopt(now->lookup, generation))
        return FG_ERETRY;
    mqtt_lookup_drop(now->lookup); /* ended after nobody waited for it any more */
    now->lookup = NULL;
    if (mqtt_lookup_start(&now->url, now->turn, events, generation, &now->lookup) < 0)
        return err_note(note, FG_ENOMEM, "out of memory");
    return FG_ERETRY;
}

int mqtt_target_find(struct mqtt_target *t, struct mqtt_events *events, uint32_t generation,
                     struct err_note *note)
{
    int rc = check_files(t, note);

    if (rc == 0 && mqtt_resolve_number(&t->now->url, &t->address) < 0)
        rc = look_up(t, events, generation, note);
    return rc;
}

int mqtt_target_found(struct mqtt_target *t, struct err_note *note)
{
    int rc = mqtt_lookup_result(t->now->lookup, &t->address, note);

    mqtt_lookup_drop(t->now->lookup);
    t->now->lookup = NULL;
    if (rc == 0)
        mqtt_names_know(t->now->url.host, (const struct sockaddr *)&t->address.addr, t->address.len);
    return rc;
}

/* For plain MQTT Paho gets the address that was found. For TLS and websockets it needs the name itself
 * (server name, host check, Host header), and finds its address by way of mqtt_names. */
void mqtt_target_uri(const struct mqtt_target *t, char *ret, size_t size)
{
    const struct mqtt_url *u = &t->now->url;
    const char *scheme = u->websocket ? (u->tls ? "wss" : "ws") : (u->tls ? "ssl" : "tcp");
    bool v6 = strchr(u->host, ':') != NULL;

    if (u->tls || u->websocket)
        snprintf(ret, size, "%s://%s%s%s:%d%s", scheme, v6 ? "[" : "", u->host, v6 ? "]" : "", u->port,
                 u->path);
    else
        snprintf(ret, size, "%s://%s:%d", scheme, t->address.text, u->port);
}

/* Paho loses the errno; a bare TCP connection brings it back, or shows that the trouble lies above TCP. */
static void explain_attempt(const struct mqtt_target *t, const char *said, char *ret, size_t size)
{
    const struct mqtt_url *u = &t->now->url;

    if (u->tls && said[0] != '\0') {
        snprintf(ret, size,
                 _("TLS with %s port %d failed: %s; check the clock, ca_file and the broker's certificate"),
                 u->host, u->port, text_said(said));
        return;
    }
    int err = t->now->worked ? mqtt_route(&t->address) : mqtt_probe(&t->address, PROBE_MS);
    if (err != 0)
        snprintf(ret, size,
                 _("cannot reach %s port %d (%s): %s; check the link, the port and that the broker runs"),
                 u->host, u->port, t->address.text, text_errno(err));
    else if (t->now->worked)
        snprintf(
            ret, size,
            _("%s port %d (%s) worked until now; most likely the broker restarts or the link is bad; if it "
              "fails again, the reason is looked for"),
            u->host, u->port, t->address.text);
    else if (u->tls)
        snprintf(ret, size,
                 _("TLS with %s port %d failed; most likely the certificate is for another host name"),
                 u->host, u->port);
    else
        snprintf(ret, size,
                 _("%s port %d takes connections but does not answer as an MQTT broker; check the port"),
                 u->host, u->port);
}

void mqtt_target_explain(const struct mqtt_target *t, enum mqtt_event_kind kind, int reason, const char *said,
                         char *ret, size_t size)
{
    if (kind == MQTT_LOST && reason > 0)
        snprintf(ret, size, _("the broker ended the connection: %s"), mqtt_reason_text(reason));
    else if (kind == MQTT_LOST)
        snprintf(ret, size, _("the connection broke, or the broker no longer answered; check the link"));
    else if (reason > 0)
        snprintf(ret, size, _("the broker refused the connection: %s"), mqtt_reason_text(reason));
    else if (reason == 0)
        snprintf(ret, size, "%s", said);
    else
        explain_attempt(t, said, ret, size);
}

bool mqtt_target_tls_reason(const char *line, size_t len, char *ret, size_t size)
{
    const char *end = line + len;

    for (int field = 0; field < 5; field++) {
        line = memchr(line, ':', (size_t)(end - line));
        if (line == NULL)
            return false;
        line++;
    }
    const char *stop = memchr(line, ':', (size_t)(end - line));
    snprintf(ret, size, "%.*s", (int)((stop != NULL ? stop : end) - line), line);
    return true;
}
