/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_hints - judges what a point's registers gave, and how else they could be read.
 *
 * Threads    Pure functions.
 * Ownership  Everything is lent or a value.
 * Errors     None.
 *
 * The three classic mistakes: the manual counts from 1 and we from 0, two words in the wrong order, a signed
 * number read as unsigned. Each gives numbers that are out of range or absurd, and the right way gives one in
 * range, so trying all of them on the registers at hand and next to them tells which mistake it was. What is
 * plausible is a guess: zero fits nearly everywhere and is never suggested.
 */
#ifndef FG_PROBE_HINTS_H
#define FG_PROBE_HINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../drivers/point.h"
#include "sample.h"

#define PROBE_WORDS_MAX 4

/* The registers at one address, as many as the point is wide. */
struct probe_words {
    bool there; /* read and not refused */
    uint16_t words[PROBE_WORDS_MAX];
};

enum probe_verdict {
    PROBE_GOOD,
    PROBE_ABSURD,       /* a number, in range if there is one, that no sensor gives: 1.2e-38, 4.5e+27 */
    PROBE_OUT_OF_RANGE, /* outside min and max */
    PROBE_NO_NUMBER,    /* NaN, infinity, or one of the point's invalid values */
    PROBE_REFUSED,      /* nothing was read */
};

enum probe_way { PROBE_ORDER, PROBE_TYPE, PROBE_ADDRESS };

/* Another reading of the same point. */
struct probe_view {
    enum probe_way way;
    struct point as; /* the point with one thing changed; strings lent from the original */
    struct reading reading;
    bool plausible;
};

#define PROBE_VIEWS_MAX 12

struct probe_around {
    struct probe_words here, before, after; /* at the point's address, one lower, one higher */
    /* The neighbour belongs to another point, whose value is good: then it is no news that it is plausible.
     */
    bool before_taken, after_taken;
};

/* Whether every point of a device would be plausible one address lower (shift -1) or higher (1): then the map
 * as a whole is off by one, and that a neighbour is another point's register says nothing. */
bool probe_all_fit(const struct point *points, const struct probe_around *arounds, size_t count, int shift);
const char *probe_verdict_word(enum probe_verdict v);
/* The value with its verdict, for a point that was read. */
enum probe_verdict probe_judge(const struct point *p, const struct probe_words *w, struct reading *ret);
/* All other ways; returns how many. */
size_t probe_views(const struct point *p, const struct probe_around *around,
                   struct probe_view ret[PROBE_VIEWS_MAX]);
#define PROBE_TEXT_MAX 160
/* What is different: "order CDAB", "type int16", "address 0". */
void probe_view_name(const struct probe_view *v, char ret[PROBE_TEXT_MAX]);
/* What to do when this view is the right one: "set order CDAB: it gives 23.4 Cel", "looks like 1-based
 * numbering: address 0 gives 23.4 Cel". */
void probe_advice(const struct point *p, const struct probe_view *v, char ret[PROBE_TEXT_MAX]);

const char *probe_order_word(const struct point *p);
const char *probe_type_word(enum point_type type);
const char *probe_table_word(enum point_register table);

#endif
