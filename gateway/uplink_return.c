/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_return.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "text.h"

enum {
    LOOK_MS = 200,            /* how soon the uplink notices that the first broker took us */
    ATTEMPT_SLACK_MS = 30000, /* as in uplink_link.c */
};

void uplink_return_init(struct uplink_return *r, const struct uplink_options *options,
                        struct uplink_link *link, struct mqtt *spare)
{
    *r = (struct uplink_return){.options = options, .link = link, .spare = spare, .next_mono_ms = INT64_MAX};
    buf_init(&r->will);
}

void uplink_return_fini(struct uplink_return *r)
{
    buf_fini(&r->will);
}

static void schedule(struct uplink_return *r)
{
    const int64_t every = r->options->return_every_ms > 0 ? r->options->return_every_ms : UPLINK_RETURN_MS;
    r->next_mono_ms = clock_mono_ms() + every + uplink_backoff_spread(&r->link->backoff, every / 4);
}

void uplink_return_arm(struct uplink_return *r, bool wanted)
{
    r->next_mono_ms = INT64_MAX;
    r->said[0] = '\0';
    if (wanted && r->spare)
        schedule(r);
}

bool uplink_return_due(const struct uplink_return *r, int64_t now_mono_ms)
{
    return !r->trying && !r->up && now_mono_ms >= r->next_mono_ms;
}

static void failed(struct uplink_return *r, const char *text)
{
    char name[UPLINK_VOICE_WHO];
    if (strncmp(r->said, text, sizeof r->said - 1) != 0 && uplink_voice_take(&r->link->voice)) {
        log_line(
            LOG_PRI_NOTICE, "FG-LINK-RETURN",
            "uplink=%s url=%s: the first broker cannot be used yet: %s; the other one goes on, and it is "
            "tried again by itself",
            uplink_voice_who(&r->link->voice, name), r->options->urls[0], text);
        snprintf(r->said, sizeof r->said, "%s", text);
    }
    uplink_return_drop(r);
}

void uplink_return_begin(struct uplink_return *r)
{
    struct err_note note = {""};
    const struct mqtt_will will = {
        .topic = r->link->state_topic, .payload = r->will.data, .len = r->will.len};
    schedule(r);
    int err = uplink_link_dial(r->link, r->spare, 0, buf_ok(&r->will) ? &will : NULL, &note);
    r->trying = true;
    r->deadline_mono_ms =
        clock_mono_ms() + MQTT_LOOKUP_MS + r->options->mqtt.connect_timeout_ms + ATTEMPT_SLACK_MS;
    if (err < 0)
        failed(r, note.text[0] ? note.text : err_text(err));
}

int64_t uplink_return_look(struct uplink_return *r)
{
    struct mqtt_event e;
    if (!r->trying && !r->up)
        return r->next_mono_ms;
    const int64_t now = clock_mono_ms();
    mqtt_wait(r->spare, now, &e);
    if (e.kind == MQTT_CONNECTED) {
        r->trying = false;
        r->up = true;
        r->connected = e;
        r->connected.text = NULL; /* valid until the next wait only */
    } else if (e.kind == MQTT_FAILED || e.kind == MQTT_LOST) {
        failed(r, e.text);
    } else if (r->trying && now >= r->deadline_mono_ms) {
        failed(r, _("the attempt did not come to an end"));
    }
    return r->trying || r->up ? now + LOOK_MS : r->next_mono_ms;
}

void uplink_return_drop(struct uplink_return *r)
{
    if (r->up)
        mqtt_disconnect(r->spare, 0); /* the will would say that we are gone */
    else if (r->trying)
        mqtt_abandon(r->spare);
    r->trying = r->up = false;
}

struct mqtt *uplink_return_swap(struct uplink_return *r, struct mqtt *old)
{
    struct mqtt *fresh = r->spare;
    r->spare = old;
    r->trying = r->up = false;
    r->next_mono_ms = INT64_MAX;
    return fresh;
}
