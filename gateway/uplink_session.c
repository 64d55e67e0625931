/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_session.h"

#include <string.h>

#include "clock.h"
#include "log.h"

int uplink_session_init(struct uplink_session *s, const struct uplink_options *options,
                        struct uplink_voice *voice, struct mqtt *mqtt)
{
    memset(s, 0, sizeof *s);
    s->options = options;
    s->voice = voice;
    s->mqtt = mqtt;
    s->unheard.options = options;
    uplink_refusal_init(&s->refusal, options->refusal_first_ms);
    uplink_pace_init(&s->pace, options->batch_bytes, options->max_rate, clock_mono_ms());
    int err = uplink_command_init(&s->command, options);
    if (err == 0)
        err = uplink_send_init(&s->send, options, mqtt);
    if (err == 0)
        err = uplink_twin_init(&s->twin, options, s->send.state_topic);
    return err;
}

void uplink_session_fini(struct uplink_session *s)
{
    uplink_twin_fini(&s->twin);
    uplink_send_fini(&s->send);
    uplink_command_fini(&s->command);
}

void uplink_session_wake_by(struct uplink_session *s, int64_t mono_ms)
{
    if (mono_ms < s->wake_mono_ms)
        s->wake_mono_ms = mono_ms;
}

size_t uplink_session_in_flight(const struct uplink_session *s)
{
    return s->window.in_flight + s->birth.in_flight + s->state.in_flight +
           uplink_command_in_flight(&s->command);
}

/* What waits; false when nothing does. */
static bool waiting(const struct uplink_session *s, uint64_t *ret_first, uint64_t *ret_count)
{
    uint64_t last;
    return store_waiting(s->options->store, s->options->store_index, ret_first, &last, ret_count);
}

void uplink_session_open(struct uplink_session *s, const struct mqtt_event *connected, size_t url,
                         uint64_t connection)
{
    const int64_t now = clock_mono_ms();
    uint64_t first = 0, count;
    uint64_t newest = store_newest(s->options->store);
    if (!waiting(s, &first, &count))
        first = 0;
    uplink_window_open(&s->window, connected->receive_max, s->options->live_depth, s->options->oldest_first,
                       first, newest);
    uplink_pace_open(&s->pace, now);
    s->most_in_flight =
        connected->receive_max < UPLINK_WINDOW_MAX ? connected->receive_max : UPLINK_WINDOW_MAX;
    s->send.max_packet = connected->max_packet;
    s->send.max_refused *= 2; /* perhaps the broker takes more by now */
    s->connection = connection;
    uplink_refusal_open(&s->refusal);
    s->birth = (struct uplink_notice){.due_mono_ms = now, .said_reason = s->birth.said_reason};
    s->state = (struct uplink_notice){.due_mono_ms = now, .said_reason = s->state.said_reason};
    uplink_send_facts(&s->send, &s->facts);
    s->facts_mono_ms = now;
    /* The newest readings leave at once; later ones may wait for company. */
    s->live_since_mono_ms = now - s->options->batch_delay_ms;
    s->useful = s->leaving = false;
    uplink_command_open(&s->command, s->mqtt, connected->max_packet);
    uplink_twin_know(&s->twin, s->facts.stream);
    uplink_twin_open(&s->twin, s->mqtt, url);
}

bool uplink_session_leave(struct uplink_session *s)
{
    s->leaving = true;
    return uplink_session_in_flight(s) == 0 && uplink_command_idle(&s->command);
}

static void send_replies(struct uplink_session *s)
{
    if (uplink_session_in_flight(s) < s->most_in_flight)
        uplink_command_send(&s->command, s->most_in_flight - uplink_session_in_flight(s));
}

/* ---- the lanes ---- */

static void hold(struct uplink_session *s, enum uplink_lane lane, int64_t ms)
{
    uplink_refusal_hold(&s->refusal, lane, clock_mono_ms() + ms);
}

/* Whether the lane may send now; otherwise sees to it that we wake when it may. */
static bool lane_open(struct uplink_session *s, enum uplink_lane lane, int64_t now)
{
    if (now < s->refusal.lanes[lane].hold_mono_ms) {
        uplink_session_wake_by(s, s->refusal.lanes[lane].hold_mono_ms);
        return false;
    }
    if (uplink_refusal_is_doubtful(&s->refusal, lane) && s->window.lane_messages[lane] > 0)
        return false;
    if (uplink_session_in_flight(s) >= s->most_in_flight || !uplink_window_has_slot(&s->window, lane))
        return false;
    /* While the birth is under way nothing can be learnt about the link, and live waits behind enough. */
    if (lane == UPLINK_BACKLOG && (s->birth.in_flight || s->state.in_flight))
        return false;
    int64_t when = uplink_pace_when(&s->pace, lane, s->window.lane_bytes[lane], now);
    if (when > now)
        uplink_session_wake_by(s, when);
    return when <= now;
}

/* Live records wait a moment for company. */
static bool has_company(struct uplink_session *s, uint64_t records, int64_t now)
{
    if (s->live_since_mono_ms == 0)
        s->live_since_mono_ms = now;
    int64_t until = s->live_since_mono_ms + s->options->batch_delay_ms;
    if (records >= s->options->batch_samples || now >= until)
        return true;
    uplink_session_wake_by(s, until);
    return false;
}

static void log_given_up(struct uplink_session *s, const struct uplink_flight *f, int reason)
{
    char name[UPLINK_VOICE_WHO];
    const char *topic = s->send.lane_topic[f->lane];
    if (!uplink_voice_take(s->voice))
        return;
    if (reason == UPLINK_PACKET_TOO_LARGE)
        log_line(LOG_PRI_ERROR, "FG-LINK-REFUSED",
                 "uplink=%s topic=%s seq=%llu bytes=%zu: this record alone is larger than the broker takes "
                 "and is dropped for this uplink; ask the broker's operator to allow larger messages",
                 uplink_voice_who(s->voice, name), topic, (unsigned long long)f->first, f->bytes);
    else
        log_line(LOG_PRI_ERROR, "FG-LINK-REFUSED",
                 "uplink=%s topic=%s seq=%llu reason=%d: the broker refuses this one record again and again "
                 "and takes what comes beside it: %s; it is dropped for this uplink; ask the broker's "
                 "operator which rule it breaks",
                 uplink_voice_who(s->voice, name), topic, (unsigned long long)f->first, reason,
                 mqtt_reason_text(reason));
}

/* A record that the broker never takes is accounted for, so that it does not hold up the others. */
static bool give_up(struct uplink_session *s, const struct uplink_flight *f, int reason)
{
    if (store_refused(s->options->store, s->options->store_index, f->first, f->last) < 0)
        return false;
    log_given_up(s, f, reason);
    uplink_refusal_forget(&s->refusal, f->first, f->last);
    return true;
}

static void sent(struct uplink_session *s, struct uplink_flight *f, uint64_t to)
{
    f->sent_mono_ms = clock_mono_ms();
    f->deadline_mono_ms = uplink_notice_answer_by(s, f->sent_mono_ms);
    uplink_window_sent(&s->window, f);
    uplink_pace_sent(&s->pace, f->lane, f->bytes);
    if (f->lane == UPLINK_LIVE && !f->apart && f->last >= to)
        s->live_since_mono_ms = 0;
}

/* Sends one message out of from..to; false when nothing came of it. */
static bool send_range(struct uplink_session *s, enum uplink_lane lane, uint64_t from, uint64_t to,
                       struct uplink_suspect *suspect)
{
    struct uplink_flight f;
    const size_t most = suspect ? 0 : s->refusal.lanes[lane].most_records;
    int n = uplink_send_data(&s->send, lane, from, to, most, uplink_pace_message(&s->pace, lane), &f);
    f.lane = lane;
    f.apart = suspect != NULL;
    if (n > 0) {
        sent(s, &f, to);
        uplink_refusal_sent(&s->refusal, lane, suspect);
        return true;
    }
    if (n == 0) {
        if (suspect)
            uplink_refusal_forget(&s->refusal, from, to);
        else
            uplink_window_empty(&s->window, lane, to);
        if (lane == UPLINK_LIVE && !suspect)
            s->live_since_mono_ms = 0;
        return true;
    }
    if (n == FG_EFULL) {
        s->refused++;
        if (give_up(s, &f, UPLINK_PACKET_TOO_LARGE))
            return true;
    }
    hold(s, lane, UPLINK_STORE_RETRY_MS);
    return false;
}

/* The next range of the lane that holds no suspect; false when it has none now. */
static bool next_range(struct uplink_session *s, enum uplink_lane lane, uint64_t newest, uint64_t *ret_from,
                       uint64_t *ret_to)
{
    while (uplink_window_next(&s->window, lane, newest, ret_from, ret_to)) {
        uint64_t end = uplink_refusal_clip(&s->refusal, *ret_from, ret_to);
        if (end == 0)
            return true;
        uplink_window_empty(&s->window, lane, end < *ret_to ? end : *ret_to);
    }
    return false;
}

static bool send_next(struct uplink_session *s, enum uplink_lane lane, uint64_t newest)
{
    uint64_t from, to;
    if (!next_range(s, lane, newest, &from, &to))
        return false;
    if (lane == UPLINK_LIVE && !has_company(s, to - from + 1, clock_mono_ms()))
        return false;
    return send_range(s, lane, from, to, NULL);
}

/* What is left of the backlog when all else has gone has nothing beside it that the broker could take: the
 * live lane has. */
static bool is_alone(struct uplink_session *s, enum uplink_lane lane, uint64_t newest)
{
    uint64_t from, to;
    if (lane != UPLINK_BACKLOG || s->window.live_from > newest || s->window.lane_messages[lane] > 0)
        return false;
    while (next_range(s, lane, newest, &from, &to)) {
        if (uplink_send_has(&s->send, from, to))
            return false;
        uplink_window_empty(&s->window, lane, to);
    }
    return true;
}

static bool send_suspect(struct uplink_session *s, enum uplink_lane lane, uint64_t newest)
{
    const int64_t now = clock_mono_ms();
    struct uplink_suspect *q = uplink_refusal_due(&s->refusal, lane, now, &s->wake_mono_ms);
    if (!q)
        return false;
    if (is_alone(s, lane, newest) && uplink_refusal_to_live(&s->refusal, q, now))
        return true;
    return send_range(s, lane, q->first, q->last, q);
}

/* Sends one message of the lane; false when it has none, or none now. */
static bool send_one(struct uplink_session *s, enum uplink_lane lane, uint64_t newest)
{
    if (!lane_open(s, lane, clock_mono_ms()))
        return false;
    if (s->refusal.lanes[lane].others_turn)
        return send_next(s, lane, newest) || send_suspect(s, lane, newest);
    return send_suspect(s, lane, newest) || send_next(s, lane, newest);
}

/* Records that are undelivered, not in flight and behind the cursors: somebody asked for them to be sent
 * again, or the store could not note their delivery. Looked for only while nothing else is under way. */
static void look_back(struct uplink_session *s)
{
    uint64_t first, count;
    if (s->window.in_flight == 0 && waiting(s, &first, &count))
        uplink_window_look_back(&s->window, first);
}

static void send_what_waits(struct uplink_session *s)
{
    uplink_notice_send(s, clock_mono_ms());
    send_replies(s);
    look_back(s);
    uint64_t newest = store_newest(s->options->store);
    uplink_window_keep_up(&s->window, newest);
    while (send_one(s, UPLINK_LIVE, newest) || send_one(s, UPLINK_BACKLOG, newest))
        ;
}

void uplink_session_round(struct uplink_session *s)
{
    s->wake_mono_ms = INT64_MAX;
    if (!s->leaving)
        send_what_waits(s);
    else
        send_replies(s);
    uplink_session_wake_by(s, uplink_window_deadline(&s->window));
    uplink_session_wake_by(s, uplink_command_deadline(&s->command));
    if (s->birth.in_flight)
        uplink_session_wake_by(s, s->birth.deadline_mono_ms);
    if (s->state.in_flight)
        uplink_session_wake_by(s, s->state.deadline_mono_ms);
}

/* ---- answers ---- */

void uplink_session_acked(struct uplink_session *s, uint32_t token, int reason)
{
    const int64_t now = clock_mono_ms();
    struct uplink_flight f;
    if (uplink_twin_answered(&s->twin, token, 0, now))
        return;
    struct uplink_notice *n = uplink_notice_take(s, token);
    if (!n && uplink_command_answered(&s->command, token, 0)) {
        s->useful = true;
        return;
    }
    if (n) {
        s->useful = true;
        n->said_reason = 0;
        uplink_pace_heard(&s->pace, n->sent_mono_ms, now);
        return;
    }
    if (!uplink_window_take(&s->window, token, &f))
        return;
    s->useful = true;
    s->messages++;
    s->bytes += f.bytes;
    uplink_refusal_taken(&s->refusal, &f, now);
    uplink_unheard_acked(&s->unheard, &f, s->send.lane_topic[f.lane], reason);
    /* Without memory to note it the records stay undelivered and look_back() finds them: not at once, or they
     * would be sent for ever. */
    if (store_delivered(s->options->store, s->options->store_index, f.first, f.last) < 0)
        hold(s, f.lane, UPLINK_REFUSAL_LAST_MS);
    uplink_pace_acked(&s->pace, f.lane, f.sent_mono_ms, now, f.bytes, f.records);
}

/* One line per reason, until all that was refused on the topic is taken or given up. */
static void log_refused(struct uplink_session *s, const char *topic, int reason, int *said)
{
    char name[UPLINK_VOICE_WHO];
    if (!uplink_voice_is_news(s->voice, said, reason))
        return;
    log_line(
        LOG_PRI_ERROR, "FG-LINK-REFUSED",
        "uplink=%s topic=%s reason=%d: the broker refuses our messages: %s; we publish to %s/#; nothing is "
        "lost, it is tried again by itself",
        uplink_voice_who(s->voice, name), topic, reason, mqtt_reason_text(reason), s->options->topic);
}

/* Shorter messages from now on; a single record cannot get shorter. */
static void too_large(struct uplink_session *s, const struct uplink_flight *f)
{
    if (f->records > 1) {
        s->send.max_refused = f->bytes / 2;
    } else {
        s->refused++;
        if (give_up(s, f, UPLINK_PACKET_TOO_LARGE))
            return;
        hold(s, f->lane, s->refusal.first_ms);
    }
    uplink_refusal_forget(&s->refusal, f->first, f->last);
    uplink_window_rewind(&s->window, f->first);
}

void uplink_session_refused(struct uplink_session *s, uint32_t token, int reason)
{
    struct uplink_flight f;
    struct uplink_notice *n = uplink_notice_take(s, token);
    if (n) {
        n->due_mono_ms = clock_mono_ms() + UPLINK_NOTICE_RETRY_MS;
        log_refused(s, n == &s->state ? s->send.state_topic : s->send.birth_topic, reason, &n->said_reason);
        s->refused++;
        return;
    }
    if (uplink_twin_answered(&s->twin, token, reason, clock_mono_ms()) ||
        uplink_command_answered(&s->command, token, reason) || !uplink_window_take(&s->window, token, &f))
        return;
    if (reason == UPLINK_PACKET_TOO_LARGE) {
        too_large(s, &f);
        return;
    }
    uint64_t again;
    s->refused++;
    log_refused(s, s->send.lane_topic[f.lane], reason, &s->refusal.lanes[f.lane].said_reason);
    enum uplink_verdict verdict = uplink_refusal_refused(&s->refusal, &f, reason, clock_mono_ms(), &again);
    if (again > 0)
        uplink_window_rewind(&s->window, again);
    if (verdict == UPLINK_REFUSAL_PROVEN)
        give_up(s, &f, reason);
}

bool uplink_session_overdue(const struct uplink_session *s, int64_t now_mono_ms)
{
    return uplink_window_deadline(&s->window) <= now_mono_ms ||
           uplink_command_deadline(&s->command) <= now_mono_ms ||
           (s->birth.in_flight && s->birth.deadline_mono_ms <= now_mono_ms) ||
           (s->state.in_flight && s->state.deadline_mono_ms <= now_mono_ms);
}

static const struct uplink_flight *longest_flight(const struct uplink_session *s)
{
    const struct uplink_flight *longest = NULL;
    for (size_t i = 0; i < s->window.in_flight; i++)
        if (!longest || s->window.flights[i].bytes > longest->bytes)
            longest = &s->window.flights[i];
    return longest;
}

void uplink_session_lost(struct uplink_session *s, int reason, bool overdue)
{
    const struct uplink_flight *longest = longest_flight(s);
    /* A broker that did not tell its limit hangs up instead: it was the longest message. Twice the half,
     * because uplink_session_open() doubles it. A single record or the birth is not given up on a guess. */
    if (reason == UPLINK_PACKET_TOO_LARGE && longest && longest->records > 1)
        s->send.max_refused = longest->bytes / 4;
    if (overdue)
        uplink_pace_overdue(&s->pace);
    s->window.in_flight = 0;
    s->birth.in_flight = s->state.in_flight = false;
    uplink_command_lost(&s->command);
    uplink_twin_lost(&s->twin, !overdue);
}

void uplink_session_message(struct uplink_session *s, const struct mqtt_incoming *message)
{
    if (!uplink_twin_take(&s->twin, message, clock_mono_ms()))
        uplink_command_take(&s->command, message);
}

void uplink_session_rebirth(struct uplink_session *s)
{
    s->birth.due_mono_ms = s->state.due_mono_ms = clock_mono_ms();
}

void uplink_session_goodbye(struct uplink_session *s, int64_t wait_ms)
{
    const int64_t until = clock_mono_ms() + wait_ms;
    struct mqtt_event e;
    bool said = false;
    uplink_command_close(&s->command);
    while (clock_mono_ms() < until && !(said && !s->state.in_flight && uplink_command_idle(&s->command))) {
        send_replies(s);
        if (!said && !s->state.in_flight && uplink_session_in_flight(s) < s->most_in_flight) {
            uplink_notice_send_state(s, false);
            said = true;
        }
        mqtt_wait(s->mqtt, until, &e);
        if (e.kind == MQTT_ACKED)
            uplink_session_acked(s, e.token, e.reason);
        else if (e.kind == MQTT_REFUSED)
            uplink_session_refused(s, e.token, e.reason);
        else if (e.kind == MQTT_MESSAGE)
            uplink_session_message(s, e.message);
        else if (e.kind == MQTT_LOST)
            break;
    }
    uplink_command_lost(&s->command);
}

int64_t uplink_session_drain(struct uplink_session *s)
{
    uint64_t first, count, newest = store_newest(s->options->store);
    if (!waiting(s, &first, &count) || first >= s->window.live_from)
        return 0;
    uint64_t live = newest >= s->window.live_from ? newest - s->window.live_from + 1 : 0;
    return uplink_pace_drain(&s->pace, count > live ? count - live : 1);
}
