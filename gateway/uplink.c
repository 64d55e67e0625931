/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "mqtt_resolve.h"
#include "text.h"
#include "uplink_age.h"
#include "uplink_expiry.h"
#include "uplink_link.h"
#include "uplink_return.h"
#include "uplink_session.h"

enum {
    ROUND_MS = 1000,         /* the longest wait, so that the pulse keeps beating */
    REASON_TAKEN_OVER = 142, /* MQTT 5 */
    OFFLINE_MS = 1000,
    GOODBYE_MS = 500,
    HEARD_AT_ONCE = 200, /* events; a few more than can wait */
    THREAD_STACK = 256 * 1024,
};

struct uplink {
    struct uplink_options options;
    struct mqtt *clients[2]; /* the second only where there is more than one url */
    struct pulse pulse;
    _Atomic bool stop, rebirth;
    bool started;
    pthread_t thread;
    pthread_mutex_t lock; /* guards ended and status */
    pthread_cond_t ended_now;
    bool ended;
    struct uplink_status status;
    /* The thread's own. */
    struct mqtt *mqtt; /* one of the clients: the one in use */
    struct uplink_link link;
    struct uplink_session session;
    struct uplink_return home;
    struct uplink_expiry expiry;
    struct uplink_age age;
    struct buf will;
};

static int check_options(const struct uplink_options *o, struct err_note *note)
{
    if (!o->format)
        return err_note(note, FG_EINVALID, "uplink %s: this version has no such format; set format: json",
                        o->name);
    if (o->url_count == 0)
        return err_note(note, FG_EINVALID, "uplink %s: url is missing", o->name);
    for (size_t i = 0; i < o->url_count; i++) {
        struct mqtt_url url;
        struct err_note why = {""};
        if (mqtt_url_parse(o->urls[i], &url, &why) < 0)
            return err_note(note, FG_EINVALID, "uplink %s: %s", o->name, why.text);
    }
    return 0;
}

static int init_lock(struct uplink *u)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return FG_ENOMEM;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int err = pthread_cond_init(&u->ended_now, &attributes);
    pthread_condattr_destroy(&attributes);
    return err == 0 && pthread_mutex_init(&u->lock, NULL) == 0 ? 0 : FG_ENOMEM;
}

static void set_defaults(struct uplink_options *o)
{
    if (o->batch_samples == 0)
        o->batch_samples = 1;
    if (o->batch_bytes == 0)
        o->batch_bytes = 32 * 1024;
}

static void publish_status(struct uplink *u)
{
    const struct uplink_link *l = &u->link;
    const bool up = l->state == UPLINK_LINK_UP;
    int64_t drain_ms = up ? uplink_session_drain(&u->session) : -1;
    struct uplink_commands commands = u->session.command.counts;
    for (size_t i = 0; i < 2 && u->clients[i]; i++) {
        commands.received += mqtt_dropped(u->clients[i]);
        commands.unanswered += mqtt_dropped(u->clients[i]);
    }

    pthread_mutex_lock(&u->lock);
    struct uplink_status *status = &u->status;
    status->connected = up;
    status->since_mono_ms = l->since_mono_ms;
    snprintf(status->url, sizeof status->url, "%s", u->options.urls[l->url]);
    snprintf(status->reason, sizeof status->reason, "%s", l->reason);
    status->next_try_mono_ms = up ? 0 : l->next_try_mono_ms;
    status->topic_clash = uplink_twin_is_on(&u->session.twin);
    status->id_clash = uplink_clash_is_on(&l->clash);
    status->connects = l->connects;
    status->messages = u->session.messages;
    status->bytes = u->session.bytes;
    status->refused = u->session.refused;
    for (size_t i = 0; i < UPLINK_LANES; i++)
        status->unheard[i] = u->session.unheard.lanes[i].on;
    status->unheard_records = u->session.unheard.records;
    status->drain_ms = drain_ms;
    status->commands = commands;
    pthread_mutex_unlock(&u->lock);
}

int uplink_new(const struct uplink_options *options, struct uplink **ret, struct err_note *note)
{
    int err = check_options(options, note);
    if (err < 0)
        return err;
    struct uplink *u = calloc(1, sizeof *u);
    if (!u)
        return err_note(note, FG_ENOMEM, "out of memory");
    u->options = *options;
    set_defaults(&u->options);
    if (u->options.command_count > 0)
        u->options.mqtt.max_incoming = UPLINK_COMMAND_PACKET_MAX;
    buf_init(&u->will);
    err = init_lock(u);
    for (size_t i = 0; i < 2 && i < options->url_count && err == 0; i++)
        err = mqtt_new(&u->options.mqtt, &u->clients[i], note);
    u->mqtt = u->clients[0];
    if (err == 0)
        err = uplink_link_init(&u->link, &u->options, u->mqtt, &u->pulse);
    if (err == 0)
        err = uplink_session_init(&u->session, &u->options, &u->link.voice, u->mqtt);
    u->link.state_topic = u->session.send.state_topic;
    uplink_return_init(&u->home, &u->options, &u->link, u->clients[1]);
    if (err < 0) {
        uplink_free(u);
        return err;
    }
    publish_status(u);
    *ret = u;
    return 0;
}

void uplink_free(struct uplink *u)
{
    if (!u)
        return;
    uplink_session_fini(&u->session);
    uplink_link_fini(&u->link);
    uplink_return_fini(&u->home);
    mqtt_free(u->clients[0]);
    mqtt_free(u->clients[1]);
    buf_fini(&u->will);
    pthread_mutex_destroy(&u->lock);
    pthread_cond_destroy(&u->ended_now);
    free(u);
}

static void begin_attempt(struct uplink *u)
{
    uint64_t number = uplink_link_number(&u->link);
    uplink_send_will(&u->session.send, number, &u->will);
    const struct mqtt_will will = {
        .topic = u->link.state_topic,
        .payload = u->will.data,
        .len = u->will.len,
    };
    uplink_link_connect(&u->link, buf_ok(&u->will) ? &will : NULL);
}

static void begin_session(struct uplink *u, const struct mqtt_event *connected)
{
    uint64_t first, last, waiting = 0;
    if (!store_waiting(u->options.store, u->options.store_index, &first, &last, &waiting))
        waiting = 0;
    uplink_link_up(&u->link, waiting);
    atomic_store(&u->rebirth, false); /* a session begins with them */
    uplink_session_open(&u->session, connected, u->link.url, u->link.connection);
    uplink_return_arm(&u->home, u->link.url > 0);
}

/* The first broker has taken us: from here on it is the one, and the other the spare. */
static void go_home(struct uplink *u)
{
    const struct mqtt_event connected = u->home.connected;
    u->mqtt = u->link.mqtt = uplink_return_swap(&u->home, u->mqtt);
    u->session.mqtt = u->session.send.mqtt = u->mqtt;
    u->link.url = 0;
    begin_session(u, &connected);
}

/* What is in flight is decided first, so that nothing is sent twice; then the other broker is told. */
static void move_home(struct uplink *u)
{
    if (!uplink_session_leave(&u->session))
        return;
    char name[UPLINK_VOICE_WHO];
    if (uplink_voice_take(&u->link.voice))
        log_line(LOG_PRI_INFO, "FG-LINK-RETURN",
                 "uplink=%s url=%s: the first broker is well again; moving to it",
                 uplink_voice_who(&u->link.voice, name), u->options.urls[0]);
    uplink_session_goodbye(&u->session, OFFLINE_MS);
    mqtt_disconnect(u->mqtt, GOODBYE_MS);
    u->link.since_mono_ms = clock_mono_ms();
    go_home(u);
}

/* Beside a connection to another than the first url; returns when it wants to be asked again. */
static int64_t try_home(struct uplink *u, int64_t now)
{
    if (uplink_return_due(&u->home, now)) {
        uplink_send_will(&u->session.send, uplink_link_number(&u->link), &u->home.will);
        uplink_return_begin(&u->home);
    }
    return uplink_return_look(&u->home);
}

static void end_session(struct uplink *u, int reason, bool overdue, const char *text)
{
    u->link.useful = u->session.useful;
    uplink_session_lost(&u->session, reason, overdue);
    const int64_t up_ms = clock_mono_ms() - u->link.since_mono_ms;
    /* One broker behind two urls ends our connection for our own other one. */
    const bool no_other_reason = reason == REASON_TAKEN_OVER || (reason < 0 && !overdue);
    const bool foreign = no_other_reason && u->link.useful && !u->home.trying && !u->home.up;
    uplink_link_lost(&u->link, text);
    if (foreign)
        uplink_link_closed(&u->link, reason == REASON_TAKEN_OVER, up_ms);
    uplink_return_look(&u->home); /* one broker behind both urls ends the old connection for the new one */
    if (u->home.up)
        go_home(u);
    else
        uplink_return_drop(&u->home);
}

static void take_event(struct uplink *u, const struct mqtt_event *e)
{
    const bool connecting = u->link.state == UPLINK_LINK_CONNECTING;
    const bool up = u->link.state == UPLINK_LINK_UP;
    switch (e->kind) {
    case MQTT_CONNECTED:
        if (connecting)
            begin_session(u, e);
        return;
    case MQTT_FAILED:
        if (connecting)
            uplink_link_failed(&u->link, e->reason, e->text);
        return;
    case MQTT_LOST:
        if (up)
            end_session(u, e->reason, false, e->text);
        else if (connecting)
            uplink_link_failed(&u->link, e->reason, e->text);
        return;
    case MQTT_ACKED:
        if (up)
            uplink_session_acked(&u->session, e->token, e->reason);
        return;
    case MQTT_REFUSED:
        if (up)
            uplink_session_refused(&u->session, e->token, e->reason);
        return;
    case MQTT_MESSAGE:
        if (up)
            uplink_session_message(&u->session, e->message);
        return;
    case MQTT_NOTHING:
        return;
    }
}

/* An acknowledgement that came while this thread was busy elsewhere is not late: what is there is heard
 * first, as far as a broker does not pour out messages without end. */
static bool is_overdue(struct uplink *u, int64_t now)
{
    struct mqtt_event e = {.kind = MQTT_ACKED};
    for (int i = 0; i < HEARD_AT_ONCE && e.kind != MQTT_NOTHING; i++) {
        if (u->link.state != UPLINK_LINK_UP || !uplink_session_overdue(&u->session, now))
            return false;
        mqtt_wait(u->mqtt, now, &e);
        take_event(u, &e);
    }
    return u->link.state == UPLINK_LINK_UP && uplink_session_overdue(&u->session, now);
}

static int64_t round_of_session(struct uplink *u, int64_t now)
{
    char text[96];
    if (is_overdue(u, now)) {
        mqtt_abandon(u->mqtt);
        snprintf(text, sizeof text, _("the broker did not acknowledge a message within %lld s"),
                 (long long)((u->options.puback_timeout_ms + 999) / 1000));
        end_session(u, 0, true, text);
        return now;
    }
    if (u->link.state != UPLINK_LINK_UP)
        return now;
    uplink_link_look_for_peace(&u->link, now);
    uplink_twin_look(&u->session.twin, now);
    uplink_unheard_look(&u->session.unheard, u->session.send.lane_topic, now);
    int64_t home = try_home(u, now);
    if (u->home.up)
        move_home(u);
    else
        u->session.leaving = false; /* the first broker took us and went again */
    if (atomic_exchange(&u->rebirth, false))
        uplink_session_rebirth(&u->session);
    uplink_session_round(&u->session);
    return home < u->session.wake_mono_ms ? home : u->session.wake_mono_ms;
}

/* What the clock asks for; returns when it asks again. */
static int64_t round_of(struct uplink *u)
{
    const int64_t now = clock_mono_ms();
    uplink_expiry_look(&u->expiry, &u->options, now);
    uplink_age_look(&u->age, &u->options, &u->session.window, now);
    if (uplink_link_due(&u->link, now))
        begin_attempt(u);
    switch (u->link.state) {
    case UPLINK_LINK_DOWN:
        return u->link.next_try_mono_ms;
    case UPLINK_LINK_CONNECTING:
        if (now < u->link.attempt_deadline_mono_ms)
            return u->link.attempt_deadline_mono_ms;
        mqtt_abandon(u->mqtt);
        uplink_link_failed(&u->link, 0, _("the attempt did not come to an end"));
        return now;
    case UPLINK_LINK_UP:
        return round_of_session(u, now);
    }
    return now;
}

static void leave(struct uplink *u)
{
    uplink_return_drop(&u->home);
    if (u->link.state == UPLINK_LINK_UP)
        uplink_session_goodbye(&u->session, OFFLINE_MS);
    if (u->link.state == UPLINK_LINK_UP)
        mqtt_disconnect(u->mqtt, GOODBYE_MS);
    else
        mqtt_abandon(u->mqtt);
    uplink_link_keep_number(&u->link);
    u->link.state = UPLINK_LINK_DOWN;
    u->link.since_mono_ms = clock_mono_ms();
    snprintf(u->link.reason, sizeof u->link.reason, "stopped");
}

static void *run(void *arg)
{
    struct uplink *u = arg;
    struct mqtt_event e;
    while (!atomic_load(&u->stop)) {
        pulse_beat(&u->pulse);
        int64_t wake = round_of(u);
        int64_t latest = clock_mono_ms() + ROUND_MS;
        uplink_link_tell(&u->link, latest - ROUND_MS);
        publish_status(u);
        mqtt_wait(u->mqtt, wake < latest ? wake : latest, &e);
        take_event(u, &e);
    }
    leave(u);
    publish_status(u);
    pulse_end(&u->pulse);
    pthread_mutex_lock(&u->lock);
    u->ended = true;
    pthread_cond_signal(&u->ended_now);
    pthread_mutex_unlock(&u->lock);
    return NULL;
}

static void name_thread(struct uplink *u)
{
    char name[16]; /* what the kernel takes */
    snprintf(name, sizeof name, "fg-up-%.9s", u->options.name);
    pthread_setname_np(u->thread, name);
}

int uplink_start(struct uplink *u)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return FG_ENOMEM;
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
    u->started = pthread_create(&u->thread, &attributes, run, u) == 0;
    pthread_attr_destroy(&attributes);
    if (u->started)
        name_thread(u);
    return u->started ? 0 : FG_ENOMEM;
}

void uplink_wake(struct uplink *u)
{
    for (size_t i = 0; i < 2 && u->clients[i]; i++)
        mqtt_wake(u->clients[i]);
}

void uplink_rebirth(struct uplink *u)
{
    atomic_store(&u->rebirth, true);
    uplink_wake(u);
}

bool uplink_stop(struct uplink *u, int64_t wait_ms)
{
    if (!u->started)
        return true;
    atomic_store(&u->stop, true);
    uplink_wake(u);
    const int64_t until = clock_mono_ms() + wait_ms;
    pthread_mutex_lock(&u->lock);
    while (!u->ended) {
        int64_t left = until - clock_mono_ms();
        if (left <= 0)
            break;
        struct timespec t = clock_cond_after_us(left * 1000);
        pthread_cond_timedwait(&u->ended_now, &u->lock, &t);
    }
    bool ended = u->ended;
    pthread_mutex_unlock(&u->lock);
    if (!ended)
        return false;
    pthread_join(u->thread, NULL);
    u->started = false;
    return true;
}

void uplink_status(struct uplink *u, struct uplink_status *ret)
{
    pthread_mutex_lock(&u->lock);
    *ret = u->status;
    pthread_mutex_unlock(&u->lock);
}

const struct pulse *uplink_pulse(const struct uplink *u)
{
    return &u->pulse;
}
