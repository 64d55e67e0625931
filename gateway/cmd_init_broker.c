/* SPDX-License-Identifier: Apache-2.0 */
/* One try to reach the broker, so that a wrong address or password is known while somebody is there: see
 * cmd_init.h. */
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "cmd_init.h"
#include "config_url.h"
#include "mqtt.h"
#include "text.h"
#include "tls_diag.h"

enum { TRY_MS = 10000, LOOK_MS = 200, GOODBYE_MS = 500, TLS_MS = 5000 };

static enum mqtt_event_kind await(struct init_ask *a, struct mqtt *m, struct mqtt_event *e)
{
    const int64_t deadline = clock_mono_ms() + 2 * TRY_MS + 1000;
    do {
        mqtt_wait(m, clock_mono_ms() + LOOK_MS, e);
    } while (e->kind == MQTT_NOTHING && clock_mono_ms() < deadline && !init_ask_interrupted(a));
    return e->kind;
}

/* Paho does not say what is wrong with a certificate. */
static void explain(const struct init_uplink *u, const struct mqtt_event *e)
{
    struct config_url url;
    struct err_note note = {""};
    const char *text = e->text ? e->text : _("no answer");
    if (e->reason < 0 && config_url_parse(u->url, &url, NULL) == 0 && url.tls) {
        const struct tls_diag_options o = {.host = url.host,
                                           .port = url.port,
                                           .ca_file = u->ca_file[0] ? u->ca_file : NULL,
                                           .timeout_ms = TLS_MS};
        enum tls_diag_result result = tls_diag_run(&o, &note);
        if (result != TLS_DIAG_OK && result != TLS_DIAG_UNREACHABLE)
            text = note.text;
    }
    printf(_("  NOT connected: %s\n"), text);
}

int init_broker_try(struct init_ask *a, const struct init_choice *c)
{
    const struct init_uplink *u = &c->uplink;
    struct err_note note = {""};
    struct mqtt *m = NULL;
    struct mqtt_event e = {0};
    char client_id[INIT_NAME_MAX + 32];
    /* Not the gateway's own: it may be running, and would be pushed out. */
    snprintf(client_id, sizeof client_id, "%s-init-%d", c->id[0] ? c->id : "fieldgate", (int)getpid());
    const struct mqtt_options options = {.client_id = client_id,
                                         .version = 5,
                                         .ca_file = u->ca_file[0] ? u->ca_file : NULL,
                                         .keepalive_ms = 30000,
                                         .connect_timeout_ms = TRY_MS,
                                         .lookup_timeout_ms = TRY_MS};
    printf(_("Trying %s ...\n"), u->url);
    fflush(stdout);
    int err = mqtt_new(&options, &m, &note);
    if (err == 0)
        err = mqtt_connect(m, u->url, u->user[0] ? u->user : NULL, u->has_password ? u->password : NULL, NULL,
                           &note);
    if (err < 0) {
        printf(_("  NOT connected: %s\n"), note.text[0] ? note.text : err_text(err));
    } else if (await(a, m, &e) == MQTT_CONNECTED) {
        printf(u->user[0] ? _("  connected; the broker takes this user and password\n") : _("  connected\n"));
        mqtt_disconnect(m, GOODBYE_MS);
    } else {
        err = FG_EIO;
        if (!a->cancelled)
            explain(u, &e);
    }
    mqtt_free(m);
    return a->cancelled ? INIT_CANCELLED : err;
}
