/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_unheard.h"

#include "clock.h"
#include "log.h"

enum { NO_MATCHING_SUBSCRIBERS = 16 /* MQTT 5.0, 3.4.2.1 */, OTHER = UPLINK_LANES - 1 };

static const struct damp_limits LINES = {10, 60 * 60 * 1000};

static void note(struct uplink_unheard *u, struct uplink_unheard_lane *l, const struct uplink_flight *f)
{
    u->records += f->records;
    l->records += f->records;
    if (l->first == 0 || f->first < l->first)
        l->first = f->first;
    if (f->last > l->last)
        l->last = f->last;
}

static void log_unheard(const struct uplink_unheard *u, const struct uplink_unheard_lane *l,
                        const char *topic)
{
    log_line(LOG_PRI_WARNING, "FG-LINK-UNHEARD",
             "uplink=%s topic=%s from=%llu: the broker takes our messages, but nobody is subscribed to this "
             "topic, so it throws them away; they count as delivered; ask the receiver to subscribe (with a "
             "session that is kept), then give `resend` for what is missing",
             u->options->name, topic, (unsigned long long)l->first);
}

/* Nobody has asked for this topic since: only the other one is known to be heard. */
static void log_unknown(const struct uplink_unheard *u, const struct uplink_unheard_lane *l,
                        const char *topic)
{
    log_line(
        LOG_PRI_NOTICE, "FG-LINK-HEARD",
        "uplink=%s topic=%s from=%llu to=%llu records=%llu: the other data topic is heard again, and nothing "
        "was published to this one since, so whether somebody is subscribed to it shows with the next "
        "message; `resend` with these numbers brings what nobody heard, as long as it is kept",
        u->options->name, topic, (unsigned long long)l->first, (unsigned long long)l->last,
        (unsigned long long)l->records);
}

static void log_heard(const struct uplink_unheard *u, const struct uplink_unheard_lane *l, const char *topic)
{
    log_line(LOG_PRI_NOTICE, "FG-LINK-HEARD",
             "uplink=%s topic=%s from=%llu to=%llu records=%llu: somebody is subscribed to this topic again; "
             "`resend` with these numbers brings what nobody heard, as long as it is kept",
             u->options->name, topic, (unsigned long long)l->first, (unsigned long long)l->last,
             (unsigned long long)l->records);
}

/* Says how it stands, if that is news and may be said now; else a later look will. */
static void tell(struct uplink_unheard *u, struct uplink_unheard_lane *l, const char *topic, int64_t now)
{
    if (l->said == l->on || !damp_allows(&u->damp, &LINES, now))
        return;
    damp_take(&u->damp, &LINES, now);
    l->said = l->on;
    if (l->on) {
        log_unheard(u, l, topic);
        return;
    }
    if (l->unknown)
        log_unknown(u, l, topic);
    else
        log_heard(u, l, topic);
    l->first = l->last = l->records = 0;
}

void uplink_unheard_acked(struct uplink_unheard *u, const struct uplink_flight *flight, const char *topic,
                          int reason)
{
    struct uplink_unheard_lane *l = &u->lanes[flight->lane];
    const int64_t now = clock_mono_ms();
    l->on = reason == NO_MATCHING_SUBSCRIBERS;
    l->unknown = false;
    l->acked_mono_ms = now;
    if (l->on)
        note(u, l, flight);
    tell(u, l, topic, now);
}

static bool is_idle_beside(const struct uplink_unheard_lane *l, const struct uplink_unheard_lane *other,
                           int64_t now_mono_ms)
{
    return !other->on && !other->unknown && other->acked_mono_ms > l->acked_mono_ms &&
           now_mono_ms - l->acked_mono_ms >= UPLINK_UNHEARD_IDLE_MS;
}

void uplink_unheard_look(struct uplink_unheard *u, char *const topics[UPLINK_LANES], int64_t now_mono_ms)
{
    for (size_t i = 0; i < UPLINK_LANES; i++) {
        struct uplink_unheard_lane *l = &u->lanes[i];
        if (l->on && is_idle_beside(l, &u->lanes[OTHER - i], now_mono_ms)) {
            l->on = false;
            l->unknown = true;
        }
        tell(u, l, topics[i], now_mono_ms);
    }
}
