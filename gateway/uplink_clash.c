/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_clash.h"

enum { SAID = 3, SILENT = 1, ENOUGH = 5 };

static void forget(struct uplink_clash *c)
{
    c->weight = 0;
    c->wait_ms = 0;
}

int64_t uplink_clash_closed(struct uplink_clash *c, bool said, int64_t up_ms, int64_t now_mono_ms)
{
    if (c->weight > 0 && now_mono_ms - c->last_mono_ms > UPLINK_CLASH_WINDOW_MS)
        forget(c);
    /* While a clash is on the other one stays away for longer than a minute, too. */
    if (!said && up_ms > UPLINK_CLASH_SHORT_MS && !uplink_clash_is_on(c)) {
        forget(c);
        return 0;
    }
    c->last_mono_ms = now_mono_ms;
    c->weight += said ? SAID : SILENT;
    if (c->weight < ENOUGH)
        return 0;
    c->wait_ms = c->wait_ms == 0 || !said ? UPLINK_CLASH_FIRST_MS : c->wait_ms * 2;
    if (c->wait_ms > UPLINK_CLASH_LAST_MS)
        c->wait_ms = UPLINK_CLASH_LAST_MS;
    return c->wait_ms;
}

void uplink_clash_attempt_failed(struct uplink_clash *c)
{
    if (!uplink_clash_is_on(c))
        forget(c);
}

bool uplink_clash_is_on(const struct uplink_clash *c)
{
    return c->wait_ms > 0;
}

bool uplink_clash_ends(struct uplink_clash *c, int64_t since_mono_ms, int64_t now_mono_ms)
{
    if (c->weight == 0 || now_mono_ms - since_mono_ms <= UPLINK_CLASH_WINDOW_MS)
        return false;
    bool was_on = uplink_clash_is_on(c);
    forget(c);
    return was_on;
}
