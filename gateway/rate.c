/* SPDX-License-Identifier: Apache-2.0 */
#include "rate.h"

#include <string.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

void rate_note(struct rate *r, int64_t mono_ms, int64_t value)
{
    if (r->count > 0 && value < r->marks[r->count - 1].value)
        r->count = 0;
    if (r->count > 0 && mono_ms - r->marks[r->count - 1].mono_ms < HOUR_MS)
        return;
    if (r->count == sizeof r->marks / sizeof r->marks[0]) {
        r->count--;
        memmove(r->marks, r->marks + 1, r->count * sizeof r->marks[0]);
    }
    r->marks[r->count].mono_ms = mono_ms;
    r->marks[r->count].value = value;
    r->count++;
}

int64_t rate_per_day(const struct rate *r, int64_t mono_ms, int64_t value)
{
    if (r->count == 0 || mono_ms - r->marks[0].mono_ms < RATE_LEAST_MS || value < r->marks[0].value)
        return -1;
    return (int64_t)((double)(value - r->marks[0].value) * (double)DAY_MS /
                     (double)(mono_ms - r->marks[0].mono_ms));
}
