/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_age.h"

#include "log.h"

enum {
    LOOK_LEAST_MS = 250,
    LOOK_MOST_MS = 60 * 1000,
    LOOKS_PER_AGE = 16,
    SAY_EVERY_MS = 24 * 3600 * 1000,
};

static int64_t look_every(int64_t max_age_ms)
{
    int64_t every = max_age_ms / LOOKS_PER_AGE;
    if (every < LOOK_LEAST_MS)
        return LOOK_LEAST_MS;
    return every < LOOK_MOST_MS ? every : LOOK_MOST_MS;
}

static void say(struct uplink_age *a, const struct uplink_options *o, int64_t now_mono_ms)
{
    if (a->unsaid == 0 || (a->said_mono_ms && now_mono_ms - a->said_mono_ms < SAY_EVERY_MS))
        return;
    log_line(
        LOG_PRI_WARNING, "FG-LINK-TOO-OLD",
        "uplink=%s count=%llu: records that waited longer than backlog.max_age are not sent any more; an "
        "event tells the receiver which; if they are wanted, raise max_age or delete it",
        o->name, (unsigned long long)a->unsaid);
    a->said_mono_ms = now_mono_ms;
    a->unsaid = 0;
}

void uplink_age_look(struct uplink_age *a, const struct uplink_options *o, const struct uplink_window *w,
                     int64_t now_mono_ms)
{
    uint64_t first, last = 0;
    if (o->max_age_ms <= 0 || now_mono_ms < a->next_mono_ms)
        return;
    a->next_mono_ms = now_mono_ms + look_every(o->max_age_ms);
    while (last < UINT64_MAX) {
        uplink_window_idle(w, last + 1, &first, &last);
        int64_t n = store_expire(o->store, o->store_index, first, last);
        a->unsaid += n > 0 ? (uint64_t)n : 0;
    }
    say(a, o, now_mono_ms);
}
