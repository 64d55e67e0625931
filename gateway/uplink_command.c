/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "text.h"

enum {
    COST_MS = 1000 / UPLINK_COMMAND_RATE,
    /* More than can be carried out within the time that ids are remembered. */
    IDS = UPLINK_COMMAND_BURST + COMMAND_REMEMBERED_MS / COST_MS,
    REFUSALS_EVERY_MS = 60 * 1000,
    ENVELOPE_BYTES = 512, /* of a reply beside the answer, its topic and the correlation data */
};

int uplink_command_init(struct uplink_command *c, const struct uplink_options *options)
{
    *c = (struct uplink_command){.options = options};
    for (size_t i = 0; i < UPLINK_REPLIES_MAX; i++) {
        buf_init(&c->replies[i].payload);
        buf_init(&c->replies[i].correlation);
    }
    if (options->command_count == 0)
        return 0;
    if (asprintf(&c->command_topic, "%s/command", options->topic) < 0)
        c->command_topic = NULL;
    if (asprintf(&c->reply_topic, "%s/reply", options->topic) < 0)
        c->reply_topic = NULL;
    c->credit_ms = UPLINK_COMMAND_BURST * COST_MS;
    c->credit_mono_ms = clock_mono_ms();
    return c->command_topic && c->reply_topic ? command_memory_init(&c->memory, IDS) : FG_ENOMEM;
}

static void free_reply(struct uplink_reply *r)
{
    buf_fini(&r->payload); /* a status is long and rarely asked for */
    buf_fini(&r->correlation);
    r->waiting = r->in_flight = false;
}

void uplink_command_fini(struct uplink_command *c)
{
    for (size_t i = 0; i < UPLINK_REPLIES_MAX; i++)
        free_reply(&c->replies[i]);
    command_memory_fini(&c->memory);
    free(c->command_topic);
    free(c->reply_topic);
}

void uplink_command_open(struct uplink_command *c, struct mqtt *mqtt, size_t max_packet)
{
    uplink_command_lost(c);
    c->mqtt = mqtt;
    c->closing = false;
    c->max_packet = max_packet;
    /* Without memory, or a connection that is ending: the next one tries again. */
    if (c->command_topic)
        (void)mqtt_subscribe(c->mqtt, c->command_topic);
}

void uplink_command_close(struct uplink_command *c)
{
    c->closing = true;
}

/* ---- taking ---- */

static bool has_credit(struct uplink_command *c, int64_t now_mono_ms)
{
    const int64_t most = UPLINK_COMMAND_BURST * COST_MS;
    c->credit_ms += now_mono_ms - c->credit_mono_ms;
    c->credit_mono_ms = now_mono_ms;
    if (c->credit_ms > most)
        c->credit_ms = most;
    if (c->credit_ms < COST_MS)
        return false;
    c->credit_ms -= COST_MS;
    return true;
}

static struct uplink_reply *free_slot(struct uplink_command *c)
{
    for (size_t i = 0; i < UPLINK_REPLIES_MAX; i++)
        if (!c->replies[i].waiting && !c->replies[i].in_flight)
            return &c->replies[i];
    return NULL;
}

/* <topic>/reply itself, or something below it. */
static bool is_reply_topic(const struct uplink_command *c, const char *topic)
{
    size_t len = strlen(c->reply_topic);
    return strncmp(topic, c->reply_topic, len) == 0 && (topic[len] == '\0' || topic[len] == '/') &&
           !strpbrk(topic, "+#");
}

static const char *fault_of(const struct uplink_command *c, const struct mqtt_incoming *in)
{
    if (in->response_topic && !is_reply_topic(c, in->response_topic))
        return _("the response topic must be <topic>/reply or begin with <topic>/reply/, without + and #");
    if (in->correlation_len > 0 && !in->correlation)
        return _("the correlation data is longer than 1024 bytes");
    return NULL;
}

static size_t answer_max(const struct uplink_command *c, const struct mqtt_incoming *in, const char *topic)
{
    size_t extra = ENVELOPE_BYTES + strlen(topic) + in->correlation_len;
    if (c->max_packet == 0)
        return 0;
    return c->max_packet > extra ? c->max_packet - extra : 1;
}

static void log_result(struct uplink_command *c, enum command_result result, const struct command_what *what,
                       int64_t now_mono_ms)
{
    if (result == COMMAND_DONE) {
        log_line(LOG_PRI_INFO, "FG-COMMAND", "uplink=%s command=%s id=%s: carried out for the broker",
                 c->options->name, what->word, what->id);
        return;
    }
    c->refusals++;
    if (c->refusal_mono_ms != 0 && now_mono_ms - c->refusal_mono_ms < REFUSALS_EVERY_MS)
        return;
    log_line(
        LOG_PRI_WARNING, "FG-COMMAND-REFUSED",
        "uplink=%s code=%s command=%s id=%s count=%llu: a command from the broker was not carried out; the "
        "reply on %s says why; see who writes to %s",
        c->options->name, command_result_word(result), what->word[0] ? what->word : "?", what->id,
        (unsigned long long)c->refusals, c->reply_topic, c->command_topic);
    c->refusal_mono_ms = now_mono_ms;
    c->refusals = 0;
}

/* {"v":1,"gateway":..,"uplink":..,"ts":.., and the answer's own members behind. */
static void envelope(const struct uplink_command *c, const struct buf *answer, int64_t now_wall_ms,
                     struct buf *out)
{
    buf_adds(out, "{\"v\":1");
    buf_member_text(out, "gateway", c->options->who.gateway);
    buf_member_text(out, "uplink", c->options->name);
    buf_member_int(out, "ts", now_wall_ms);
    buf_addc(out, ',');
    if (buf_ok(answer))
        buf_add(out, answer->data + 1, answer->len - 1);
    else
        out->failed = true;
}

static void answer(struct uplink_command *c, struct uplink_reply *reply, const struct mqtt_incoming *in)
{
    const char *fault = fault_of(c, in);
    const char *topic =
        in->response_topic && is_reply_topic(c, in->response_topic) ? in->response_topic : c->reply_topic;
    const struct command_source source = {
        .words = c->options->commands,
        .word_count = c->options->command_count,
        .uplink = c->options->name,
        .memory = &c->memory,
        .retained = in->retained,
        .fresh = in->expires,
        .fault = fault,
        .not_now = c->closing ? _("this connection is about to end, because the gateway stops or moves to "
                                  "another broker; give the command again when its state says online")
                              : NULL,
        .clock_trusted = c->options->clock_trusted(c->options->context),
        .now_wall_ms = clock_wall_ms(),
        .now_mono_ms = clock_mono_ms(),
        .answer_max = answer_max(c, in, topic),
    };
    struct command_what what;
    struct buf text = BUF_INIT;
    enum command_result result =
        command_run(&c->options->handlers, &source, in->payload, in->len, &text, &what);
    c->counts.results[result]++;
    log_result(c, result, &what, source.now_mono_ms);
    buf_reset(&reply->payload);
    buf_reset(&reply->correlation);
    envelope(c, &text, source.now_wall_ms, &reply->payload);
    if (in->correlation)
        buf_add(&reply->correlation, in->correlation, in->correlation_len);
    buf_fini(&text);
    snprintf(reply->topic, sizeof reply->topic, "%s", topic);
    reply->number = ++c->number;
    reply->waiting = buf_ok(&reply->payload) && buf_ok(&reply->correlation);
    if (!reply->waiting) {
        free_reply(reply);
        c->counts.replies_lost++;
    }
}

void uplink_command_take(struct uplink_command *c, const struct mqtt_incoming *in)
{
    struct uplink_reply *reply = free_slot(c);
    if (!c->command_topic || strcmp(in->topic, c->command_topic) != 0)
        return;
    c->deaf_reason = 0;
    c->counts.received++;
    if (has_credit(c, clock_mono_ms()) && reply)
        answer(c, reply, in);
    else
        c->counts.unanswered++;
}

/* ---- replies ---- */

static struct uplink_reply *next_waiting(struct uplink_command *c)
{
    struct uplink_reply *next = NULL;
    for (size_t i = 0; i < UPLINK_REPLIES_MAX; i++)
        if (c->replies[i].waiting && (!next || c->replies[i].number < next->number))
            next = &c->replies[i];
    return next;
}

void uplink_command_send(struct uplink_command *c, size_t room)
{
    struct uplink_reply *r;
    for (; room > 0 && (r = next_waiting(c)) != NULL; room--) {
        const struct mqtt_message message = {
            .topic = r->topic,
            .payload = r->payload.data,
            .len = r->payload.len,
            .content_type = "application/json",
            .correlation = r->correlation.len ? r->correlation.data : NULL,
            .correlation_len = r->correlation.len,
        };
        int err = mqtt_publish(c->mqtt, &message, &r->token);
        if (err == FG_ERETRY)
            return;
        free_reply(r);
        if (err < 0) {
            c->counts.replies_lost++;
            continue;
        }
        r->in_flight = true;
        r->deadline_mono_ms = clock_mono_ms() + c->options->puback_timeout_ms;
    }
}

size_t uplink_command_in_flight(const struct uplink_command *c)
{
    size_t count = 0;
    for (size_t i = 0; i < UPLINK_REPLIES_MAX; i++)
        count += c->replies[i].in_flight;
    return count;
}

bool uplink_command_idle(const struct uplink_command *c)
{
    for (size_t i = 0; i < UPLINK_REPLIES_MAX; i++)
        if (c->replies[i].waiting || c->replies[i].in_flight)
            return false;
    return true;
}

int64_t uplink_command_deadline(const struct uplink_command *c)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < UPLINK_REPLIES_MAX; i++)
        if (c->replies[i].in_flight && c->replies[i].deadline_mono_ms < first)
            first = c->replies[i].deadline_mono_ms;
    return first;
}

static void log_deaf(struct uplink_command *c, int reason)
{
    if (c->deaf_reason != reason)
        log_line(
            LOG_PRI_ERROR, "FG-COMMAND-DEAF",
            "uplink=%s topic=%s reason=%d: the broker does not let us hear commands: %s; allow this account "
            "to read that topic, or write `commands: []`; readings are not affected",
            c->options->name, c->command_topic, reason, mqtt_reason_text(reason));
    c->deaf_reason = reason;
}

static void log_mute(struct uplink_command *c, const char *topic, int reason)
{
    if (c->mute_reason != reason)
        log_line(LOG_PRI_ERROR, "FG-COMMAND-DEAF",
                 "uplink=%s topic=%s reason=%d: the broker does not let us answer commands: %s; allow this "
                 "account to write %s and below; readings are not affected",
                 c->options->name, topic, reason, mqtt_reason_text(reason), c->reply_topic);
    c->mute_reason = reason;
}

bool uplink_command_answered(struct uplink_command *c, uint32_t token, int reason)
{
    if (token == 0 && reason != 0 && c->command_topic) {
        log_deaf(c, reason);
        return true;
    }
    for (size_t i = 0; i < UPLINK_REPLIES_MAX; i++) {
        struct uplink_reply *r = &c->replies[i];
        if (!r->in_flight || r->token != token)
            continue;
        r->in_flight = false;
        c->counts.replies_lost += reason != 0;
        if (reason != 0)
            log_mute(c, r->topic, reason);
        else
            c->mute_reason = 0;
        return true;
    }
    return false;
}

void uplink_command_lost(struct uplink_command *c)
{
    for (size_t i = 0; i < UPLINK_REPLIES_MAX; i++) {
        c->counts.replies_lost += c->replies[i].waiting || c->replies[i].in_flight;
        free_reply(&c->replies[i]);
    }
}
