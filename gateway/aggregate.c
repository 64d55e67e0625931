/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregate.h"

#include <math.h>
#include <stdlib.h>

#define MORE_DIGITS 2
#define DOUBLE_DIGITS 1e15L /* what a double surely keeps */
#define FINEST_MIN (-18)    /* 10^18 is exact, and no sensor goes beyond */

void aggregate_clear(struct aggregate *a)
{
    *a = (struct aggregate){0};
}

static void add_number(struct aggregate *a, struct decimal value)
{
    if (a->n == 0 || decimal_compare(value, a->min) < 0)
        a->min = value;
    if (a->n == 0 || decimal_compare(value, a->max) > 0)
        a->max = value;
    if (value.exponent < a->finest)
        a->finest = value.exponent;
    a->sum += (long double)decimal_to_double(value);
    a->last = value;
    a->n++;
}

void aggregate_add(struct aggregate *a, const struct reading *r)
{
    if (r->quality == QUALITY_NOT_DUE)
        return;
    if (r->quality == QUALITY_GOOD && r->value.kind == VALUE_NUMBER)
        add_number(a, r->value.number);
    else
        a->bad++;
}

/* A value rounded to 10^exponent; coarser where that is more than a double has, and as it is beyond all that.
 */
static struct decimal rounded(long double value, int exponent)
{
    struct decimal made = {0};
    if (exponent < FINEST_MIN)
        exponent = FINEST_MIN;
    long double scaled = value * powl(10, -exponent);
    while (fabsl(scaled) >= DOUBLE_DIGITS && exponent < 0) {
        exponent++;
        scaled /= 10;
    }
    if (fabsl(scaled) >= DOUBLE_DIGITS) {
        (void)decimal_from_double((double)value, &made);
        return made;
    }
    made = decimal_from_int(llroundl(scaled));
    if (made.magnitude != 0)
        made.exponent = (int16_t)(made.exponent + exponent);
    return made;
}

/* Rounding may put the mean of equal readings beside them: it never lies outside. */
static struct decimal between(struct decimal value, struct decimal min, struct decimal max)
{
    if (decimal_compare(value, min) < 0)
        return min;
    return decimal_compare(value, max) > 0 ? max : value;
}

struct sample_stats aggregate_stats(const struct aggregate *a)
{
    struct sample_stats s = {.n = a->n, .bad = a->bad};
    if (a->n == 0)
        return s;
    s.min = a->min;
    s.max = a->max;
    s.mean = between(rounded(a->sum / a->n, a->finest - MORE_DIGITS), a->min, a->max);
    return s;
}

static int64_t aligned_clock(const struct aggregate_time *t)
{
    return t->trusted ? t->wall_ms : t->mono_ms;
}

static int64_t offset(const struct aggregate_time *t)
{
    return t->wall_ms - t->mono_ms;
}

static bool was_stepped(const struct aggregate_window *w, const struct aggregate_time *now)
{
    return now->trusted != w->from.trusted || llabs(offset(now) - offset(&w->newest)) > AGGREGATE_STEP_MS;
}

bool aggregate_is_over(const struct aggregate_window *w, const struct aggregate_time *now)
{
    return w->open && (was_stepped(w, now) || aligned_clock(now) >= w->end_ms);
}

static int64_t floor_to(int64_t value, int64_t length)
{
    int64_t rest = value % length;
    return value - (rest < 0 ? rest + length : rest);
}

static void move(struct aggregate_time *t, int64_t by_ms)
{
    t->wall_ms += by_ms;
    t->mono_ms += by_ms;
}

void aggregate_enter(struct aggregate_window *w, const struct aggregate_time *now)
{
    if (!w->open) {
        int64_t at = aligned_clock(now), begin = floor_to(at, w->length_ms);
        w->open = true;
        w->end_ms = begin + w->length_ms;
        w->from = *now;
        if (!w->partial)
            move(&w->from, begin - at);
    }
    w->newest = *now;
}

struct aggregate_span aggregate_close(struct aggregate_window *w, const struct aggregate_time *now)
{
    struct aggregate_span span = {.until = w->newest, .partial = w->partial};
    const bool stepped = now && was_stepped(w, now);
    if (now && !stepped)
        move(&span.until, w->end_ms - aligned_clock(&w->newest));
    else
        span.partial = stepped ? "clock" : "stopped";
    span.span_ms = aligned_clock(&span.until) - aligned_clock(&w->from);
    if (span.span_ms < 1)
        span.span_ms = 1;
    w->open = false;
    w->partial = stepped ? "clock" : NULL;
    return span;
}
