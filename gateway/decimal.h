/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decimal - exact decimal numbers: what raw x scale + offset really is (23.4, not 23.400000000000002).
 *
 * Threads    Pure functions.
 * Ownership  Values.
 * Errors     FG_ERANGE when a result has more than 19 digits, FG_EINVALID for text that is no number.
 *
 * A value is (negative ? -1 : 1) x magnitude x 10^exponent. Zero is never negative.
 */
#ifndef FG_DECIMAL_H
#define FG_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct decimal {
    uint64_t magnitude;
    int16_t exponent;
    bool negative;
};

/* Room for the longest text decimal_format() writes, with its end. */
#define DECIMAL_TEXT_MAX 48

struct decimal decimal_from_int(int64_t value);
struct decimal decimal_from_uint(uint64_t value);
/* The shortest decimal that reads back as the same float or double; FG_ERANGE for NaN and infinity. */
int decimal_from_float(float value, struct decimal *ret);
int decimal_from_double(double value, struct decimal *ret);
/* Decimal or exponent notation ("0.1", "-40", "1e-3"); the whole text must be a number. */
int decimal_parse(const char *text, struct decimal *ret);
int decimal_multiply(struct decimal a, struct decimal b, struct decimal *ret);
int decimal_add(struct decimal a, struct decimal b, struct decimal *ret);
/* -1, 0, 1; exact also where the exponents differ. */
int decimal_compare(struct decimal a, struct decimal b);
double decimal_to_double(struct decimal value);
/* Valid JSON, shortest form: no trailing zeros after the point, exponent form only beyond 21 digits or below
 * 1e-9. Returns the length. */
size_t decimal_format(struct decimal value, char ret_text[DECIMAL_TEXT_MAX]);

#endif
