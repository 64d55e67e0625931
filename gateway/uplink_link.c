/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "mqtt_resolve.h"
#include "text.h"
#include "tls_diag.h"
#include "uplink_files.h"

enum {
    RESOLVER_MS = 180 * 1000,     /* what a resolver with three dead servers may take */
    ATTEMPT_SLACK_MS = 30 * 1000, /* beyond the connect timeout, before we give up on the library itself */
    DIAG_TIMEOUT_MS = 5000,
    DIAG_EVERY_MS = 10 * 60 * 1000,
    NUMBERS_BLOCK = 1000, /* 17 hours of an attempt a minute */
};

static void set_text(char to[UPLINK_LINK_TEXT], const char *from)
{
    snprintf(to, UPLINK_LINK_TEXT, "%s", from ? from : "");
}

/* Two gateways with one id may find each other and part again all day. */
static const struct damp_limits CLASH_LINES = {4, 6 * 3600000};

int uplink_link_init(struct uplink_link *l, const struct uplink_options *options, struct mqtt *mqtt,
                     struct pulse *pulse)
{
    *l = (struct uplink_link){.options = options, .mqtt = mqtt, .pulse = pulse, .state = UPLINK_LINK_DOWN};
    l->voice.name = options->name;
    buf_init(&l->password);
    l->urls = calloc(options->url_count, sizeof *l->urls);
    if (!l->urls)
        return FG_ENOMEM;
    uplink_backoff_init(&l->backoff, options->seed, options->first_retry_max_ms);
    l->connection = l->reserved = uplink_connection_read(options->state_dir, options->name);
    l->since_mono_ms = clock_mono_ms();
    l->next_try_mono_ms = l->since_mono_ms;
    set_text(l->reason, _("not connected yet"));
    return 0;
}

void uplink_link_fini(struct uplink_link *l)
{
    free(l->urls);
    buf_fini(&l->password);
}

bool uplink_link_due(const struct uplink_link *l, int64_t now_mono_ms)
{
    return l->state == UPLINK_LINK_DOWN && now_mono_ms >= l->next_try_mono_ms;
}

uint64_t uplink_link_number(struct uplink_link *l)
{
    if (++l->connection > l->reserved) {
        /* A disk that refuses this refuses samples too and is reported by the store; the number still rises
         * while we run. */
        l->reserved = l->connection + NUMBERS_BLOCK - 1;
        (void)uplink_connection_write(l->options->state_dir, l->options->name, l->reserved);
    }
    return l->connection;
}

void uplink_link_keep_number(struct uplink_link *l)
{
    if (l->connection == l->reserved)
        return;
    l->reserved = l->connection;
    (void)uplink_connection_write(l->options->state_dir, l->options->name, l->reserved);
}

/* Every url has failed, or would. */
static void back_off(struct uplink_link *l)
{
    l->state = UPLINK_LINK_DOWN;
    l->url = 0;
    l->next_try_mono_ms = clock_mono_ms() + uplink_backoff_failed(&l->backoff);
}

static void next_url(struct uplink_link *l)
{
    if (l->url + 1 == l->options->url_count) {
        back_off(l);
        return;
    }
    l->state = UPLINK_LINK_DOWN;
    l->url++;
    l->next_try_mono_ms = clock_mono_ms();
}

static bool read_password(struct uplink_link *l, struct err_note *note)
{
    char text[UPLINK_LINK_TEXT], name[UPLINK_VOICE_WHO];
    l->no_password = false;
    if (!l->options->password_path)
        return true;
    if (uplink_password_read(l->options->password_path, &l->password, note) == 0) {
        l->credential_said[0] = '\0';
        return true;
    }
    l->no_password = true;
    set_text(text, note->text);
    if (strcmp(l->credential_said, text) == 0 || !uplink_voice_take(&l->voice))
        return false;
    set_text(l->credential_said, text);
    log_line(
        LOG_PRI_ERROR, "FG-LINK-CREDENTIAL",
        "uplink=%s: the password cannot be used: %s; put it there, readable for the service alone; it is "
        "tried again by itself",
        uplink_voice_who(&l->voice, name), note->text);
    return false;
}

int uplink_link_dial(struct uplink_link *l, struct mqtt *mqtt, size_t url, const struct mqtt_will *will,
                     struct err_note *note)
{
    if (!read_password(l, note))
        return FG_EIO;
    int err = mqtt_connect(mqtt, l->options->urls[url], l->options->username,
                           l->options->password_path ? l->password.data : NULL, will, note);
    if (l->password.data)
        explicit_bzero(l->password.data, l->password.cap);
    return err;
}

void uplink_link_connect(struct uplink_link *l, const struct mqtt_will *will)
{
    struct err_note note = {""};
    l->useful = false;
    int err = uplink_link_dial(l, l->mqtt, l->url, will, &note);
    if (err < 0 && l->no_password) {
        set_text(l->reason, note.text);
        back_off(l);
        return;
    }
    l->state = UPLINK_LINK_CONNECTING;
    l->attempt_deadline_mono_ms =
        clock_mono_ms() + MQTT_LOOKUP_MS + l->options->mqtt.connect_timeout_ms + ATTEMPT_SLACK_MS;
    if (err < 0)
        uplink_link_failed(l, 0, note.text[0] ? note.text : err_text(err));
}

void uplink_link_up(struct uplink_link *l, uint64_t waiting)
{
    int64_t now = clock_mono_ms();
    l->state = UPLINK_LINK_UP;
    l->connects++;
    l->down_ms = now - l->since_mono_ms;
    l->waiting = waiting;
    l->since_mono_ms = now;
    l->next_try_mono_ms = 0;
    l->reason[0] = '\0';
    for (size_t i = 0; i < l->options->url_count; i++) {
        l->urls[i].said[0] = '\0';
        l->urls[i].tls[0] = l->urls[i].tls_said[0] = '\0';
        l->urls[i].diag_mono_ms = 0;
    }
    l->up_said = false;
    uplink_link_tell(l, now);
}

void uplink_link_tell(struct uplink_link *l, int64_t now_mono_ms)
{
    char name[UPLINK_VOICE_WHO];
    if (l->state != UPLINK_LINK_UP || l->up_said ||
        (now_mono_ms > l->since_mono_ms && !uplink_voice_can(&l->voice, now_mono_ms)))
        return;
    if (!uplink_voice_take(&l->voice))
        return;
    l->up_said = true;
    log_line(LOG_PRI_INFO, "FG-LINK-UP", "uplink=%s url=%s down_s=%lld waiting=%llu: connected",
             uplink_voice_who(&l->voice, name), l->options->urls[l->url], (long long)(l->down_ms / 1000),
             (unsigned long long)l->waiting);
}

static enum tls_diag_result look_into_tls(struct uplink_link *l, const struct mqtt_url *url,
                                          struct err_note *note)
{
    const struct tls_diag_options options = {
        .host = url->host,
        .port = url->port,
        .ca_file = l->options->mqtt.ca_file,
        .cert_file = l->options->mqtt.cert_file,
        .key_file = l->options->mqtt.key_file,
        .any_host_name = l->options->mqtt.any_host_name,
        .timeout_ms = DIAG_TIMEOUT_MS,
    };
    pulse_expect(l->pulse, RESOLVER_MS);
    enum tls_diag_result result = tls_diag_run(&options, note);
    pulse_beat(l->pulse);
    return result;
}

/* What damping leaves out is said at a later attempt, if it is still so. */
static void tell_tls(struct uplink_link *l, struct uplink_link_url *memory)
{
    char name[UPLINK_VOICE_WHO];
    if (strcmp(memory->tls_said, memory->tls) == 0 || (memory->tls[0] && !uplink_voice_take(&l->voice)))
        return;
    set_text(memory->tls_said, memory->tls);
    if (memory->tls[0])
        log_line(LOG_PRI_ERROR, "FG-LINK-TLS", "uplink=%s url=%s: %s", uplink_voice_who(&l->voice, name),
                 l->options->urls[l->url], memory->tls);
}

/* Says why TLS fails, when it is TLS that fails: Paho does not. */
static void explain_tls(struct uplink_link *l, struct uplink_link_url *memory)
{
    struct mqtt_url url;
    struct err_note note = {""};
    int64_t now = clock_mono_ms();

    if (mqtt_url_parse(l->options->urls[l->url], &url, NULL) < 0 || !url.tls)
        return;
    if (memory->diag_mono_ms == 0 || now - memory->diag_mono_ms >= DIAG_EVERY_MS) {
        memory->diag_mono_ms = now;
        enum tls_diag_result result = look_into_tls(l, &url, &note);
        if (result == TLS_DIAG_OK || result == TLS_DIAG_UNREACHABLE)
            note.text[0] = '\0';
        set_text(memory->tls, note.text);
    }
    tell_tls(l, memory);
    if (memory->tls[0])
        set_text(l->reason, memory->tls);
}

void uplink_link_failed(struct uplink_link *l, int reason, const char *text)
{
    struct uplink_link_url *url = &l->urls[l->url];
    set_text(l->reason, text);
    char name[UPLINK_VOICE_WHO];
    uplink_clash_attempt_failed(&l->clash);
    if (strcmp(url->said, l->reason) != 0 && uplink_voice_take(&l->voice)) {
        log_line(LOG_PRI_WARNING, "FG-LINK-FAILED",
                 "uplink=%s url=%s: cannot connect: %s; readings are kept and it is tried again by itself",
                 uplink_voice_who(&l->voice, name), l->options->urls[l->url], l->reason);
        set_text(url->said, l->reason);
    }
    /* A reason above 0 is the broker's own word: TLS worked. With 0 nobody was reached, and a resolver that
     * has just hung would now hang this thread; or a broker that worked may only be restarting. */
    if (reason < 0)
        explain_tls(l, url);
    next_url(l);
}

void uplink_link_lost(struct uplink_link *l, const char *text)
{
    int64_t now = clock_mono_ms();
    set_text(l->reason, text);
    char name[UPLINK_VOICE_WHO];
    if (uplink_voice_take(&l->voice))
        log_line(LOG_PRI_WARNING, "FG-LINK-DOWN", "uplink=%s url=%s up_s=%lld: the connection ended: %s",
                 uplink_voice_who(&l->voice, name), l->options->urls[l->url],
                 (long long)((now - l->since_mono_ms) / 1000), l->reason);
    l->since_mono_ms = now;
    if (!l->useful) {
        next_url(l);
        return;
    }
    l->state = UPLINK_LINK_DOWN;
    l->url = 0;
    l->next_try_mono_ms = now + uplink_backoff_lost(&l->backoff);
}

/* At each change, and now and then: says what could not be said before. */
static void tell_clash(struct uplink_link *l, int64_t now_mono_ms)
{
    const struct uplink_options *o = l->options;
    const bool on = uplink_clash_is_on(&l->clash);
    char changes[DAMP_CHANGES];
    if (!damp_switch_tell(&l->clash_told, &CLASH_LINES, on, now_mono_ms, changes))
        return;
    if (on)
        log_line(
            LOG_PRI_ERROR, "FG-ID-CLASH",
            "uplink=%s%s url=%s client_id=%s gateway=%s: the broker keeps ending our connection as it does "
            "when "
            "another client comes with our client_id: most likely a second gateway has this id; give one of "
            "them another gateway: id, or the uplink another client_id; readings are kept and we come back "
            "less often",
            o->name, changes, o->urls[l->url], o->mqtt.client_id, o->who.gateway);
    else
        log_line(LOG_PRI_NOTICE, "FG-ID-CLASH-OVER",
                 "uplink=%s%s client_id=%s: nobody else used our client_id for a quarter of an hour", o->name,
                 changes, o->mqtt.client_id);
}

void uplink_link_closed(struct uplink_link *l, bool said, int64_t up_ms)
{
    int64_t now = clock_mono_ms();
    int64_t wait = uplink_clash_closed(&l->clash, said, up_ms, now);
    if (!uplink_clash_is_on(&l->clash))
        return;
    wait += uplink_backoff_spread(&l->backoff, wait / 4);
    if (l->next_try_mono_ms < now + wait)
        l->next_try_mono_ms = now + wait;
    tell_clash(l, now);
}

void uplink_link_look_for_peace(struct uplink_link *l, int64_t now_mono_ms)
{
    (void)uplink_clash_ends(&l->clash, l->since_mono_ms, now_mono_ms);
    tell_clash(l, now_mono_ms);
}
