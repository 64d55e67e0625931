/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_notice.h"

#include <string.h>

#include "clock.h"
#include "log.h"
#include "uplink_session.h"

enum {
    STATE_EVERY_MS = 5 * 60 * 1000,
    FACTS_EVERY_MS = 1000,
    NOTICE_BYTES_PER_MS = 1, /* the slowest link on which a long birth is still given time */
};

int64_t uplink_notice_answer_by(const struct uplink_session *s, int64_t now_mono_ms)
{
    size_t ahead = s->birth.in_flight ? s->birth.bytes : 0;
    return now_mono_ms + s->options->puback_timeout_ms + (int64_t)ahead / NOTICE_BYTES_PER_MS;
}

static void notice_sent(struct uplink_session *s, struct uplink_notice *n, int len, int64_t next_mono_ms)
{
    const int64_t now = clock_mono_ms();
    n->in_flight = true;
    n->bytes = (size_t)len;
    n->sent_mono_ms = now;
    n->deadline_mono_ms = uplink_notice_answer_by(s, now);
    n->due_mono_ms = next_mono_ms;
}

static bool notice_due(struct uplink_session *s, const struct uplink_notice *n, int64_t now)
{
    if (n->in_flight || uplink_session_in_flight(s) >= s->most_in_flight)
        return false;
    uplink_session_wake_by(s, n->due_mono_ms > now ? n->due_mono_ms : INT64_MAX);
    return now >= n->due_mono_ms;
}

/* One that is larger than the broker takes is not tried again before there is another to say. */
void uplink_notice_send_state(struct uplink_session *s, bool online)
{
    char name[UPLINK_VOICE_WHO];
    int len = uplink_send_state(&s->send, online, s->connection, &s->state.token);
    int64_t now = clock_mono_ms();
    if (len >= 0) {
        notice_sent(s, &s->state, len, now + STATE_EVERY_MS);
        return;
    }
    s->state.due_mono_ms = len == FG_EFULL ? INT64_MAX : now + UPLINK_STORE_RETRY_MS;
    if (len == FG_EFULL && uplink_voice_is_news(s->voice, &s->state.said_reason, UPLINK_PACKET_TOO_LARGE))
        log_line(LOG_PRI_WARNING, "FG-LINK-REFUSED",
                 "uplink=%s topic=%s max_packet=%zu: the state message is larger than the broker takes, so "
                 "receivers do not see whether this gateway is connected; readings go on; ask the broker's "
                 "operator to allow larger messages",
                 uplink_voice_who(s->voice, name), s->send.state_topic, s->send.max_packet);
}

static void send_birth(struct uplink_session *s)
{
    char name[UPLINK_VOICE_WHO];
    int len = uplink_send_birth(&s->send, &s->birth.token);
    if (len >= 0) {
        notice_sent(s, &s->birth, len, INT64_MAX);
        return;
    }
    s->birth.due_mono_ms =
        clock_mono_ms() + (len == FG_EFULL ? UPLINK_NOTICE_RETRY_MS : UPLINK_STORE_RETRY_MS);
    if (len == FG_EFULL && uplink_voice_is_news(s->voice, &s->birth.said_reason, UPLINK_PACKET_TOO_LARGE))
        log_line(LOG_PRI_WARNING, "FG-LINK-REFUSED",
                 "uplink=%s topic=%s max_packet=%zu: the birth message is larger than the broker takes, so "
                 "receivers miss the names and units; ask the broker's operator to allow larger messages",
                 uplink_voice_who(s->voice, name), s->send.birth_topic, s->send.max_packet);
}

/* The store may have opened a new stream, or the clock may have been set. */
static void compare_facts(struct uplink_session *s, int64_t now)
{
    struct uplink_send_facts facts;
    if (now - s->facts_mono_ms < FACTS_EVERY_MS)
        return;
    s->facts_mono_ms = now;
    uplink_send_facts(&s->send, &facts);
    if (memcmp(&facts, &s->facts, sizeof facts) == 0)
        return;
    s->state.due_mono_ms = now;
    uplink_twin_know(&s->twin, facts.stream);
    if (strcmp(facts.stream, s->facts.stream) != 0 || facts.layout != s->facts.layout ||
        facts.durable != s->facts.durable)
        s->birth.due_mono_ms = now;
    s->facts = facts;
}

void uplink_notice_send(struct uplink_session *s, int64_t now_mono_ms)
{
    compare_facts(s, now_mono_ms);
    if (notice_due(s, &s->state, now_mono_ms))
        uplink_notice_send_state(s, true);
    if (notice_due(s, &s->birth, now_mono_ms))
        send_birth(s);
}

struct uplink_notice *uplink_notice_take(struct uplink_session *s, uint32_t token)
{
    struct uplink_notice *all[] = {&s->state, &s->birth};
    for (size_t i = 0; i < 2; i++) {
        if (all[i]->in_flight && all[i]->token == token) {
            all[i]->in_flight = false;
            return all[i];
        }
    }
    return NULL;
}
