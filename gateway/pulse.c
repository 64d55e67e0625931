/* SPDX-License-Identifier: Apache-2.0 */
#include "pulse.h"

#include "clock.h"

enum { USUAL_LIMIT_MS = 30 * 1000 };

void pulse_expect(struct pulse *p, int64_t limit_ms)
{
    atomic_store_explicit(&p->due_mono_ms, clock_mono_ms() + limit_ms, memory_order_relaxed);
}

void pulse_beat(struct pulse *p)
{
    pulse_expect(p, USUAL_LIMIT_MS);
}

void pulse_end(struct pulse *p)
{
    atomic_store_explicit(&p->due_mono_ms, 0, memory_order_relaxed);
}

bool pulse_late(const struct pulse *p, int64_t now_mono_ms)
{
    int64_t due = atomic_load_explicit(&p->due_mono_ms, memory_order_relaxed);
    return due != 0 && now_mono_ms > due;
}
