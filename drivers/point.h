/* SPDX-License-Identifier: Apache-2.0 */
/*
 * point - the description of one measured quantity of a Modbus device, as a profile or configuration gives
 * it.
 *
 * Threads    Plain data, read-only once built.
 * Ownership  Whoever builds an array of points owns it and its strings; drivers borrow it for their life.
 * Errors     None.
 */
#ifndef FG_POINT_H
#define FG_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../gateway/decimal.h"

enum point_register { POINT_COIL, POINT_DISCRETE_INPUT, POINT_INPUT, POINT_HOLDING };

enum point_type {
    POINT_BOOL,
    POINT_INT16,
    POINT_UINT16,
    POINT_INT32,
    POINT_UINT32,
    POINT_INT64,
    POINT_UINT64,
    POINT_FLOAT32,
    POINT_FLOAT64,
};

/* Byte orders as the bytes come over the wire; A is the most significant byte of the value. 16-bit values
 * know AB (ABCD) and BA (BADC, DCBA); 64-bit values use the same four patterns: words in order or reversed,
 * bytes of each word in order or swapped. */
enum point_order { POINT_ABCD, POINT_CDAB, POINT_BADC, POINT_DCBA };

#define POINT_INVALID_MAX 8

/* Which readings are held back: those that differ by less than `change` from the last one that was not, but
 * none for longer than at_least_ms. As it was written: a 0 means that it was not. */
struct point_report {
    struct decimal change; /* 0: every other value counts */
    int64_t at_least_ms;
    bool has_change;
    bool given;
};

struct point {
    char *name;
    char *unit; /* UCUM; NULL: none */
    enum point_register table;
    uint16_t address; /* 0-based, as on the wire */
    enum point_type type;
    enum point_order order;
    uint8_t bit_first, bit_last; /* bits of a 16-bit register, least significant 0; used when has_bits */
    bool has_bits;
    struct decimal scale, offset; /* value = raw x scale + offset */
    bool has_min, has_max;
    struct decimal min, max; /* of the value; outside is out_of_range */
    size_t invalid_count;
    int64_t invalid[POINT_INVALID_MAX]; /* raw values (before scale) that mean "no measurement" */
    int64_t every_ms;                   /* own interval; 0: the device's */
    /* Counts what has passed since it began at 0 (rain, energy). The driver reads it like any other number.
     */
    bool counter, has_wrap;
    struct decimal wrap; /* the value that the counter jumps back to 0 instead of showing */
    /* What the device's readings go through on their way to the store; nothing that a driver looks at. */
    struct point_report report;
    int64_t aggregate_ms; /* 0: not written */
};

/* Registers (or bits, for coils and discrete inputs) that the point covers: 1, 2 or 4. */
static inline uint16_t point_width(const struct point *p)
{
    switch (p->type) {
    case POINT_BOOL:
    case POINT_INT16:
    case POINT_UINT16:
        return 1;
    case POINT_INT32:
    case POINT_UINT32:
    case POINT_FLOAT32:
        return 2;
    case POINT_INT64:
    case POINT_UINT64:
    case POINT_FLOAT64:
        return 4;
    }
    return 1;
}

#endif
