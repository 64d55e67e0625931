/* SPDX-License-Identifier: Apache-2.0 */
#include "seqset.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"

void seqset_init(struct seqset *s)
{
    memset(s, 0, sizeof *s);
}

void seqset_fini(struct seqset *s)
{
    free(s->ranges);
    seqset_init(s);
}

void seqset_clear(struct seqset *s)
{
    s->count = 0;
    s->total = 0;
}

int seqset_reserve(struct seqset *s, size_t n)
{
    if (s->cap - s->count >= n)
        return 0;
    size_t cap = s->cap < 8 ? 8 : s->cap * 2;
    if (cap < s->count + n)
        cap = s->count + n;
    struct seqset_range *ranges = reallocarray(s->ranges, cap, sizeof *ranges);
    if (!ranges)
        return FG_ENOMEM;
    s->ranges = ranges;
    s->cap = cap;
    return 0;
}

int seqset_copy(struct seqset *dst, const struct seqset *src)
{
    if (dst->cap < src->count) {
        int err = seqset_reserve(dst, src->count - dst->count);
        if (err)
            return err;
    }
    if (src->count)
        memcpy(dst->ranges, src->ranges, src->count * sizeof *src->ranges);
    dst->count = src->count;
    dst->total = src->total;
    return 0;
}

/* Index of the first range that ends at n or later. */
static size_t first_ending_from(const struct seqset *s, uint64_t n)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->ranges[middle].last < n)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Index of the first range that begins after n. */
static size_t first_beginning_after(const struct seqset *s, uint64_t n)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->ranges[middle].first <= n)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t size_of(struct seqset_range r)
{
    return r.last - r.first + 1;
}

/* Replaces the ranges [from, to) by n others; room for them was made before. */
static void replace(struct seqset *s, size_t from, size_t to, const struct seqset_range *with, size_t n)
{
    for (size_t i = from; i < to; i++)
        s->total -= size_of(s->ranges[i]);
    if (n != to - from && s->count > to)
        memmove(s->ranges + from + n, s->ranges + to, (s->count - to) * sizeof *s->ranges);
    for (size_t i = 0; i < n; i++) {
        s->ranges[from + i] = with[i];
        s->total += size_of(with[i]);
    }
    s->count = s->count - (to - from) + n;
}

int seqset_add(struct seqset *s, uint64_t first, uint64_t last)
{
    if (first > last)
        return FG_EINVALID;
    int err = seqset_reserve(s, 1);
    if (err)
        return err;
    /* Neighbours that only touch are merged too. */
    size_t from = first_ending_from(s, first > 0 ? first - 1 : 0);
    size_t to = first_beginning_after(s, last < UINT64_MAX ? last + 1 : last);
    struct seqset_range merged = {first, last};
    if (from < to) {
        if (s->ranges[from].first < first)
            merged.first = s->ranges[from].first;
        if (s->ranges[to - 1].last > last)
            merged.last = s->ranges[to - 1].last;
    }
    replace(s, from, to, &merged, 1);
    return 0;
}

int seqset_remove(struct seqset *s, uint64_t first, uint64_t last)
{
    if (first > last)
        return FG_EINVALID;
    size_t from = first_ending_from(s, first);
    size_t to = first_beginning_after(s, last);
    if (from >= to)
        return 0;
    struct seqset_range left[2];
    size_t n = 0;
    if (s->ranges[from].first < first)
        left[n++] = (struct seqset_range){s->ranges[from].first, first - 1};
    if (s->ranges[to - 1].last > last)
        left[n++] = (struct seqset_range){last + 1, s->ranges[to - 1].last};
    if (n > to - from) {
        int err = seqset_reserve(s, n - (to - from));
        if (err)
            return err;
    }
    replace(s, from, to, left, n);
    return 0;
}

bool seqset_has(const struct seqset *s, uint64_t n)
{
    size_t i = first_ending_from(s, n);
    return i < s->count && s->ranges[i].first <= n;
}

bool seqset_next(const struct seqset *s, uint64_t from, uint64_t to, struct seqset_range *ret)
{
    size_t i = first_ending_from(s, from);
    if (from > to || i == s->count || s->ranges[i].first > to)
        return false;
    ret->first = s->ranges[i].first > from ? s->ranges[i].first : from;
    ret->last = s->ranges[i].last < to ? s->ranges[i].last : to;
    return true;
}

uint64_t seqset_count(const struct seqset *s, uint64_t first, uint64_t last)
{
    uint64_t n = 0;
    struct seqset_range r;
    while (seqset_next(s, first, last, &r)) {
        n += size_of(r);
        if (r.last >= last)
            break;
        first = r.last + 1;
    }
    return n;
}
