/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_decode.h"

#include <math.h>
#include <string.h>

/* What the registers hold before scale and offset. */
struct raw {
    bool is_double, is_float, is_signed;
    int width;        /* bits */
    uint64_t pattern; /* for integers: the bits, not extended */
    double floating;
};

/* The value's bytes, most significant first, put together from the order on the wire. */
static uint64_t gather(const uint8_t *bytes, size_t words, enum point_order order)
{
    bool words_reversed = order == POINT_CDAB || order == POINT_DCBA;
    bool bytes_swapped = order == POINT_BADC || order == POINT_DCBA;
    uint64_t value = 0;
    for (size_t i = 0; i < words; i++) {
        const uint8_t *word = bytes + 2 * (words_reversed ? words - 1 - i : i);
        value = value << 16 | (uint64_t)word[bytes_swapped] << 8 | word[!bytes_swapped];
    }
    return value;
}

static struct raw take_raw(const struct point *p, const uint8_t *bytes)
{
    size_t words = point_width(p);
    struct raw raw = {.width = (int)words * 16, .pattern = gather(bytes, words, p->order)};
    switch (p->type) {
    case POINT_BOOL:
    case POINT_UINT16:
    case POINT_UINT32:
    case POINT_UINT64:
        break;
    case POINT_INT16:
    case POINT_INT32:
    case POINT_INT64:
        raw.is_signed = true;
        break;
    case POINT_FLOAT32: {
        float value;
        uint32_t pattern = (uint32_t)raw.pattern;
        memcpy(&value, &pattern, sizeof value);
        raw.is_float = true;
        raw.floating = (double)value;
        break;
    }
    case POINT_FLOAT64:
        memcpy(&raw.floating, &raw.pattern, sizeof raw.floating);
        raw.is_double = true;
        break;
    }
    if (p->has_bits && raw.width == 16) {
        raw.width = p->bit_last - p->bit_first + 1;
        raw.pattern = raw.pattern >> p->bit_first & ((1u << raw.width) - 1);
        raw.is_signed = false;
    }
    return raw;
}

static int64_t signed_value(const struct raw *raw)
{
    unsigned unused = 64u - (unsigned)raw->width;
    return (int64_t)(raw->pattern << unused) >> unused;
}

/* Manuals write the same "no measurement" pattern as -1 or as 65535, whatever the type: both are understood.
 */
static bool pattern_is(const struct raw *raw, int64_t number)
{
    if (raw->width == 64)
        return raw->pattern == (uint64_t)number;
    int64_t lowest = -((int64_t)1 << (raw->width - 1)), highest = ((int64_t)1 << raw->width) - 1;
    uint64_t mask = ((uint64_t)1 << raw->width) - 1;
    return number >= lowest && number <= highest && ((uint64_t)number & mask) == raw->pattern;
}

static bool is_fault(const struct point *p, const struct raw *raw)
{
    bool floating = raw->is_float || raw->is_double;
    if (floating && !isfinite(raw->floating))
        return true;
    for (size_t i = 0; i < p->invalid_count; i++)
        if (floating ? raw->floating == (double)p->invalid[i] : pattern_is(raw, p->invalid[i]))
            return true;
    return false;
}

static struct decimal raw_decimal(const struct raw *raw)
{
    struct decimal d = {0};
    if (raw->is_float)
        (void)decimal_from_float((float)raw->floating, &d); /* finite: is_fault() came first */
    else if (raw->is_double)
        (void)decimal_from_double(raw->floating, &d);
    else if (raw->is_signed)
        d = decimal_from_int(signed_value(raw));
    else
        d = decimal_from_uint(raw->pattern);
    return d;
}

/* Exact where the result has digits enough, else the nearest double; false when there is no finite result. */
static bool apply_scale(const struct point *p, struct decimal raw, struct decimal *ret)
{
    struct decimal d;
    if (decimal_multiply(raw, p->scale, &d) == 0 && decimal_add(d, p->offset, &d) == 0) {
        *ret = d;
        return true;
    }
    double value = decimal_to_double(raw) * decimal_to_double(p->scale) + decimal_to_double(p->offset);
    return decimal_from_double(value, ret) == 0;
}

static bool in_range(const struct point *p, struct decimal value)
{
    if (p->has_min && decimal_compare(value, p->min) < 0)
        return false;
    return !p->has_max || decimal_compare(value, p->max) <= 0;
}

void modbus_decode_registers(const struct point *p, const uint8_t *bytes, struct reading *ret)
{
    *ret = (struct reading){.quality = QUALITY_SENSOR_FAULT};
    struct raw raw = take_raw(p, bytes);
    if (is_fault(p, &raw))
        return;
    if (p->type == POINT_BOOL) {
        ret->quality = QUALITY_GOOD;
        ret->value = (struct value){.kind = VALUE_BOOL, .boolean = raw.pattern != 0};
        return;
    }
    if (!apply_scale(p, raw_decimal(&raw), &ret->value.number))
        return;
    ret->value.kind = VALUE_NUMBER;
    ret->quality = in_range(p, ret->value.number) ? QUALITY_GOOD : QUALITY_OUT_OF_RANGE;
}

void modbus_decode_bit(bool bit, struct reading *ret)
{
    *ret = (struct reading){.quality = QUALITY_GOOD, .value = {.kind = VALUE_BOOL, .boolean = bit}};
}
