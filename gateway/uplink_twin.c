/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_twin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "log.h"

void uplink_twin_open(struct uplink_twin *t, struct mqtt *mqtt)
{
    const struct uplink_options *o = t->options;
    t->token = 0;
    if (o->command_count == 0 || o->mqtt.version != 5 || t->refused)
        return;
    /* Without memory, or on a connection that is ending: the next one asks. */
    if (mqtt_overhear(mqtt, t->topic, &t->token) < 0)
        t->token = 0;
}

bool uplink_twin_answered(struct uplink_twin *t, uint32_t token, int reason)
{
    if (t->token == 0 || token != t->token)
        return false;
    t->token = 0;
    t->allowed = reason == 0;
    t->refused = reason != 0;
    return true;
}

void uplink_twin_lost(struct uplink_twin *t)
{
    if (t->token != 0 && !t->allowed)
        t->refused = true;
    t->token = 0;
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

static void log_twin(const struct uplink_twin *t, const cJSON *state)
{
    log_line(LOG_PRI_ERROR, "FG-ID-CLASH",
             "uplink=%s topic=%s gateway=%.64s stream=%.32s: another gateway publishes on our topic, so that "
             "each overwrites what the other says of itself; give one of them another gateway: id, or its "
             "uplink another topic; no reading is lost by it",
             t->options->name, t->options->topic, json_string(state, "gateway", "?"),
             json_string(state, "stream", "?"));
}

bool uplink_twin_take(struct uplink_twin *t, const struct mqtt_incoming *message, int64_t now_mono_ms)
{
    if (strcmp(message->topic, t->topic) != 0)
        return false;
    cJSON *state = message->payload ? json_parse(message->payload, message->len) : NULL;
    const char *stream = json_string(state, "stream", "");
    if (stream[0] && json_bool(state, "online", false) && !is_ours(t, stream) &&
        is_fresh(t, json_int(state, "ts", 0))) {
        if (t->heard_mono_ms == 0)
            log_twin(t, state);
        t->heard_mono_ms = now_mono_ms;
    }
    cJSON_Delete(state);
    return true;
}

void uplink_twin_look(struct uplink_twin *t, int64_t now_mono_ms)
{
    if (t->heard_mono_ms == 0 || now_mono_ms - t->heard_mono_ms < UPLINK_TWIN_WINDOW_MS)
        return;
    t->heard_mono_ms = 0;
    log_line(LOG_PRI_NOTICE, "FG-ID-CLASH-OVER",
             "uplink=%s topic=%s: nobody else published on our topic for a quarter of an hour",
             t->options->name, t->options->topic);
}
