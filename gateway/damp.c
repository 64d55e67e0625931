/* SPDX-License-Identifier: Apache-2.0 */
#include "damp.h"

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
