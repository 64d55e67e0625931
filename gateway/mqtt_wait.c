/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_wait - turns what Paho's callbacks left behind into events: see mqtt.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "mqtt_client.h"
#include "text.h"

enum { REASON_PROTOCOL_ERROR = 130 };

static bool wants_shorter_keepalive(const struct mqtt *m, const struct mqtt_item *item)
{
    return item->keepalive_s != 0 && item->keepalive_s < m->target.now->keepalive_s;
}

/* m->text says why. Whether a broker that worked is only restarting shows at the next attempt: nobody is to
 * look for the reason now. */
static void attempt_failed(struct mqtt *m, int reason, struct mqtt_event *ret)
{
    struct mqtt_known *broker = m->target.now;
    ret->kind = MQTT_FAILED;
    ret->reason = reason < 0 && broker->worked ? 0 : reason;
    ret->text = m->text;
    broker->worked = false;
    broker->turn++;
}

/* Paho 1.3.12 does not heed a broker's shorter keepalive, and would be thrown out for it. True: that attempt
 * has failed at once. */
static bool reconnect_with_keepalive(struct mqtt *m, const struct mqtt_item *item, struct mqtt_event *ret)
{
    struct err_note note = {""};
    m->target.now->keepalive_s = item->keepalive_s;
    m->state = MQTT_STATE_CONNECTED;
    mqtt_disconnect(m, MQTT_GOODBYE_MS);
    if (mqtt_start(m, mqtt_events_restart(&m->events), &note) == 0)
        return false;
    snprintf(m->text, sizeof(m->text), "%s", note.text);
    attempt_failed(m, 0, ret);
    return true;
}

/* The broker has accepted us, on terms that nobody can keep: a failed attempt. */
static void take_fault(struct mqtt *m, const struct mqtt_item *item, struct mqtt_event *ret)
{
    mqtt_reject(m);
    snprintf(m->text, sizeof(m->text), "%s", _(item->fault));
    attempt_failed(m, REASON_PROTOCOL_ERROR, ret);
}

static void take_connected(struct mqtt *m, const struct mqtt_item *item, struct mqtt_event *ret)
{
    m->state = MQTT_STATE_CONNECTED;
    m->target.now->worked = true;
    m->window = item->receive_max < MQTT_SLOTS ? item->receive_max : MQTT_SLOTS;
    m->max_packet = item->max_packet;
    ret->receive_max = item->receive_max;
    ret->max_packet = item->max_packet;
    ret->keepalive_ms = (int64_t)m->target.now->keepalive_s * 1000;
    ret->session_present = item->session_present;
}

static void take_answer(struct mqtt *m, const struct mqtt_item *item, struct mqtt_event *ret)
{
    if (item->slot >= 0) {
        struct mqtt_slot *slot = &m->conn->slots[item->slot];
        ret->token = slot->token;
        slot->used = false;
        if (!slot->subscribes)
            m->in_flight--;
    }
    if (item->kind == MQTT_REFUSED)
        ret->text = mqtt_reason_text(item->reason);
}

static void take_end(struct mqtt *m, const struct mqtt_item *item, const char *said, struct mqtt_event *ret)
{
    mqtt_drop(m);
    mqtt_target_explain(&m->target, item->kind, item->reason, said, m->text, sizeof(m->text));
    ret->text = m->text;
    if (item->kind == MQTT_FAILED)
        attempt_failed(m, item->reason, ret);
}

/* The name has been looked up. True: the attempt has failed. */
static bool take_address(struct mqtt *m, struct mqtt_event *ret)
{
    struct err_note note = {""};
    int rc = mqtt_target_found(&m->target, &note);

    if (rc == 0)
        rc = mqtt_start(m, mqtt_events_restart(&m->events), &note);
    if (rc == 0)
        return false;
    mqtt_drop(m);
    snprintf(m->text, sizeof(m->text), "%s", note.text);
    attempt_failed(m, 0, ret);
    return true;
}

/* False: nothing for the caller. */
static bool take(struct mqtt *m, const struct mqtt_item *item, const char *said, struct mqtt_event *ret)
{
    ret->kind = item->kind;
    ret->reason = item->reason;
    switch (item->kind) {
    case MQTT_CONNECTED:
        if (item->fault != NULL) {
            take_fault(m, item, ret);
            return true;
        }
        if (wants_shorter_keepalive(m, item))
            return reconnect_with_keepalive(m, item, ret);
        take_connected(m, item, ret);
        return true;
    case MQTT_ACKED:
    case MQTT_REFUSED:
        take_answer(m, item, ret);
        return true;
    case MQTT_FAILED:
    case MQTT_LOST:
        take_end(m, item, said, ret);
        return true;
    case MQTT_MESSAGE:
        ret->message = m->message = item->message;
        return true;
    case MQTT_NOTHING:
        return take_address(m, ret);
    }
    return false;
}

static void take_silence(struct mqtt *m, struct mqtt_event *ret)
{
    const struct mqtt_url *url = &m->target.now->url;
    const bool resolving = m->state == MQTT_STATE_RESOLVING;

    mqtt_drop(m);
    if (resolving)
        snprintf(m->text, sizeof(m->text),
                 _("name %s: the name server has not answered; check DNS and the link"), url->host);
    else
        snprintf(m->text, sizeof(m->text),
                 _("no answer from %s port %d (%s) in %lld s; check the link and the port"), url->host,
                 url->port, m->target.address.text, (long long)(m->target.options.connect_timeout_ms / 1000));
    attempt_failed(m, resolving ? 0 : -1, ret);
}

void mqtt_wait(struct mqtt *m, int64_t deadline_mono_ms, struct mqtt_event *ret)
{
    free(m->message);
    m->message = NULL;
    for (;;) {
        struct mqtt_item item;
        char said[sizeof(m->events.text)] = "";
        bool attempt = m->state == MQTT_STATE_CONNECTING || m->state == MQTT_STATE_RESOLVING;
        bool sooner = attempt && m->connect_until_mono_ms < deadline_mono_ms;

        memset(ret, 0, sizeof(*ret));
        if (mqtt_events_pop(&m->events, sooner ? m->connect_until_mono_ms : deadline_mono_ms, &item, said,
                            sizeof(said))) {
            if (take(m, &item, said, ret))
                return;
            continue;
        }
        if (attempt && clock_mono_ms() >= m->connect_until_mono_ms) {
            take_silence(m, ret);
            return;
        }
        if (mqtt_events_take_wake(&m->events) || clock_mono_ms() >= deadline_mono_ms)
            return;
    }
}

void mqtt_wake(struct mqtt *m)
{
    mqtt_events_wake(&m->events);
}

uint64_t mqtt_dropped(struct mqtt *m)
{
    return mqtt_events_dropped(&m->events);
}
