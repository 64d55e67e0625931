/* SPDX-License-Identifier: Apache-2.0 */
#include "damp.h"

#include <stdio.h>

bool damp_allows(const struct damp *d, const struct damp_limits *limits, int64_t mono_ms)
{
    return d->full_until_ms <= mono_ms + (limits->at_once - 1) * limits->then_every_ms;
}

void damp_take(struct damp *d, const struct damp_limits *limits, int64_t mono_ms)
{
    if (d->full_until_ms < mono_ms)
        d->full_until_ms = mono_ms;
    d->full_until_ms += limits->then_every_ms;
}

bool damp_switch_tell(struct damp_switch *s, const struct damp_limits *limits, bool on, int64_t mono_ms,
                      char ret_changes[DAMP_CHANGES])
{
    if (on != s->on)
        s->changes++;
    s->on = on;
    if (on == s->said || !damp_allows(&s->damp, limits, mono_ms))
        return false;
    damp_take(&s->damp, limits, mono_ms);
    ret_changes[0] = '\0';
    if (s->changes > 1)
        snprintf(ret_changes, DAMP_CHANGES, " changes=%u", s->changes);
    s->said = on;
    s->changes = 0;
    return true;
}
