/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_voice.h"

#include <stdio.h>

#include "clock.h"

static const struct damp_limits LINES = {40, 60 * 60 * 1000};

bool uplink_voice_can(const struct uplink_voice *v, int64_t now_mono_ms)
{
    return damp_allows(&v->damp, &LINES, now_mono_ms);
}

bool uplink_voice_take(struct uplink_voice *v)
{
    int64_t now = clock_mono_ms();
    if (!damp_allows(&v->damp, &LINES, now)) {
        v->left_out++;
        return false;
    }
    damp_take(&v->damp, &LINES, now);
    return true;
}

bool uplink_voice_is_news(struct uplink_voice *v, int *said, int reason)
{
    if (*said == reason || !uplink_voice_take(v))
        return false;
    *said = reason;
    return true;
}

const char *uplink_voice_who(struct uplink_voice *v, char ret[UPLINK_VOICE_WHO])
{
    if (v->left_out > 0)
        snprintf(ret, UPLINK_VOICE_WHO, "%s left_out=%u", v->name, v->left_out);
    else
        snprintf(ret, UPLINK_VOICE_WHO, "%s", v->name);
    v->left_out = 0;
    return ret;
}
