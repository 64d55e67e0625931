/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_backoff.h"

/* splitmix64: any seed will do, also 0 and neighbours. */
static uint64_t next_random(struct uplink_backoff *b)
{
    uint64_t z = b->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in low..high, both inside. */
static int64_t uniform(struct uplink_backoff *b, int64_t low, int64_t high)
{
    if (high <= low)
        return low;
    return low + (int64_t)(next_random(b) % (uint64_t)(high - low + 1));
}

void uplink_backoff_init(struct uplink_backoff *b, uint64_t seed, int64_t first_max_ms)
{
    b->random = seed;
    b->first_max_ms = first_max_ms > 0 ? first_max_ms : 0;
    b->step_ms = UPLINK_BACKOFF_FIRST_MS;
}

int64_t uplink_backoff_lost(struct uplink_backoff *b)
{
    b->step_ms =
        b->first_max_ms / 3 > UPLINK_BACKOFF_FIRST_MS ? b->first_max_ms / 3 : UPLINK_BACKOFF_FIRST_MS;
    return uniform(b, 0, b->first_max_ms);
}

int64_t uplink_backoff_spread(struct uplink_backoff *b, int64_t most_ms)
{
    return uniform(b, 0, most_ms);
}

int64_t uplink_backoff_failed(struct uplink_backoff *b)
{
    int64_t step = b->step_ms;
    b->step_ms = step * 2 < UPLINK_BACKOFF_LAST_MS ? step * 2 : UPLINK_BACKOFF_LAST_MS;
    return uniform(b, step - step / 5, step + step / 5);
}
