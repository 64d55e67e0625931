/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_twin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "log.h"

enum { REFUSED = 2 /* unanswered in a row */ };

/* Two gateways may come and go on one topic all day, as on one client_id. */
static const struct damp_limits LINES = {4, 6 * 3600000};

int uplink_twin_init(struct uplink_twin *t, const struct uplink_options *options, const char *topic)
{
    *t = (struct uplink_twin){.options = options, .topic = topic};
    t->unanswered = calloc(options->url_count, sizeof *t->unanswered);
    return t->unanswered ? 0 : FG_ENOMEM;
}

void uplink_twin_fini(struct uplink_twin *t)
{
    free(t->unanswered);
    t->unanswered = NULL;
}

void uplink_twin_open(struct uplink_twin *t, struct mqtt *mqtt, size_t url)
{
    const struct uplink_options *o = t->options;
    t->token = 0;
    t->listens = false;
    t->url = url;
    if (o->command_count == 0 || o->mqtt.version != 5 || t->unanswered[url] >= REFUSED)
        return;
    /* Without memory, or on a connection that is ending: the next one asks. */
    if (mqtt_overhear(mqtt, t->topic, &t->token) < 0)
        t->token = 0;
}

bool uplink_twin_answered(struct uplink_twin *t, uint32_t token, int reason, int64_t now_mono_ms)
{
    if (t->token == 0 || token != t->token)
        return false;
    t->token = 0;
    t->listens = reason == 0;
    t->unanswered[t->url] = reason == 0 ? 0 : REFUSED;
    t->quiet_mono_ms = now_mono_ms;
    return true;
}

void uplink_twin_lost(struct uplink_twin *t, bool by_them)
{
    if (t->token != 0 && by_them && t->unanswered[t->url] < REFUSED)
        t->unanswered[t->url]++;
    t->token = 0;
    t->listens = false;
}

static bool is_ours(const struct uplink_twin *t, const char *stream)
{
    for (size_t i = 0; i < UPLINK_TWIN_STREAMS; i++)
        if (strcmp(t->streams[i], stream) == 0)
            return true;
    return false;
}

void uplink_twin_know(struct uplink_twin *t, const char *stream)
{
    if (is_ours(t, stream))
        return;
    snprintf(t->streams[t->next_stream], STORE_STREAM_TEXT, "%s", stream);
    t->next_stream = (t->next_stream + 1) % UPLINK_TWIN_STREAMS;
}

/* What a bridge between brokers kept for long says nothing about now. */
static bool is_fresh(const struct uplink_twin *t, int64_t ts_ms)
{
    return !t->options->clock_trusted(t->options->context) ||
           llabs(clock_wall_ms() - ts_ms) <= UPLINK_TWIN_AGE_MS;
}

/* At each change, and now and then: says what could not be said before. */
static void tell(struct uplink_twin *t, int64_t now_mono_ms)
{
    char changes[DAMP_CHANGES];
    if (!damp_switch_tell(&t->told, &LINES, t->on, now_mono_ms, changes))
        return;
    if (t->on)
        log_line(
            LOG_PRI_ERROR, "FG-ID-CLASH",
            "uplink=%s%s topic=%s gateway=%s stream=%s: another gateway publishes on our topic, so that "
            "each overwrites what the other says of itself; give one of them another gateway: id, or its "
            "uplink another topic; no reading is lost by it",
            t->options->name, changes, t->options->topic, t->gateway, t->stream);
    else
        log_line(LOG_PRI_NOTICE, "FG-ID-CLASH-OVER",
                 "uplink=%s%s topic=%s: nobody else published on our topic for a quarter of an hour",
                 t->options->name, changes, t->options->topic);
}

/* Our other uplink may say a new stream before this one has compared (once a second). */
static bool is_of_store(struct uplink_twin *t, const char *stream)
{
    struct store_status status;
    store_status(t->options->store, &status);
    uplink_twin_know(t, status.stream);
    return status.stalled_ms > 0 || strcmp(status.stream, stream) == 0;
}

bool uplink_twin_take(struct uplink_twin *t, const struct mqtt_incoming *message, int64_t now_mono_ms)
{
    if (strcmp(message->topic, t->topic) != 0)
        return false;
    cJSON *state = message->payload ? json_parse(message->payload, message->len) : NULL;
    const char *stream = json_string(state, "stream", "");
    if (stream[0] && json_bool(state, "online", false) && !is_ours(t, stream) &&
        is_fresh(t, json_int(state, "ts", 0)) && !is_of_store(t, stream)) {
        t->on = true;
        t->quiet_mono_ms = now_mono_ms;
        snprintf(t->gateway, sizeof t->gateway, "%s", json_string(state, "gateway", "?"));
        snprintf(t->stream, sizeof t->stream, "%s", stream);
        tell(t, now_mono_ms);
    }
    cJSON_Delete(state);
    return true;
}

void uplink_twin_look(struct uplink_twin *t, int64_t now_mono_ms)
{
    if (t->on && t->listens && now_mono_ms - t->quiet_mono_ms >= UPLINK_TWIN_WINDOW_MS)
        t->on = false;
    tell(t, now_mono_ms);
}

bool uplink_twin_is_on(const struct uplink_twin *t)
{
    return t->on;
}
