/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seqset - a set of record numbers kept as sorted, disjoint, closed ranges.
 *
 * Threads    A set belongs to one thread at a time.
 * Ownership  seqset_fini() frees the ranges.
 * Errors     FG_ENOMEM; the set is then unchanged.
 */
#ifndef FG_SEQSET_H
#define FG_SEQSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seqset_range {
    uint64_t first, last; /* both inside */
};

struct seqset {
    struct seqset_range *ranges;
    size_t count, cap;
    uint64_t total; /* numbers in the set */
};

void seqset_init(struct seqset *s);
void seqset_fini(struct seqset *s);
/* Empties the set, keeps the allocation. */
void seqset_clear(struct seqset *s);
/* Makes dst equal to src. */
int seqset_copy(struct seqset *dst, const struct seqset *src);
/* Makes room for n more ranges, so that the next n calls of seqset_add() or seqset_remove() cannot fail. */
int seqset_reserve(struct seqset *s, size_t n);
/* first <= last, else FG_EINVALID. */
int seqset_add(struct seqset *s, uint64_t first, uint64_t last);
int seqset_remove(struct seqset *s, uint64_t first, uint64_t last);
bool seqset_has(const struct seqset *s, uint64_t n);
/* The part of the first range that lies in [from, to]; false when there is none. */
bool seqset_next(const struct seqset *s, uint64_t from, uint64_t to, struct seqset_range *ret);
/* How many numbers of [first, last] are in the set. */
uint64_t seqset_count(const struct seqset *s, uint64_t first, uint64_t last);

#endif
