/* SPDX-License-Identifier: Apache-2.0 */
#include "decimal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

/* Where decimal_format() changes from positional to exponent form. */
#define POSITIONAL_DIGITS_MAX 21
#define POSITIONAL_LOWEST (-9)

/* A sum before it is known to fit. No __int128: 32-bit ARM boxes do not have it. */
struct wide {
    uint64_t hi, lo;
};

/* Makes the canonical form: no trailing zeros in the magnitude, no negative zero. */
static int make(uint64_t magnitude, int64_t exponent, bool negative, struct decimal *ret)
{
    if (magnitude == 0) {
        *ret = (struct decimal){0};
        return 0;
    }
    while (magnitude % 10 == 0) {
        magnitude /= 10;
        exponent++;
    }
    if (exponent > INT16_MAX || exponent < INT16_MIN)
        return FG_ERANGE;
    *ret = (struct decimal){.magnitude = magnitude, .exponent = (int16_t)exponent, .negative = negative};
    return 0;
}

static int digits_of(uint64_t magnitude)
{
    int n = 1;
    while (magnitude >= 10) {
        magnitude /= 10;
        n++;
    }
    return n;
}

struct decimal decimal_from_int(int64_t value)
{
    /* Negating in unsigned arithmetic is right for INT64_MIN too. */
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    return (struct decimal){.magnitude = magnitude, .negative = value < 0};
}

struct decimal decimal_from_uint(uint64_t value)
{
    return (struct decimal){.magnitude = value};
}

/* Reads "d.ddde+xx" as printf writes it. */
static struct decimal from_scientific(const char *text)
{
    struct decimal d = {0};
    /* Cannot fail: at most 17 digits, and exponents of a double. */
    (void)decimal_parse(text, &d);
    return d;
}

static bool reads_back(struct decimal d, double value, bool is_float)
{
    char text[40];
    snprintf(text, sizeof text, "%s%llue%d", d.negative ? "-" : "", (unsigned long long)d.magnitude,
             d.exponent);
    if (is_float)
        return strtof(text, NULL) == (float)value;
    return strtod(text, NULL) == value;
}

static int from_binary(double value, bool is_float, struct decimal *ret)
{
    if (!isfinite(value))
        return FG_ERANGE;
    *ret = (struct decimal){0};
    if (value == 0)
        return 0;
    bool normal = fabs(value) >= (is_float ? (double)FLT_MIN : DBL_MIN);
    int digits_max = is_float ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
    /* A shorter decimal than FLT_DIG digits comes out of this precision too, padded with zeros. */
    int digits = !normal ? 1 : is_float ? FLT_DIG : DBL_DIG;
    int exponent;
    bool power_of_two = fabs(frexp(value, &exponent)) == 0.5;
    for (; digits <= digits_max; digits++) {
        char text[40];
        snprintf(text, sizeof text, "%.*e", digits - 1, value);
        *ret = from_scientific(text);
        if (reads_back(*ret, value, is_float))
            return 0;
        /* Above a power of two the neighbours lie twice as far apart as below, so the next decimal away
         * from zero may read back where the nearest one does not. */
        struct decimal next = *ret;
        next.magnitude++;
        if (power_of_two && reads_back(next, value, is_float))
            return make(next.magnitude, next.exponent, next.negative, ret);
    }
    return 0; /* the last round always reads back */
}

int decimal_from_float(float value, struct decimal *ret)
{
    return from_binary((double)value, true, ret);
}

int decimal_from_double(double value, struct decimal *ret)
{
    return from_binary(value, false, ret);
}

/* Digits with an optional point; zeros are held back until a digit follows, so that "1000...0" fits. */
static int parse_mantissa(const char **cursor, uint64_t *ret_magnitude, int64_t *ret_exponent)
{
    uint64_t magnitude = 0;
    int64_t exponent = 0, held = 0;
    bool point = false, any = false;
    const char *c = *cursor;
    for (; (*c >= '0' && *c <= '9') || (*c == '.' && !point); c++) {
        if (*c == '.') {
            point = true;
            continue;
        }
        any = true;
        exponent -= point;
        if (*c == '0') {
            held += magnitude != 0;
            continue;
        }
        for (; held > 0; held--)
            if (__builtin_mul_overflow(magnitude, 10u, &magnitude))
                return FG_ERANGE;
        if (__builtin_mul_overflow(magnitude, 10u, &magnitude) ||
            __builtin_add_overflow(magnitude, (uint64_t)(*c - '0'), &magnitude))
            return FG_ERANGE;
    }
    *cursor = c;
    *ret_magnitude = magnitude;
    *ret_exponent = exponent + held;
    return any ? 0 : FG_EINVALID;
}

static int parse_exponent(const char **cursor, int64_t *ret)
{
    const char *c = *cursor;
    bool negative = *c == '-';
    c += *c == '-' || *c == '+';
    if (*c < '0' || *c > '9')
        return FG_EINVALID;
    int64_t value = 0;
    for (; *c >= '0' && *c <= '9'; c++)
        if (value < 1000000) /* far beyond what fits; make() refuses it */
            value = value * 10 + (*c - '0');
    *cursor = c;
    *ret = negative ? -value : value;
    return 0;
}

int decimal_parse(const char *text, struct decimal *ret)
{
    bool negative = *text == '-';
    text += *text == '-' || *text == '+';
    uint64_t magnitude;
    int64_t exponent, more = 0;
    int rc = parse_mantissa(&text, &magnitude, &exponent);
    if (rc == FG_ERANGE) {
        /* Too many digits is only the right complaint when the rest is a number at all. */
        text += strspn(text, "0123456789.");
    } else if (rc < 0) {
        return rc;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        if (parse_exponent(&text, &more) < 0)
            return FG_EINVALID;
    }
    if (*text != '\0')
        return FG_EINVALID;
    return rc < 0 ? rc : make(magnitude, exponent + more, negative, ret);
}

int decimal_multiply(struct decimal a, struct decimal b, struct decimal *ret)
{
    bool negative = a.negative != b.negative;
    (void)make(a.magnitude, a.exponent, false, &a);
    (void)make(b.magnitude, b.exponent, false, &b);
    int64_t exponent = (int64_t)a.exponent + b.exponent;
    /* Taking every 2 x 5 out first leaves a product without trailing zeros: if it does not fit then,
     * the exact result does not. */
    while (a.magnitude != 0 && a.magnitude % 2 == 0 && b.magnitude % 5 == 0 && b.magnitude != 0) {
        a.magnitude /= 2;
        b.magnitude /= 5;
        exponent++;
    }
    while (b.magnitude != 0 && b.magnitude % 2 == 0 && a.magnitude % 5 == 0 && a.magnitude != 0) {
        b.magnitude /= 2;
        a.magnitude /= 5;
        exponent++;
    }
    uint64_t magnitude;
    if (__builtin_mul_overflow(a.magnitude, b.magnitude, &magnitude))
        return FG_ERANGE;
    return make(magnitude, exponent, negative, ret);
}

/* magnitude x 10^shift; false when it exceeds 65 bits, which no sum with a 64-bit number brings back. */
static bool widen(uint64_t magnitude, int64_t shift, struct wide *ret)
{
    *ret = (struct wide){.lo = magnitude};
    for (; shift > 0; shift--) {
        uint64_t carry = (ret->lo >> 32) * 10 + (((ret->lo & UINT32_MAX) * 10) >> 32);
        ret->hi = ret->hi * 10 + (carry >> 32);
        ret->lo *= 10;
        if (ret->hi > 1)
            return false;
    }
    return true;
}

static int wide_compare(struct wide a, struct wide b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return a.lo < b.lo ? -1 : a.lo > b.lo;
}

static struct wide wide_subtract(struct wide a, struct wide b)
{
    return (struct wide){.hi = a.hi - b.hi - (a.lo < b.lo), .lo = a.lo - b.lo};
}

static struct wide wide_add(struct wide a, struct wide b)
{
    uint64_t lo = a.lo + b.lo;
    return (struct wide){.hi = a.hi + b.hi + (lo < a.lo), .lo = lo};
}

static int wide_make(struct wide w, int64_t exponent, bool negative, struct decimal *ret)
{
    if (w.hi > 1)
        return FG_ERANGE;
    if (w.hi == 1) {
        /* One trailing zero can bring 65 bits back into 64; 2^64 = 10 x 1844674407370955161 + 6. */
        uint64_t rest = w.lo % 10 + 6;
        if (rest % 10 != 0)
            return FG_ERANGE;
        w.lo = w.lo / 10 + rest / 10 + 1844674407370955161u;
        exponent++;
    }
    return make(w.lo, exponent, negative, ret);
}

int decimal_add(struct decimal a, struct decimal b, struct decimal *ret)
{
    (void)make(a.magnitude, a.exponent, a.negative, &a);
    (void)make(b.magnitude, b.exponent, b.negative, &b);
    if (a.magnitude == 0 || b.magnitude == 0) {
        *ret = a.magnitude == 0 ? b : a;
        return 0;
    }
    int64_t exponent = a.exponent < b.exponent ? a.exponent : b.exponent;
    struct wide wa, wb;
    if (!widen(a.magnitude, a.exponent - exponent, &wa) || !widen(b.magnitude, b.exponent - exponent, &wb))
        return FG_ERANGE;
    if (a.negative == b.negative)
        return wide_make(wide_add(wa, wb), exponent, a.negative, ret);
    if (wide_compare(wa, wb) >= 0)
        return wide_make(wide_subtract(wa, wb), exponent, a.negative, ret);
    return wide_make(wide_subtract(wb, wa), exponent, b.negative, ret);
}

static int compare_magnitudes(struct decimal a, struct decimal b)
{
    if (a.magnitude == 0 || b.magnitude == 0)
        return (a.magnitude != 0) - (b.magnitude != 0);
    int order_a = digits_of(a.magnitude) + a.exponent, order_b = digits_of(b.magnitude) + b.exponent;
    if (order_a != order_b)
        return order_a < order_b ? -1 : 1;
    /* Aligned they have as many digits, at most 20: below 65 bits x 10. */
    struct wide wa = {.lo = a.magnitude}, wb = {.lo = b.magnitude};
    if (a.exponent > b.exponent && !widen(a.magnitude, a.exponent - b.exponent, &wa))
        return 1;
    if (b.exponent > a.exponent && !widen(b.magnitude, b.exponent - a.exponent, &wb))
        return -1;
    return wide_compare(wa, wb);
}

int decimal_compare(struct decimal a, struct decimal b)
{
    bool minus_a = a.negative && a.magnitude != 0, minus_b = b.negative && b.magnitude != 0;
    if (minus_a != minus_b)
        return minus_a ? -1 : 1;
    int order = compare_magnitudes(a, b);
    return minus_a ? -order : order;
}

double decimal_to_double(struct decimal value)
{
    /* strtod rounds once; multiplying by a power of ten would round twice. No point: no locale. */
    char text[40];
    snprintf(text, sizeof text, "%s%llue%d", value.negative ? "-" : "", (unsigned long long)value.magnitude,
             value.exponent);
    return strtod(text, NULL);
}

/* Returns how many. It is called for every reading: snprintf() would make store_append() nearly three times
 * as long. */
static int write_digits(uint64_t magnitude, char *out)
{
    int count = digits_of(magnitude);
    for (int i = count; i-- > 0; magnitude /= 10)
        out[i] = (char)('0' + magnitude % 10);
    return count;
}

/* The digits with a point after the first `whole` of them (which may be 0 or negative). */
static size_t write_positional(const char *digits, int count, int whole, char *out)
{
    size_t n = 0;
    if (whole <= 0)
        out[n++] = '0';
    for (int i = 0; i < whole; i++)
        out[n++] = i < count ? digits[i] : '0';
    if (count > whole) {
        out[n++] = '.';
        for (int i = whole; i < count; i++)
            out[n++] = i < 0 ? '0' : digits[i];
    }
    out[n] = '\0';
    return n;
}

size_t decimal_format(struct decimal value, char ret_text[DECIMAL_TEXT_MAX])
{
    (void)make(value.magnitude, value.exponent, value.negative, &value);
    char digits[24];
    int count = write_digits(value.magnitude, digits);
    int whole = count + value.exponent; /* digits before the point */
    size_t n = 0;
    if (value.negative)
        ret_text[n++] = '-';
    bool positional = whole <= POSITIONAL_DIGITS_MAX && whole > POSITIONAL_LOWEST;
    n += write_positional(digits, count, positional ? whole : 1, ret_text + n);
    if (!positional)
        n += (size_t)snprintf(ret_text + n, DECIMAL_TEXT_MAX - n, "e%d", whole - 1);
    return n;
}
