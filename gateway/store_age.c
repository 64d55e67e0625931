/* SPDX-License-Identifier: Apache-2.0 */
/* store_age - gives up what has waited too long for an uplink. */
#include "store_clock.h"
#include "store_loss.h"
#include "store_progress.h"
#include "store_space.h"

/* So that neither the writer nor pollers wait for long: a farm's records of some hours. */
#define AT_ONCE 20000

static int drop(struct store *s, size_t uplink, uint64_t first, uint64_t last, int64_t *ret_count)
{
    struct store_uplink_state *u = &s->uplinks[uplink];
    const uint64_t before = u->dropped;
    /* The losses that records here tell of are read one after the other; the times only at both ends. */
    int err = store_loss_keep(s, uplink, first, last);
    if (!err)
        err = store_progress_drop(s, uplink, first, last, LOSS_EXPIRED);
    *ret_count += (int64_t)(u->dropped - before);
    return err;
}

int64_t store_expire(struct store *s, size_t uplink, uint64_t first, uint64_t last)
{
    struct store_uplink_state *u = &s->uplinks[uplink];
    struct seqset_range r;
    int64_t count = 0;
    uint64_t old;
    int err = 0;
    if (u->max_age_ms <= 0)
        return 0;
    store_turn_take(&s->turn);
    err = store_space_older(s, u->max_age_ms, &old);
    if (!err && old > store_clock_last(s))
        old = store_clock_last(s);
    last = last < old ? last : old;
    while (!err && first <= last && count < AT_ONCE && seqset_next(&u->waiting, first, last, &r)) {
        if (r.last - r.first >= AT_ONCE)
            r.last = r.first + AT_ONCE - 1;
        err = drop(s, uplink, r.first, r.last, &count);
        first = r.last + 1;
    }
    store_turn_give(&s->turn);
    return err ? err : count;
}
